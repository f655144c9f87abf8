"""Charts are well-formed SVG, bars add up, names are escaped."""

import xml.etree.ElementTree as ElementTree

from studio.survey.results import survey_charts as charts

NS = "{http://www.w3.org/2000/svg}"


def test_likert_bars_add_up_to_one_length_a_system() -> None:
    systems = {"a<b": {"counts": {"1": 3, "2": 1, "3": 2, "5": 4}}, "c": {"counts": {"3": 7}}}
    root = ElementTree.fromstring(charts.likert_bars(systems, (1, 5), "t & t"))
    widths: dict[str, float] = {}
    for bar in root.iter(f"{NS}rect"):
        if bar.get("height") == "20":
            widths[str(bar.get("y"))] = widths.get(str(bar.get("y")), 0.0) + float(str(bar.get("width")))
    assert len(widths) == 2 and len({round(w) for w in widths.values()}) == 1
    assert "a<b" in [text.text for text in root.iter(f"{NS}text")] and root.get("aria-label") == "t & t"


def test_an_absent_interval_draws_no_line() -> None:
    rows = [
        {"label": "x", "mean": 3.0, "low": 2.5, "high": 3.5},
        {"label": "y", "mean": 4.0, "low": None},
        {"label": "z", "mean": None},
    ]
    root = ElementTree.fromstring(charts.interval_dots(rows, 1, 5, "means", 3.0))
    lines = [line.get("class") for line in root.iter(f"{NS}line")]
    assert lines.count("interval") == 1 and lines.count("mark") == 1 and len(list(root.iter(f"{NS}circle"))) == 2


def test_the_heat_map_leaves_out_what_was_not_answered() -> None:
    root = ElementTree.fromstring(charts.heat_map([[1, None, 5], [2, 3, None]], (1, 5), "map"))
    assert len(list(root.iter(f"{NS}rect"))) == 4
