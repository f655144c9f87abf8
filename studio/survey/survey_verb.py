"""Listening surveys: made from any runs, answered in the browser, analysed honestly.

python -m studio survey make --from runs/a/tunes.abc runs/b/tunes.abc data/folk:test --items 8 -o surveys/pilot
python -m studio survey make configs/surveys/models.yaml -o surveys/models
python -m studio survey plan surveys/pilot                # clips, minutes a rater, power
python -m studio serve --surveys surveys                  # raters answer at /surveys/pilot
python -m studio survey report surveys/pilot              # surveys/pilot/report/report.html, answers.csv, SVG
python -m studio survey import ANSWERS.csv -o report      # the same report from webMUSHRA's CSV or a plain one
python -m studio survey simulate surveys/pilot -n 30      # raters made by a program, said to be so everywhere
python -m studio survey bundle surveys/pilot -o site --api https://example.org    # static pages for another host
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from symbolic.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-verbs and their options."""
    verbs = parser.add_subparsers(dest="survey_verb", metavar="VERB", required=True)
    make = _verb(verbs, "make", "render the clips and write the survey's folder")
    make.add_argument("spec", nargs="?", type=Path, metavar="SURVEY.yaml", help="a survey's file, or give --from")
    make.add_argument(
        "--from", dest="sources", nargs="+", metavar="SOURCE", help="tunes, MIDI, recordings, model:NAME ..."
    )
    make.add_argument("--names", nargs="+", metavar="NAME", help="a name for each source, for the report only")
    make.add_argument("--human", nargs="+", metavar="NAME", help="which systems people made (asks human or AI)")
    make.add_argument("--design", default=None, help="rating (default), origin, preference, similarity, abx, mushra")
    make.add_argument("--items", type=int, help="clips a system (default: 8)")
    make.add_argument("--seconds", type=float, help="length of every clip (default: 20)")
    make.add_argument("--title", help="what raters read at the top")
    make.add_argument("--seed", type=int, help="which clips are drawn (default: 0)")
    make.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the new survey's folder")
    plan = _verb(verbs, "plan", "how long it takes, and what it can show")
    plan.add_argument("survey", type=Path, metavar="SURVEY", help="a survey's folder or YAML file")
    plan.add_argument("--raters", type=int, nargs="+", default=[10, 20, 40], help="default: 10 20 40")
    plan.add_argument("--simulations", type=int, default=200, help="per row of the power table (default: 200)")
    report = _verb(verbs, "report", "analyse the answers")
    report.add_argument("survey", type=Path, metavar="FOLDER", help="the survey's folder")
    report.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="default: FOLDER/report")
    export = _verb(verbs, "export", "one row an answer as CSV")
    export.add_argument("survey", type=Path, metavar="FOLDER", help="the survey's folder")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    simulate = _verb(verbs, "simulate", "answer a survey by simulated raters, to try it")
    simulate.add_argument("survey", type=Path, metavar="FOLDER", help="the survey's folder")
    simulate.add_argument("-n", type=int, default=20, help="how many (default: 20)")
    simulate.add_argument("--seed", type=int, default=0, help="of the raters (default: 0)")
    imported = _verb(verbs, "import", "report of a CSV: webMUSHRA's, ours, or rater,system,value")
    imported.add_argument("csv", type=Path, metavar="FILE.csv", help="the answers")
    imported.add_argument("--scale", type=float, nargs=2, metavar=("LOW", "HIGH"), help="default: of the answers")
    imported.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the new report")
    bundle = _verb(verbs, "bundle", "static pages for another host, which post to this API")
    bundle.add_argument("survey", type=Path, metavar="FOLDER", help="the survey's folder")
    bundle.add_argument("--api", required=True, metavar="URL", help="where `python -m studio serve` is reached")
    bundle.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the new pages")


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do one sub-verb."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "make": _make, "plan": _plan, "report": _report, "export": _export, "simulate": _simulate, "import": _import,
        "bundle": _bundle,
    }  # fmt: skip
    return actions[args.survey_verb](args)


def _make(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from studio.survey.survey_folder import make_survey
    from studio.survey.survey_spec import SurveySpec, load_spec

    if (args.spec is None) == (args.sources is None):
        raise UsageError("give a survey's YAML file, or sources with --from; not both.")
    given = {name: getattr(args, name) for name in ("design", "items", "seconds", "title", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    if args.human:
        given["human"] = tuple(args.human)
    spec = load_spec(args.spec) if args.spec else SurveySpec(args.output.name, _named(args.sources, args.names))
    survey = make_survey(replace(spec, **given), args.output)
    print(f"{len(survey.stimuli)} clips of {len(spec.systems)} systems in {survey.folder}; key.json stays with you.")
    print(f"Next: python -m studio serve --surveys {survey.folder.parent}  (raters: /surveys/{survey.folder.name})")
    return 0


def _named(sources: list[str], names: list[str] | None) -> dict[str, str]:
    """A name for each source: the given one, or what tells the sources apart."""
    if names and len(names) != len(sources):
        raise UsageError(f"--names has {len(names)} names for {len(sources)} sources.")
    named: dict[str, str] = {}
    for i, source in enumerate(sources):
        stem = Path(source.split(":")[-1]).stem if ":" not in source else source.replace(":", "-").replace("/", "-")
        name = names[i] if names else (stem if stem not in ("tunes", "") else Path(source).parent.name or stem)
        named[name if name not in named else f"{name}-{i + 1}"] = source
    return named


def _plan(args: argparse.Namespace) -> int:
    from studio.survey.power_plan import plan_lines

    for line in plan_lines(args.survey, args.raters, args.simulations):
        print(line)
    return 0


def _report(args: argparse.Namespace) -> int:
    from studio.survey.results.survey_report import write_report
    from studio.survey.survey_folder import read_survey

    folder = args.output or args.survey / "report"
    found = write_report(read_survey(args.survey), folder)
    note = f" ({found['simulated']} simulated)" if found["simulated"] else ""
    print(f"{found['raters']} raters{note}, {len(found['excluded'])} excluded: {folder / 'report.html'}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from studio.survey.answer_store import AnswerStore
    from studio.survey.results.answer_rows import rows_of, to_csv
    from studio.survey.survey_folder import read_survey
    from symbolic import files

    text = to_csv(rows_of(read_survey(args.survey), AnswerStore(args.survey / "answers.sqlite")))
    if args.output:
        files.write_whole(args.output, text)
    else:
        sys.stdout.write(text)
    return 0


def _simulate(args: argparse.Namespace) -> int:
    from studio.survey.answer_store import AnswerStore
    from studio.survey.simulated_raters import simulate_raters
    from studio.survey.survey_folder import read_survey

    if not 1 <= args.n <= 10_000:
        raise UsageError(f"-n {args.n}: give 1 to 10000 simulated raters.")
    simulate_raters(read_survey(args.survey), AnswerStore(args.survey / "answers.sqlite"), args.n, seed=args.seed)
    print(f"{args.n} simulated raters answered. Every report says that they are no people.")
    return 0


def _import(args: argparse.Namespace) -> int:
    from studio.survey.results.answer_rows import read_csv
    from studio.survey.results.survey_analysis import analyse
    from studio.survey.results.survey_report import write_tables

    rows = read_csv(args.csv)
    low, high = args.scale or (min(row.value for row in rows), max(row.value for row in rows))
    found = analyse(rows)
    write_tables(rows, found, args.csv.stem, "imported", args.output, {row.criterion: (low, high) for row in rows})
    told = {"raters": found["raters"], "answers": found["answers"], "report": str(args.output / "report.html")}
    print(json.dumps(told))
    return 0


def _bundle(args: argparse.Namespace) -> int:
    from studio.survey.static_bundle import write_bundle
    from studio.survey.survey_folder import read_survey

    write_bundle(read_survey(args.survey), args.api, args.output)
    print(f"Copy {args.output} to any web host; answers are posted to {args.api}.")
    return 0
