"""Control codes: the reference study's own example, hand-worked forms, and laws on every real tune."""

import random

import pytest

from symbolic.errors import UserError
from symbolic.notation import abc_parser, control_codes
from symbolic.notation.control_codes import Codes

# The first tune that TunesFormer's page shows for the prompt S:2 B:9 E:4 B:9, layout and all.
REFERENCE = """X:1
L:1/8
M:3/4
K:D
 de |"D" f2 fedB | A2 AF A2 |"G" B2 Bd B2 |"D" A2 AF A2 |"D" f2 fedB | A2 AF A2 |"G" B2 Bd"A" ce |
"D" d4 :: de |"D" f2 fdfa |"Em" g2 gfed |"A7" cecA ce |"D" fdfafd |"D" f2 fdfa |"Em" g2 gfed |
"A7" cecA ce |"D" d4 :|
"""
HEAD = "M:2/4\nL:1/8\nK:G\n"


def test_the_reference_studys_example() -> None:
    found = control_codes.codes(abc_parser.parse(REFERENCE))
    assert found == Codes(2, (9, 9), (4,))
    assert control_codes.encode(found) == "S:2\nB:9\nE:4\nB:9\n"


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("GABc|dcBA|", Codes(1, (2,))),
        ("GABc|dcBA||GABc|dcBA|]", Codes(2, (2, 2), (9,))),
        ("|:GABc|dcBA:|", Codes(1, (2,))),
        ("D|:GABc|dcB:|", Codes(2, (1, 2), (2,))),  # a pick-up before |: is a section, as in IrishMAN
        ("GABc|1dcBA:|2d4||cccc|]", Codes(2, (3, 1), (1,))),  # the second ending belongs to its section
        ("[K:D]GABc||[K:G]dcBA|]", Codes(2, (1, 1), (6,))),
        ("GABc||[K:D]|:dcBA:|", Codes(2, (1, 1), (2,))),  # a piece without notes goes with what follows
    ],
)
def test_forms_by_hand(music: str, expected: Codes) -> None:
    found = control_codes.codes_of(f"{HEAD}{music}\n")
    assert (found.sections, found.bars) == (expected.sections, expected.bars)
    assert len(found.similarity) == len(expected.similarity)


def test_similarity_is_one_minus_the_share_of_edits() -> None:
    assert control_codes.codes_of(f"{HEAD}GABc||GABc||\n").similarity == (10,)
    assert control_codes.codes_of(f"{HEAD}GABc||GABd||\n").similarity == (8,)  # 1 edit of 6 characters: 0.83
    three = control_codes.codes_of(f"{HEAD}GABc||eeee||GABc||\n")
    assert three.similarity == (3, 10, 3)  # 2nd:1st, 3rd:1st, 3rd:2nd; 4 edits of 6: 0.33


def test_edit_distance_is_levenshteins() -> None:
    def table(one: str, other: str) -> int:
        row = list(range(len(other) + 1))
        for i, a in enumerate(one, 1):
            row, before = [i], row
            for j, b in enumerate(other, 1):
                row.append(min(row[-1] + 1, before[j] + 1, before[j - 1] + (a != b)))
        return row[-1]

    draw = random.Random(0)
    for _ in range(200):
        one, other = ("".join(draw.choices("abc|", k=draw.randrange(90))) for _ in range(2))
        assert control_codes.edit_distance(one, other) == table(one, other)


def test_laws_on_real_tunes(some_tunes: list[str]) -> None:
    in_range = 0
    for text in some_tunes:
        if "\nV:" in text:
            continue
        music = control_codes.music_of(text)
        assert "".join(control_codes.sections(music)) == music
        found = control_codes.codes_of(text)
        assert sum(found.bars) == control_codes.n_bars(music)
        if found.in_range:
            in_range += 1
            lines = control_codes.encode(found)
            assert control_codes.parse(lines) == found
            assert control_codes.split(lines + control_codes.range_lines(text) + text)[1] == text
    assert in_range > 250


def test_transposition_changes_the_range_alone(real_tunes: list[str]) -> None:
    for text in real_tunes[:200:5]:
        moved = abc_parser.transpose(text, 12)
        low, high = (control_codes.position(note) for note in control_codes.written_range(text) or ("C", "C"))
        assert [control_codes.position(note) for note in control_codes.written_range(moved) or ()] == [
            low + 7,
            high + 7,
        ]
        assert control_codes.codes_of(moved).bars == control_codes.codes_of(text).bars


def test_irishman_codes_are_read() -> None:
    assert control_codes.parse("S:3\nB:8\nE:5\nB:8\nE:5\nE:10\nB:8\n") == Codes(3, (8, 8, 8), (5, 5, 10))
    for damaged in ("", "S:2\nB:8\n", "S:2\nB:8\nE:11\nB:8\n", "S:0\n"):
        with pytest.raises(UserError, match="control code"):
            control_codes.parse(damaged)


def test_asked_lines_leave_places_free() -> None:
    lines = control_codes.ask(2, (8, 8), rhythm="Double Jig", lowest="D").lines
    assert lines[:3] == ("R:jig\n", "I:lowest D\n", "S:2\n")
    assert lines[3] == "B:8\n" and lines[4] == tuple(f"E:{n}\n" for n in range(11)) and lines[5] == "B:8\n"
    assert control_codes.ask(bars=(8, 9)).sections == 2
    assert control_codes.ask(2, similarity=(4,)).text == "S:2 B:? E:4 B:?"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sections": 9}, "1 to 8"),
        ({"sections": 3, "bars": (8, 8)}, "2 numbers of bars for 3 sections"),
        ({"bars": (8, 40)}, "1 to 32"),
        ({"similarity": (4,)}, "--sections"),
        ({"sections": 3, "similarity": (4,)}, "give 3"),
        ({"sections": 2, "similarity": (11,)}, "0 .* to 10"),
        ({"rhythm": "samba"}, "reel"),
        ({"lowest": "^d"}, "without accidental"),
        ({"lowest": "a", "highest": "D"}, "above"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError, match=message):
        control_codes.ask(**arguments)


def test_words_hold_every_line_that_real_tunes_need(real_tunes: list[str]) -> None:
    words = set(control_codes.words())
    assert len(words) == len(control_codes.words())
    for text in real_tunes[::20]:
        found = control_codes.codes_of(text)
        lines = control_codes.range_lines(text) + (control_codes.encode(found) if found.in_range else "")
        assert set(lines.splitlines(keepends=True)) <= words


def test_many_sections_are_not_compared_with_one_another() -> None:
    found = control_codes.codes_of("M:4/4\nL:1/8\nK:C\n" + "C8||" * 9 + "\n")
    assert (found.sections, found.similarity, found.in_range) == (9, (), False)
    line = "[K:D]||" * 60_000 + "C8|]"
    assert control_codes.sections(line) == [line]


def test_of_long_sections_the_beginnings_are_compared() -> None:
    alike = "C" * control_codes.MOST_COMPARED
    text = f"M:4/4\nL:1/8\nK:C\n{alike}{'D' * 99}||{alike}{'E' * 9999}|]\n"
    assert control_codes.codes_of(text).similarity == (10,)
