"""The report of a survey: answers.csv, analysis.json, each chart as SVG, and one page that holds them all.

Every table stands twice, with all raters and after the exclusions that survey.yaml fixed. Simulated raters are named as
such in the first line and in every title; they are never people.
"""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.survey.answer_store import AnswerStore
from studio.survey.results import survey_charts as charts
from studio.survey.results.answer_rows import AnswerRow, rows_of, to_csv
from studio.survey.results.survey_analysis import analyse
from studio.survey.survey_folder import Survey
from studio.survey.survey_spec import scale_of
from studio.survey.trial_plan import trials_of
from symbolic import files
from symbolic.errors import UserError

_STYLE = """
:root{color-scheme:light dark;--ink:#222;--paper:#fcfcfa;--line:#ccc}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#16181b;--line:#444}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;margin:2rem
auto;padding:0 1rem} .scroll{overflow-x:auto;margin:.5rem 0} table{border-collapse:collapse}td,th{padding:.2rem
.6rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto;display:block;margin:1rem 0}
.warning{border:2px solid #b35806;padding:.5rem 1rem}
"""


def write_report(survey: Survey, folder: Path) -> dict[str, Any]:
    """Analyse a survey's answers and write the report folder; the analysis. UserError while nobody has answered."""
    rows, found = analysis_of(survey)
    spec = survey.spec
    scales: dict[str, tuple[float, float]] = {criterion: scale_of(spec.design, criterion) for criterion in spec.asked}
    write_tables(rows, found, spec.title or f"Survey {survey.folder.name}", spec.design, folder, scales)
    return found


def analysis_of(survey: Survey) -> tuple[list[AnswerRow], dict[str, Any]]:
    """The rows and the analysis of a survey's answers so far. UserError while there are none."""
    store = AnswerStore(survey.folder / "answers.sqlite")
    rows = rows_of(survey, store)
    if not rows:
        raise UserError(f"the survey {survey.folder.name} has no answers yet.")
    planned = {
        str(rater.number + 1): sum(t.kind == "main" for t in trials_of(survey.spec, survey.stimuli, rater.number))
        for rater in store.raters()
    }
    found = analyse(rows, rules=survey.spec.exclusions, planned=planned, seed=survey.spec.seed)
    found["withdrawn"] = sum(rater.withdrawn is not None for rater in store.raters())
    return rows, found


def write_tables(
    rows: Sequence[AnswerRow],
    found: Mapping[str, Any],
    title: str,
    design: str,
    folder: Path,
    scales: Mapping[str, tuple[float, float]],
) -> None:
    """Write the report of rows of a survey or of a CSV that was read; `scales` has the lowest and highest answer."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write_whole(folder / "answers.csv", to_csv(rows))
    files.write_json(folder / "analysis.json", found)
    drawings = dict(_drawings(found, scales))
    for name, drawing in drawings.items():
        files.write_whole(folder / f"{name}.svg", drawing)
    files.write_whole(folder / "report.html", _page(found, title, design, drawings))


def _drawings(found: Mapping[str, Any], scales: Mapping[str, tuple[float, float]]) -> list[tuple[str, str]]:
    tables, mark = found["kept"], " (simulated raters)" if found["simulated"] else ""
    drawn = []
    for criterion, table in tables["criteria"].items():
        scale = scales[criterion]
        if any(system["counts"] for system in table["systems"].values()) and scale[1] - scale[0] <= 10:
            drawn.append(
                (f"answers-{criterion}", charts.likert_bars(table["systems"], scale, f"{criterion}: answers{mark}"))
            )
        dots = [{"label": name, **system} for name, system in table["systems"].items()]
        drawn.append((f"means-{criterion}", charts.interval_dots(dots, *scale, f"{criterion}: means, 95 %{mark}")))
        drawn.append(
            (f"raters-{criterion}", charts.heat_map(table["matrix"], scale, f"{criterion}: raters by clips{mark}"))
        )
    if "origin" in tables:
        dots = [{"label": n, "mean": s["said_ai"]["share"], "low": s["said_ai"]["low"], "high": s["said_ai"]["high"]}
                for n, s in tables["origin"]["systems"].items()]  # fmt: skip
        drawn.append(("origin", charts.interval_dots(dots, 0, 1, f"share called AI, Wilson 95 %{mark}", 0.5)))
    if "preference" in tables:
        dots = [{"label": n, "mean": s["strength"], "low": s["low"], "high": s["high"]}
                for n, s in tables["preference"]["systems"].items()]  # fmt: skip
        drawn.append(("preference", charts.interval_dots(dots, 0, 1, f"preferred: Bradley-Terry strength{mark}")))
    if "abx" in tables:
        dots = [{"label": f"{p['one']} | {p['other']}", "mean": p["share"], "low": p["low"], "high": p["high"]}
                for p in tables["abx"]["pairs"]]  # fmt: skip
        drawn.append(("abx", charts.interval_dots(dots, 0, 1, f"X matched rightly, Wilson 95 %{mark}", 0.5)))
    return drawn


def _page(found: Mapping[str, Any], title: str, design: str, drawings: Mapping[str, str]) -> str:
    said = f"{found['raters']} raters, {found['answers']} answers, {found.get('withdrawn', 0)} withdrawn"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if found["simulated"]:
        parts.append(
            f'<p class="warning"><strong>{found["simulated"]} of {found["raters"]} raters are simulated by a '
            "program.</strong> Nothing here is the opinion of a person.</p>"
        )
    parts.append(f"<p>{said}; design: {design}. Means are of raters and clips, both drawn anew for the intervals.</p>")
    parts.append(_exclusions(found["excluded"]))
    parts += ["<h2>After exclusions</h2>", _tables(found["kept"])]
    parts += ["<h2>All raters</h2>", _tables(found["all"])]
    parts += ["<h2>Charts (after exclusions)</h2>", *drawings.values()]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}: report</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _exclusions(reasons: Mapping[str, str]) -> str:
    if not reasons:
        return "<p>No rater breaks a rule of exclusion.</p>"
    rows = "".join(f"<li>rater {html.escape(r)} {html.escape(reason)}</li>" for r, reason in reasons.items())
    return f"<p>{len(reasons)} raters are left out of the first tables:</p><ul>{rows}</ul>"


def _tables(tables: Mapping[str, Any]) -> str:
    parts = []
    for criterion, table in tables["criteria"].items():
        rows = [[name, _interval(s), str(s["n"]), _plain(s["sd"])] for name, s in table["systems"].items()]
        parts.append(f"<h3>{html.escape(criterion)}</h3>" + _table(["system", "mean [95 %]", "answers", "sd"], rows))
        parts.append(f"<p>Krippendorff's alpha (ordinal): {_plain(table['alpha'])}</p>")
        parts += [f"<p>{html.escape(s['reason'])}.</p>" for s in table["systems"].values() if s["reason"]]
    if tables["differences"]:
        rows = [
            [d["criterion"], f"{d['one']} − {d['other']}", _interval(d), _plain(d["p"], 4), _plain(d.get("p_holm"), 4)]
            for d in tables["differences"]
        ]
        parts.append("<h3>Differences</h3>" + _table(["criterion", "pair", "difference [95 %]", "p", "p (Holm)"], rows))
    for name, head in (("origin", "Human or AI"), ("preference", "Preference"), ("abx", "ABX")):
        if name in tables:
            parts.append(f"<h3>{head}</h3>" + _shares(name, tables[name]))
    return "".join(parts)


def _shares(name: str, table: Mapping[str, Any]) -> str:
    if name == "origin":
        rows = [
            [
                name,
                "human" if s["human"] else "AI",
                _share(s["said_ai"]),
                _share(s["correct"]),
                _plain(s["correct"]["p"], 4),
            ]
            for name, s in table["systems"].items()
        ]
        shown = _table(["system", "is", "called AI", "answered rightly", "p against guessing"], rows)
        found = table.get("detection")
        note = f"d' {found['d_prime']:.2f}, criterion {found['criterion']:.2f}. " if found else ""
        return f"{shown}<p>{note}Answers of one rater are not independent: p-values are a guide.</p>"
    if name == "preference":
        rows = [
            [p["one"], p["other"], f"{p['wins']:g} of {p['n']}", _share(p), _plain(p["p"], 4)] for p in table["pairs"]
        ]
        note = "<p>Some system never lost: half a win each way was added.</p>" if table["regularised"] else ""
        return _table(["one", "other", "preferred", "share [95 %]", "p"], rows) + note
    rows = [
        [f"{p['one']} | {p['other']}", f"{p['k']} of {p['n']}", _share(p), _plain(p["p"], 4)] for p in table["pairs"]
    ]
    return _table(["pair", "right", "share [95 %]", "p"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{html.escape(", ".join(head))}">{table}</div>'


def _interval(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['mean']:.2f} (no interval)"
    return f"{found['mean']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _share(found: Mapping[str, Any]) -> str:
    return f"{found['share']:.0%} [{found['low']:.0%}, {found['high']:.0%}]"


def _plain(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
