"""Keys, metres, pitches and lengths against the tables of a music primer."""

import pytest

from symbolic.notation.theory import (
    MODES,
    TICKS_PER_QUARTER,
    TICKS_PER_WHOLE,
    Key,
    Meter,
    NotationError,
    length_text,
    parse_key,
    parse_meter,
    pitch_name,
)


@pytest.mark.parametrize(
    ("text", "sharps", "altered"),
    [
        ("C", 0, ""), ("G", 1, "F"), ("D", 2, "FC"), ("C#", 7, "FCGDAEB"), ("F", -1, "B"), ("Bb", -2, "BE"),
        ("Cb", -7, "BEADGCF"), ("Am", 0, ""), ("Em", 1, "F"), ("Gm", -2, "BE"), ("Ador", 1, "F"), ("Dmix", 1, "F"),
        ("Ephr", 0, ""), ("Flyd", 0, ""), ("Bloc", 0, ""), ("F#m", 3, "FCG"),
    ],
)  # fmt: skip
def test_signatures(text: str, sharps: int, altered: str) -> None:
    key = parse_key(text)
    assert (key.text, key.sharps) == (text, sharps)
    sign = 1 if sharps > 0 else -1
    assert key.accidentals == {letter: sign * (letter in altered) for letter in "CDEFGAB"}


def test_a_mode_on_its_degree_shares_the_signature_of_its_major_key() -> None:
    degrees = {"": "C", "dor": "D", "phr": "E", "lyd": "F", "mix": "G", "m": "A", "loc": "B"}
    assert {mode: Key(degrees[mode], mode).sharps for mode in MODES} == dict.fromkeys(MODES, 0)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("E Minor", "Em"),
        ("A Mixolydian", "Amix"),
        ("d dorian", "Ddor"),
        ("Hp", "Amix"),
        ("none", "C"),
        ("G clef=bass", "G"),
    ],
)
def test_keys_as_people_write_them(written: str, text: str) -> None:
    assert parse_key(written).text == text


@pytest.mark.parametrize(
    ("written", "reason"),
    [("", "no_key"), ("H", "bad_key"), ("Gmaybe", "bad_key"), ("G#", "bad_key"), ("D ^c", "key_accidentals")],
)
def test_keys_that_are_none(written: str, reason: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse_key(written, 7)
    assert caught.value.reason == reason and str(caught.value).startswith("line 7: ")


@pytest.mark.parametrize(
    ("written", "text", "quarters", "beat_quarters"),
    [
        ("C", "4/4", 4, 1), ("C|", "2/2", 4, 2), ("6/8", "6/8", 3, 1.5), ("9/8", "9/8", 4.5, 1.5), ("3/4", "3/4", 3, 1),
        ("(2+3)/8", "5/8", 2.5, 1), ("2/4+3/8", "7/8", 3.5, 1), ("3/8", "3/8", 1.5, 1), ("none", "none", 0, 1),
    ],
)  # fmt: skip
def test_metres(written: str, text: str, quarters: float, beat_quarters: float) -> None:
    meter = parse_meter(written)
    assert (meter.text, meter.ticks) == (text, quarters * TICKS_PER_QUARTER)
    assert meter.beat_ticks == beat_quarters * TICKS_PER_QUARTER
    assert meter.is_free == (text == "none") and meter.is_compound == (text in ("6/8", "9/8"))


@pytest.mark.parametrize(
    ("written", "reason"), [("", "no_metre"), ("5", "bad_metre"), ("3/5", "bad_metre"), ("0/4", "bad_metre")]
)
def test_metres_that_are_none(written: str, reason: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse_meter(written)
    assert caught.value.reason == reason


def test_pitch_names() -> None:
    assert [pitch_name("C", octave) for octave in (2, 3, 4, 5, 6)] == ["C,,", "C,", "C", "c", "c'"]


def test_lengths() -> None:
    eighth = TICKS_PER_WHOLE // 8
    lengths = {1: "", 2: "2", 3: "3", 1.5: "3/2", 0.5: "/2", 0.75: "3/4", 0.25: "/4", 1 / 3: "/3", 8: "8"}
    assert {n: length_text(round(n * eighth)) for n in lengths} == lengths
    assert Meter(4, 4).ticks == 8 * eighth
