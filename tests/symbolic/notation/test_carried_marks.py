"""Lyrics, words and names through edits of a tune."""

from symbolic.decode.editing.edit import GivenTune, pick_tune, transpose_and_harmonise
from symbolic.notation.abc_parser import canonical, parse
from symbolic.notation.carried_marks import LOST_SYLLABLES, carry_marks
from symbolic.notation.score import Note

SONG = """X:4
T:A Song
T:Another name
C:Somebody
Z:Me
M:4/4
L:1/4
Q:1/4=90
K:C
"^Slowly"CD EF|G2 [Q:1/4=60]G2|x2 c2|C4 !D.C.!|]
w:One two three-four five six sev-en
W:And more
"""


def given() -> GivenTune:
    return pick_tune(SONG)


def test_a_transposed_tune_keeps_what_is_written() -> None:
    text = given().text_for_people(transpose_and_harmonise(given().text, 2, "| D | G | A7 | D |"), 4)
    assert text == (
        "X:4\nT:A Song\nT:Another name\nC:Somebody\nZ:Me\nQ:1/4=90\nM:4/4\nL:1/8\nK:D\n"
        '"D""^Slowly"D2E2 F2G2| "G"A4 [Q:1/4=60]A4| "A7"x4 d4| "D"D8 !D.C.!|]\n'
        "w: One two three-four five six sev-en\nW:And more\n"
    )


def test_the_same_text_comes_back_whole() -> None:
    assert parse(given().text_for_people(given().text)).voices == given().score.voices  # type: ignore[union-attr]


def test_new_bars_keep_words_and_lose_syllables_of_another_rhythm() -> None:
    edited = parse("M:4/4\nL:1/8\nK:C\nE2D2C2F2|E2F2G4|z4c4|C8|]\n")
    carry_marks(parse(SONG), edited)
    notes = [event for event in edited.voices[0].events if isinstance(event, Note)]
    assert [note.syllables[:1] for note in notes[:7]] == [("One",), ("two",), ("three-",), ("four",), (), (), ()]
    assert edited.losses[LOST_SYLLABLES] == 2
    assert canonical(edited).endswith("E2D2C2F2|E2F2G4|z4c4|C8|]\n")


def test_a_continued_tune_keeps_its_first_bars() -> None:
    edited = parse("M:4/4\nL:1/8\nK:C\nC2D2E2F2|C2D2E2F2|G4G4|]\n")
    carry_marks(parse(SONG), edited, 1)
    notes = [event for event in edited.voices[0].events if isinstance(event, Note)]
    assert [bool(note.syllables) for note in notes] == [True] * 4 + [False] * 6
