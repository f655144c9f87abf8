"""Which lines of a file are music."""

from collections import Counter

import pytest

from symbolic.notation.abc_parser import NotationError, melody, parse, split_tunes
from symbolic.notation.reading.tunebook import AFTER_TUNE, INSIDE_TUNE, is_prose, tune_lines

HEADER = "X:1\nM:4/4\nL:1/8\nK:C\n"


@pytest.mark.parametrize(
    ("body", "n_notes", "losses"),
    [
        ("CDEF|\n\nThe next one came from a fiddler\n", 4, {AFTER_TUNE: 1}),
        ("CDEF|\n%%begintext\nPlay a bed of fade\n%%endtext\nGABc|\n", 8, {}),
        ("CDEF|\n%%beginps\n/abc { def } def\n%%endps\nG|\n", 5, {}),
        ("CDEF|\n</pre></html>\nGABc\n", 4, {AFTER_TUNE: 1}),
        ("CDEF|<br>\nGABc|\n", 8, {}),
        ("CDEF|\n-- \nFreddie Bede\n", 4, {AFTER_TUNE: 1}),
        ("CDEF|\nkindly sent by John and Mary\nGABc|\n", 8, {INSIDE_TUNE: 1}),
        ("CDEF|\x1a\n", 4, {}),
        ("CDEF|\n% c\n%\nGABc|\n", 8, {}),
        ("\nCDEF|\n", 4, {}),
        ("CDEF|\nF:http://example.org/a\nB:a book\nGABc|\n", 8, {}),
        ("CDEF|\n  M:3/4\nGAB|\n", 7, {}),
        ("CDE=\nF|GA=20\nBc|=\n1 d=\n\nbad egg\n", 9, {AFTER_TUNE: 1}),  # mail in quoted-printable
        ("CDEF|\\%\nGA\n", 6, {}),
    ],
)
def test_what_is_music(body: str, n_notes: int, losses: dict[str, int]) -> None:
    score = parse(HEADER + body)
    assert (len(melody(score)), dict(score.losses)) == (n_notes, losses)


def test_words_after_the_tune_are_kept() -> None:
    assert parse(HEADER + "CD|\n\nW: and so\n").fields["W"] == ["and so"]


def test_bars_and_signs_are_no_prose() -> None:
    assert not is_prose('"Am"A !trill!B TcHd uAvB (3efg')
    assert is_prose("The next one I had from my mother")


def test_marks_of_joined_files_are_no_text() -> None:
    first, second = split_tunes("\ufeffX:1\nK:C\nC\n\n\ufeffX:2\nK:C\nD\n")
    assert (first.line, second.line, second.text) == (1, 5, "X:2\nK:C\nD\n")


def test_a_header_of_the_file_is_not_hidden_by_a_change_inside_the_tune() -> None:
    tune = split_tunes("M:6/8\n\nX:1\nK:C\nABc|\nM:9/8\nABc\n")[0]
    assert parse(tune.text).meter.text == "6/8"


def test_lines_are_numbered_as_in_the_file() -> None:
    assert [n for n, _ in tune_lines("X:1\n%c\nK:C\n", 7, Counter())] == [7, 9]
    with pytest.raises(NotationError) as caught:
        parse("X:1\nK:C\n%%begintext\nx\n%%endtext\n[ce\n")
    assert caught.value.line == 6


@pytest.mark.parametrize("line", ["tD tE tF !trillh!G !trillh!A", "tDtE nF mG", "uA vB kC", "!mordent!the"])
def test_signs_before_notes_are_no_words(line: str) -> None:
    assert not is_prose(line)


@pytest.mark.parametrize("line", ["Play it twice!", "the tune of the week! yes!", "not so fast, Tom"])
def test_words_are_words(line: str) -> None:
    assert is_prose(line)
