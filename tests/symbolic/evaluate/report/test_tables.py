"""One table, four spellings of it."""

import csv
import io

from symbolic.evaluate.report.tables import Share, Table, cell_text, comma_separated, console, markdown

TABLE = Table(
    "Two sets", ["measure", "a|b", "human"], [["bars", Share(0.9851), None], ["notes", 1234, 1.88666]], "Why."
)


def test_cells_as_people_read_them() -> None:
    cells = [Share(0.9851), 1234567, 1.88666, 123.456, float("nan"), None, "x"]
    assert [cell_text(c) for c in cells] == ["98.5 %", "1,234,567", "1.887", "123.5", "–", "–", "x"]


def test_csv_holds_bare_values() -> None:
    rows = list(csv.reader(io.StringIO(comma_separated(TABLE))))
    assert rows == [["measure", "a|b", "human"], ["bars", "0.9851", ""], ["notes", "1234", "1.88666"]]


def test_markdown_escapes_what_would_break_a_row() -> None:
    lines = markdown(TABLE).splitlines()
    assert lines[2:6] == [
        "| measure | a\\|b | human |",
        "| --- | ---: | ---: |",
        "| bars | 98.5 % | – |",
        "| notes | 1,234 | 1.887 |",
    ]
    assert "&lt;script>" in markdown(Table("<script>", ["a"], [["x\ny"]])) and "| x y |" in markdown(
        Table("t", ["a"], [["x\ny"]])
    )


def test_console_is_aligned_and_cannot_drive_the_terminal() -> None:
    lines = console(TABLE).splitlines()
    assert len({len(line) for line in (lines[2], lines[4], lines[5])}) == 1
    assert lines[5].endswith("1.887") and lines[-1] == "Why."
    assert "\x1b" not in console(Table("\x1b[31mred", ["a"], [["\x1b]0;x\x07"]]))
