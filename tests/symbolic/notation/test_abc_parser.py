"""The ABC parser against the standard, hand-worked examples and every bundled public-domain tune."""

import pytest

from symbolic.notation.abc_parser import (
    NotationError,
    bars,
    canonical,
    lex,
    melody,
    parse,
    performance,
    pretty,
    split_tunes,
    transpose,
)
from symbolic.notation.score import TempoChange
from symbolic.notation.theory import TICKS_PER_WHOLE, Key, parse_key, parse_meter

EIGHTH = TICKS_PER_WHOLE // 8


def music(body: str, header: str = "X:1\nM:4/4\nL:1/8\nK:C\n") -> str:
    """The canonical music line of a body in C major, 4/4."""
    return canonical(parse(header + body)).splitlines()[-1]


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("C2 D/ E// F3/2 G3/ |", "C2D/2E/4F3/2G3/2|"),
        ("C4/// D8//// E8/8 F2/ G//2 |", "C/2D/2EFG/2|"),
        ("A>B c<d e>>f |", "A3/2B/2c/2d3/2e7/4f/4|"),
        ("(3abc (5abcde (3:2:2a2b |", "(3abc(5abcde(3:2:2a2b|"),
        ("{/ab}c {g}d- d |", "{ab}c{g}d-d|"),
        ("[CEG]2 [C2E2]/ [c-e-]c |", "[CEG]2[CE][ce]-c|"),
        ("!trill!a +fermata+b .c ~d !open!e", "TaHb.c~d!open!e"),
        ('"Am"A "^slowly"B "D.C."c', '"Am"ABc'),
        ("(ab) (c d e)) ((f)", "(ab)(cde)(f)"),
        ("abc|1 d:|2 e|]", "abc|1d:|2e|]"),
        ("abc| [1 d:|[2 e||", "abc|1d:|2e||"),
        ("ab:|\n|:cd:||:ef||\n|:ga|", "ab::cd::ef|:ga|"),
        ("ab :: cd :|: ef", "ab::cd::ef"),
        ("a`b  \\\nc $ d", "abcd"),
        ("Z2|z4 x2 c2", "z8|z8|z4z2c2"),
        ("a[K:G]f[M:6/8]g[L:1/16]a2", "a[K:G]f[M:6/8]ga"),
        ("a\nK:G\nf\nP:B\nw: words are not notes\ng", "a[K:G]fg"),
        ("=c ^^d __e _B,", "=c^^d__e_B,"),
    ],
)
def test_spelling(written: str, spelled: str) -> None:
    assert music(written) == spelled
    assert music(spelled) == spelled


@pytest.mark.parametrize(
    ("text", "key", "sharps"),
    [("G", "G", 1), ("E Minor", "Em", 1), ("A Mixolydian", "Amix", 2), ("F#m", "F#m", 3), ("Bb", "Bb", -2),
     ("Ddor", "Ddor", 0), ("Gm clef=bass", "Gm", -2), ("C treble", "C", 0), ("EMin", "Em", 1), ("BPhr", "Bphr", 1),
     ("Flyd", "Flyd", 0), ("Bloc", "Bloc", 0), ("C#", "C#", 7), ("Cb", "Cb", -7), ("Hp", "Amix", 2)],
)  # fmt: skip
def test_keys(text: str, key: str, sharps: int) -> None:
    assert (parse_key(text).text, parse_key(text).sharps) == (key, sharps)
    assert sum(parse_key(text).accidentals.values()) == sharps


@pytest.mark.parametrize(
    ("text", "canonical_text", "eighths"),
    [
        ("C", "4/4", 8),
        ("C|", "2/2", 8),
        ("6/8", "6/8", 6),
        ("(2+3)/8", "5/8", 5),
        ("none", "none", 0),
        (" 3 / 4", "3/4", 6),
    ],
)
def test_metres(text: str, canonical_text: str, eighths: int) -> None:
    meter = parse_meter(text)
    assert (meter.text, meter.ticks) == (canonical_text, eighths * EIGHTH)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("X:1\nM:4/4\nabc", "no_key", 1),
        ("X:1\nM:4/4\nK:H\nabc", "bad_key", 3),
        ("X:1\nM:4/4\nK:G#\nabc", "bad_key", 3),
        ("X:1\nM:4/4\nK:G\n", "no_notes", 1),
        ("X:1\nM:4/4\nK:G\nab\nc\u00a7d", "unknown_symbol", 5),
        ("X:1\nM:4/4\nK:G\nab ^/cd", "microtone", 4),
        ("X:1\nM:4/4\nK:G\n[ab", "unbalanced_chord", 4),
        ("X:1\nM:4/4\nK:G\n{ab c", "unbalanced_grace", 4),
        ("X:1\nM:4/4\nK:G\na/1024b", "bad_length", 4),
        ("X:1\nM:4/4\nL:2/3\nK:G\na", "bad_length", 3),
        ("X:1\nM:4/4\nK:G\n(1abc", "bad_tuplet", 4),
    ],
)
def test_errors_name_reason_and_line(text: str, reason: str, line: int) -> None:
    with pytest.raises(NotationError) as caught:
        parse(text)
    assert (caught.value.reason, caught.value.line) == (reason, line)


def test_accidentals_hold_to_the_bar_line_in_every_octave_and_through_ties() -> None:
    score = parse("X:1\nM:none\nL:1/8\nK:G\n=f F f|f ^c-|c c|")
    assert [midi for midi, _ in melody(score)] == [77, 65, 77, 78, 73, 72]
    assert melody(score)[4] == (73, 2 * EIGHTH)


def test_tuplets_take_their_time() -> None:
    compound = parse("X:1\nM:6/8\nL:1/8\nK:C\n(2ab (4cdef|")
    assert [m.ticks for m in bars(compound.voices[0], compound.meter)] == [6 * EIGHTH]
    simple = parse("X:1\nM:2/4\nL:1/8\nK:C\n(3abc (3:2:2d2e|")
    assert [m.ticks for m in bars(simple.voices[0], simple.meter)] == [4 * EIGHTH]


def test_ties_merge_and_voices_start_together() -> None:
    score = parse("X:1\nM:2/4\nL:1/8\nK:C\nV:1 clef=treble\nV:2 clef=bass\nV:1\nC2-C2|\nV:2\nC,2E,2|\n")
    sounds = [(s.voice, s.onset_ticks // EIGHTH, s.ticks // EIGHTH, s.midi) for s in performance(score)]
    assert sounds == [(0, 0, 4, 60), (1, 0, 2, 48), (1, 2, 2, 52)]
    text = canonical(score)
    assert text == "M:2/4\nL:1/8\nK:C\nV:1 clef=treble\nV:2 clef=bass\nV:1\nC2-C2|\nV:2\nC,2E,2|\n"
    assert canonical(parse(text)) == text
    assert canonical(parse(pretty(text))) == text


def test_file_headers_are_inherited_and_lines_are_counted() -> None:
    text = "% a book\nM:6/8\nL:1/8\n\nX:1\nT:One\nK:G\nGAB|\n\nX:2\nM:4/4\nK:D\nd\u00a7|\n"
    first, second = split_tunes(text)
    assert canonical(parse(first.text, first.line)) == "M:6/8\nL:1/8\nK:G\nGAB|\n"
    with pytest.raises(NotationError) as caught:
        parse(second.text, second.line)
    assert caught.value.line == 13


def test_lexer_covers_every_character() -> None:
    line = 'A>B (3c/d/e/ [K:D] "Am"{g}!trill!a2-|1 b:|2 z4|]'
    tokens = list(lex(line))
    assert "".join(token.text for token in tokens) == line
    kinds = [t.kind for t in tokens if t.kind not in ("space", "note")]
    assert kinds[:6] == ["broken", "tuplet", "field", "quoted", "grace_open", "grace_close"]
    assert kinds[6:] == ["decoration", "tie", "bar", "bar", "rest", "bar"]


def test_hand_worked_transpositions() -> None:
    text = 'M:6/8\nL:1/8\nK:G\nG^c=f|[K:Em]B,_e"Am7/G"A|\n'
    assert transpose(text, 2) == 'M:6/8\nL:1/8\nK:A\nA^d=g|[K:F#m]C=f"Bm7/A"B|\n'
    assert transpose(text, -12) == 'M:6/8\nL:1/8\nK:G\nG,^C=F|[K:Em]B,,_E"Am7/G"A,|\n'
    assert transpose("M:4/4\nL:1/8\nK:D\nd:|\n", 1) == "M:4/4\nL:1/8\nK:Eb\ne:|\n"


def test_key_text_of_every_transposition_is_playable() -> None:
    for mode in ("", "m", "dor", "mix"):
        for semitones in range(-11, 12):
            line = transpose(f"M:4/4\nL:1/8\nK:D{mode}\nd|\n", semitones).splitlines()[2]
            assert abs(parse_key(line[2:]).sharps) <= 6
            assert parse_key(line[2:]).tonic_pitch_class == (Key("D").tonic_pitch_class + semitones) % 12


class TestBundledCollections:
    """Laws on about 4,200 real tunes."""

    def test_most_tunes_parse(self, real_tunes: list[str]) -> None:
        assert len(real_tunes) >= 4200  # of 4,248; the others have errors in their text

    def test_canonical_is_a_fixed_point(self, some_tunes: list[str]) -> None:
        assert [text for text in some_tunes if canonical(parse(text)) != text] == []

    @pytest.mark.slow
    def test_canonical_and_pretty_read_back_for_every_tune(self, real_tunes: list[str]) -> None:
        for text in real_tunes:
            assert canonical(parse(text)) == canonical(parse(pretty(text, title="a"))) == text

    def test_pretty_spells_a_tuplet_before_a_double_repeat(self) -> None:
        text = canonical(parse("X:1\nM:2/4\nL:1/8\nK:G\nc4|((3:2:3::fga)c2:|\n"))
        assert "(3:2:3::" in text and canonical(parse(pretty(text, title="a"))) == text

    def test_pretty_reads_back(self, some_tunes: list[str]) -> None:
        for text in some_tunes:
            assert canonical(parse(pretty(text, number=7, title="A % title\nX:2"))) == text

    def test_transposition_moves_every_sound_and_returns(self, some_tunes: list[str]) -> None:
        for text in some_tunes[:80]:
            before = [(s.onset_ticks, s.ticks, s.midi) for s in performance(parse(text))]
            for semitones in (-5, 1, 6):
                moved = transpose(text, semitones)
                assert [(s.onset_ticks, s.ticks, s.midi - semitones) for s in performance(parse(moved))] == before
                assert transpose(moved, -semitones) == text

    def test_a_canonical_line_has_no_spaces(self, real_tunes: list[str]) -> None:
        assert not any(" " in line for text in real_tunes for line in text.splitlines()[3:])


def test_a_metre_change_inside_a_bar_is_for_the_next_one() -> None:
    score = parse("X:1\nM:2/4\nL:1/8\nK:C\nC4|D4[M:3/4]|E6|\n")
    assert all(measure.is_full for measure in bars(score.voices[0], score.meter))


def test_a_tuplet_before_a_repeat_sign_is_not_read_as_a_ratio() -> None:
    text = canonical(parse("M:4/4\nL:1/8\nK:C\n(3(::g\n"))
    assert text.endswith("\n(3:2:3::g\n") and canonical(parse(text)) == text


@pytest.mark.parametrize(
    ("music", "reason"),
    [
        ("CD@EF|", "unknown_symbol"),
        ("CDEF|\nplay this with a swing\nGABc|", "unknown_symbol"),
        ("| :CDEF:|", "unknown_symbol"),
        ("CD:EF|", "unknown_symbol"),
        ("CDEF]", "unbalanced_chord"),
        ("CDE}F|", "unbalanced_grace"),
        ("CDEF|\n1 GABc:|", "unknown_symbol"),
        ("C ,DEF|", "unknown_symbol"),
        ('["Coda" CDEF|', "unbalanced_chord"),
        ("C0CDEF|", "bad_length"),
        ("[CE]0CDEF|", "bad_length"),
        ("[M:4/5]CDEF|", "bad_metre"),
        ("CDEF|$", ""),
    ],
)
def test_what_readers_pass_over_is_an_error_where_strict(music: str, reason: str) -> None:
    text = f"M:4/4\nL:1/4\nK:C\n{music}\n"
    assert parse(text).voices
    if not reason:
        assert canonical(parse(text, strict=True)) == canonical(parse(text))
        return
    with pytest.raises(NotationError) as caught:
        parse(text, strict=True)
    assert caught.value.reason == reason
    with pytest.raises(NotationError, match="no M: field"):
        parse("K:C\nCDEF|\n", strict=True)


def test_a_melody_strikes_a_note_anew_after_a_rest() -> None:
    for body, lengths in (("CzC", [1, 1]), ("C-zC", [1, 1]), ("C-C", [2]), ("C-DC", [1, 1, 1]), ("C-[CE]", [1, 1])):
        notes = melody(parse(f"M:none\nL:1/8\nK:C\n{body}"))
        assert [ticks // EIGHTH for _, ticks in notes] == lengths, body


def test_a_key_whose_mode_is_not_known_is_told() -> None:
    score = parse("X:1\nM:4/4\nK:Bn\nBcd|")
    assert score.key.text == "B" and score.losses["key whose mode is not known, read as major (K:)"] == 1
    with pytest.raises(NotationError, match="not a mode"):
        parse("X:1\nM:4/4\nK:Bn\nBcd|", strict=True)


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("Q:1/4=120\n", "[Q:1/4=60]CDEF|]", ["1/4=60"]),
        ("Q:1/4=120\n", "Q:1/4=60\nCDEF|]", ["1/4=60"]),
        ("Q:1/4=120\n", '[Q:"Ancora"]CDEF|]', ["1/4=120"]),  # words stand beside it
        ("", '[Q:"Largo"]CDEF|]', ['"Largo"']),
        ("Q:C=240\n", "CDEF|]", ["1/4=240"]),
        ("Q:C3=80\n", "CDEF|]", ["3/4=80"]),
        ("Q:C/2=80\n", "CDEF|]", ["1/8=80"]),
        ("Q:240\nL:1/8\n", "CDEF|]", ["1/8=240"]),
        ('Q:"Allegro" 240\n', "CDEF|]", ['"Allegro" 1/4=240']),
        ("Q:C/0=80\n", "CDEF|]", ["C/0=80"]),
    ],
)
def test_tempo_of_the_beginning(header: str, body: str, expected: list[str]) -> None:
    assert parse(f"X:1\nT:x\nM:4/4\nL:1/4\n{header}K:C\n{body}\n").fields["Q"] == expected


def test_outdated_tempo_inside_the_tune_counts_its_unit_notes() -> None:
    events = parse("X:1\nM:4/4\nL:1/4\nK:C\nCD[L:1/16][Q:C2=90]E4F4|]\n").voices[0].events
    assert [event.text for event in events if isinstance(event, TempoChange)] == ["1/8=90"]
