"""Numbers of pages come from result files: a changed figure, a swapped column, an unsourced number are refused."""

from pathlib import Path

import pytest

from experiments import pages
from symbolic.errors import UserError

README = (pages.ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (pages.ROOT / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", pages.pages(pages.ROOT), ids=lambda path: path.name)
def test_every_page_shows_what_the_result_files_say(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert pages.differences(text) == [], "run: python -m experiments.pages"
    assert pages.unsourced(text) == []


def test_pages_include_the_readme_and_exclude_what_is_made_from_code() -> None:
    names = {path.relative_to(pages.ROOT).as_posix() for path in pages.pages(pages.ROOT)}
    assert {"README.md", "docs/results.md", "docs/benchmarks.md", "docs/concepts/measures.md"} <= names
    assert not [name for name in names if name.startswith(("docs/commands/", "docs/reference/", "docs/_build/"))]


def test_the_speeds_of_the_first_page_stand_under_their_heads() -> None:
    """Ours over the peer's is the ratio that stands beside them."""
    lines = README.partition("<!-- fastest -->")[2].partition("<!-- /fastest -->")[0].strip().splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[2:5]] == ["ours", "best peer", "ours over it"]
    for line in lines[2:]:
        ours, peer, ratio = (float(cell.split()[0].replace(",", "")) for cell in line.split("|")[2:5])
        assert ratio == pytest.approx(ours / peer, rel=0.1)


def swapped_columns(text: str) -> str:
    """The first table row with two models, its two cells exchanged."""
    row = next(line for line in text.splitlines() if line.startswith("| tunes with all bars right, unc"))
    cells = row.split("|")
    cells[2], cells[3] = cells[3], cells[2]
    return text.replace(row, "|".join(cells))


def changed_human_figure(text: str) -> str:
    """The human figure of bars that fit the metre, half a percent higher."""
    row = next(line for line in text.splitlines() if line.startswith("| bars that fit the metre, unconstrained"))
    cells = row.split("|")
    cells[4] = " 99.5 % "
    return text.replace(row, "|".join(cells))


@pytest.mark.parametrize("falsify", [swapped_columns, changed_human_figure])
@pytest.mark.parametrize("text", [README, RESULTS], ids=["README", "results"])
def test_falsified_table_is_found(falsify, text: str) -> None:  # type: ignore[no-untyped-def]
    false = falsify(text)
    assert false != text
    (fault,) = pages.differences(false)
    assert fault.startswith("line ") and "should be" in fault


def test_every_number_with_a_source_is_found_when_it_is_changed() -> None:
    """Each sourced number of each page in turn: its last digit changed."""
    n_changed = 0
    for path in pages.pages(pages.ROOT):
        text = path.read_text(encoding="utf-8")
        for match in pages.SOURCED.finditer(text):
            digits = match[1]
            place = max(i for i, letter in enumerate(digits) if letter.isdigit())
            other = digits[:place] + str((int(digits[place]) + 1) % 10) + digits[place + 1 :]
            false = text[: match.start(1)] + other + text[match.end(1) :]
            assert pages.differences(false) != [], match[0]
            n_changed += 1
    assert n_changed >= 15


@pytest.mark.parametrize("number", ["1.337 bits", "12.5 % of tunes", "3 % more", "24,576,000 tokens"])
def test_number_in_prose_without_a_source_is_refused(number: str) -> None:
    (fault,) = pages.unsourced(f"# Title\n\nIt needs {number}.\n")
    assert fault.startswith("line 3: ") and "names no source" in fault
    assert pages.unsourced(f"It needs `{number}`.\n\n```text\n{number}\n```\n") == []


def test_version_of_a_licence_is_no_measurement() -> None:
    assert pages.unsourced("Under CC BY-NC-SA\n4.0, and CC BY 4.0.\n") == []
    assert pages.unsourced("Under CC BY-SA 4.0,\nit is 4.0 times as good.\n")[0].startswith("line 2")


def test_version_of_a_program_is_no_measurement() -> None:
    assert pages.unsourced("Tested in MuseScore 3.2.3.\n") == []


def test_given_number_is_allowed_and_stays() -> None:
    text = "Python 3.11<!-- given --> or later.\n"
    assert pages.unsourced(text) == [] and pages.filled(text) == text


def test_filling_writes_value_factor_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"a": {"b c": 0.25}, "rows": [{"x": 1, "repeats": [1.0, 2.0, 6.0]}, {"x": 2, "repeats": [5e6]}]}
    monkeypatch.setattr(pages, "result", lambda name: result)
    assert pages.shown("r", "a.b c", None, ".1%") == "25.0 %"
    assert pages.shown("r", "rows[x=2].repeats[0]", "*1e-6 ", ".1f") == "5.0"
    assert pages.shown("r", "rows[0].repeats.mean", None, ".2f") == "3.00"
    assert pages.shown("r", "rows[x=1].repeats.median", None, ".2f") == "2.00"
    assert pages.shown("r", "rows[x=1].repeats.sum", None, ".2f") == "9.00"
    assert pages.filled("7<!-- =r rows[x=1].repeats.n .0f --> runs") == "3<!-- =r rows[x=1].repeats.n .0f --> runs"


@pytest.mark.parametrize("place", ["nothing", "rows[x=3].repeats", "rows[0].repeats"])
def test_place_that_holds_no_single_number_is_an_error(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "result", lambda name: {"rows": [{"x": 1, "repeats": [1.0]}]})
    with pytest.raises(UserError, match=r"there is no|0 rows have|is no number"):
        pages.shown("r", place, None, ".1f")


def test_unknown_section_and_one_without_end_are_errors() -> None:
    with pytest.raises(UserError, match="no such section"):
        pages.filled("<!-- readyy -->\n<!-- /readyy -->\n")
    with pytest.raises(UserError, match="has no end"):
        pages.filled("<!-- ready -->\n")
