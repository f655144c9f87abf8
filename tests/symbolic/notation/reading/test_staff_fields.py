"""K: and V: fields: keys with accidentals of their own, clefs, octaves, transposition, names."""

import pytest

from symbolic.notation.abc_parser import NotationError, canonical, parse, performance
from symbolic.notation.reading.staff_fields import read_key_field, read_voice_field


def pitches(text: str) -> list[int]:
    return [sound.midi for sound in performance(parse("X:1\nM:4/4\nL:1/8\n" + text))]


@pytest.mark.parametrize(
    ("value", "key", "accidentals"),
    [
        ("D ^g^a", "D", {"G": 1, "A": 1}),
        ("C^f^c", "D", {}),  # the signature of D
        ("none ^f", "G", {}),
        ("^f_b", "C", {"F": 1, "B": -1}),
        ("Dmix =c", "Dmix", {}),
        ("D =c", "Dmix", {}),
        ("D Phr ^f", "Dphr", {"F": 1}),
        ("D exp _b _e ^f", "D", {"B": -1, "E": -1, "C": 0}),
        ("B♭", "Bb", {}),
        ("F♯ minor", "F#m", {}),
        ("", "C", {}),
        ("HP", "Amix", {}),
        ("G stafflines=1", "G", {}),
        ("d minor", "Dm", {}),
    ],
)
def test_keys(value: str, key: str, accidentals: dict[str, int]) -> None:
    found = read_key_field(value)
    assert found.key is not None
    assert (found.key.text, found.accidentals) == (key, accidentals)


def test_a_clef_is_no_key() -> None:
    assert read_key_field("clef=bass").key is None and read_key_field("bass-8").staff.octaves == -1
    assert pitches("K:D\nFC[K:clef=bass]FC\n") == [66, 61, 66, 61]


@pytest.mark.parametrize(
    ("header", "shift"),
    [("K:C octave=-1", -12), ("K:C clef=treble-8", -12), ("K:C treble+8", 12), ("K:C transpose=-2", -2),
     ("%%MIDI transpose 3\nK:C", 3), ("K:C clef=bass octave=1 transpose=-12", 0)],
)  # fmt: skip
def test_the_staff_sounds_elsewhere(header: str, shift: int) -> None:
    plain = pitches("K:C\nC^DE=F[K:G]F\n")
    assert pitches(f"{header}\nC^DE=F[K:G]F\n") == [midi + shift for midi in plain]
    text = canonical(parse(f"X:1\nM:4/4\nL:1/8\n{header}\nC^DE=F[K:G]F\n"))
    assert canonical(parse(text)) == text and pitches(text) == [midi + shift for midi in plain]


def test_names_are_not_clefs() -> None:
    name, _, staff = read_voice_field('1 name="bass guitar" snm = "B.g."')
    assert (name, staff.clef, staff.title, staff.short_title) == ("1", None, "bass guitar", "B.g.")
    assert read_voice_field("T clef=C3 octave=-1")[2].clef == "alto"


def test_quarter_tones_are_refused_by_their_name() -> None:
    with pytest.raises(NotationError) as caught:
        read_key_field("D ^/f")
    assert caught.value.reason == "microtone"


def test_words_of_a_voice_are_its_name_and_no_clef() -> None:
    name, words, staff = read_voice_field("T Tenor und Bass octave=1 merge")
    assert (name, words, staff.clef, staff.octaves) == ("T", "Tenor und Bass merge", None, 1)
    assert staff.title == "T Tenor und Bass merge"
    assert read_voice_field("2 bass up") == ("2", "", read_voice_field("2 clef=bass")[2])


@pytest.mark.parametrize(
    ("change", "semitones"),
    [
        ("[K:C transpose=2]", 2),
        ("[V:1 transpose=3]", 3),
        ("[K:transpose=-12]", -12),
        ("[K:C octave=1]", 12),
        ("[K:C clef=treble+8]", 12),
        ("\nK:C octave=-1\n", -12),
        ("\n%%MIDI transpose 5\n", 5),
    ],
)
def test_a_change_inside_the_tune_holds_from_there(change: str, semitones: int) -> None:
    text = f"X:1\nM:4/4\nL:1/4\nK:C\nC D E F|{change} C D E F|[K:G]C D E F|\n"
    bars = ([60, 62, 64, 65], [60, 62, 64, 65], [60, 62, 64, 66])
    expected = [*bars[0], *(midi + semitones for bar in bars[1:] for midi in bar)]
    score = parse(text)
    assert [sound.midi for sound in performance(score)] == expected
    again = canonical(score)
    assert [sound.midi for sound in performance(parse(again))] == expected
    assert canonical(parse(again)) == again


def test_a_transposition_ends_and_holds_for_its_voice_and_overlays() -> None:
    head = "X:1\nM:4/4\nL:1/4\nV:1 transpose=-2\nV:2\nK:D\n"
    score = parse(head + "[V:1] D4|[V:1 transpose=0] F4&A4|[K:C]F4|\n[V:2]D4|F4|F4|\n")
    assert sorted((sound.onset_ticks, sound.midi) for sound in performance(score)) == [
        *((0, 60), (0, 62)),
        *((40320, 66), (40320, 66), (40320, 69)),
        *((80640, 65), (80640, 66)),
    ]
