"""What good, bad and cheating look like under every measure, and does each measure catch what it claims to catch?

    python -m experiments.controls

Measures human tunes (the held-out set, and the validation set as a second one), the controls made of them and of the
training set, and N tunes of each model, unconstrained; prints the table, then for each measure the controls that it
separates from human tunes. Two sets are separated when their intervals have no value in common: intervals of likelihood
are of a bootstrap over tunes, all others of halves of the set (`symbolic.evaluate.metrics.bootstrap`). A measure claims
controls in `symbolic.evaluate.comparison.MEASURES`; a claim that does not hold makes the exit status 1. That the second
human set is separated from the first is a false alarm, and is listed.

Every set has as many tunes as the held-out set, since some measures depend on that number; under --likelihood MODEL at
most --scored tunes of each are scored.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.errors import UserError
from symbolic.evaluate.comparison import CONTROLS, HELD_OUT, MEASURES, Metric, TuneReference
from symbolic.evaluate.metrics.bootstrap import Interval
from symbolic.evaluate.report.tables import Table

SECOND = "human, validation"
DRAWS = 60
Figures = dict[str, dict[str, float]]  # measure -> value, low, high


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("--models", nargs="*", default=["gpt2-6m", "mamba2-6m"], metavar="MODEL")
    made.add_argument("--likelihood", default="gpt2-6m", metavar="MODEL", help="'' leaves likelihood out")
    made.add_argument("--scored", type=int, default=100, metavar="N", help="tunes of each set under --likelihood")
    made.add_argument("--draws", type=int, default=DRAWS, help="halves of a set for an interval")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "controls.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every set, print, write; 1 when a claim does not hold."""
    from symbolic.evaluate import comparison
    from symbolic.evaluate.report import tables

    reference = comparison.load_reference(args.data)
    texts = every_set(reference, args)
    settings = {"draws": args.draws, "scored": args.scored, "likelihood": args.likelihood, "claims": claims()}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("controls", seed=args.seed, settings=settings, data_digest=digest)
    found: dict[str, Figures] = {}
    for name, own in texts.items():
        print(f"{name}: {len(own)} tunes", file=sys.stderr)
        found[name] = figures(own, reference, args)
    columns = {
        name: {**{key: one["value"] for key, one in measured.items()}, "n_tunes": len(texts[name])}
        for name, measured in found.items()
    }
    for name, measured in found.items():
        for key, one in measured.items():
            keys = {"set": name, "kind": _kind(name, args.models), "measure": key, "n_tunes": len(texts[name])}
            recorder.measured([one["value"]], _unit(key), low=one["low"], high=one["high"], **keys)
    title = "Every measure of human tunes, controls and models"
    shown = [comparison.comparison_table(columns, reference, title), claim_table(found), *alarm_table(found)]
    print("\n".join(map(tables.console, shown)), file=sys.stderr)
    recorder.write(args.output)
    broken = [(measure, control) for measure, own in claims().items() for control in own
              if measure in found[HELD_OUT] and not separated(found, measure, control)]  # fmt: skip
    for measure, control in broken:
        print(f"error: {measure} claims to catch '{control}' and does not.", file=sys.stderr)
    return 1 if broken else 0


def claims() -> dict[str, list[str]]:
    """Measure -> the controls that it claims to catch."""
    return {one.key: list(one.catches) for one in MEASURES if one.catches}


def every_set(reference: TuneReference, args: argparse.Namespace) -> dict[str, list[str]]:
    """Human sets, controls, models."""
    from symbolic.evaluate import comparison

    sets = comparison.comparison_texts(reference, seed=args.seed)
    n = len(sets[HELD_OUT])
    valid = [row["text"] for row in files.read_jsonl(args.data / "tunes" / "valid.jsonl")]
    sets = {HELD_OUT: sets[HELD_OUT], SECOND: random.Random(args.seed).sample(valid, min(n, len(valid))), **sets}
    return sets | {model: generated(model, n, args.seed) for model in args.models}


def generated(model: str, n: int, seed: int) -> list[str]:
    """n tunes that a model writes, unconstrained, at temperature 1."""
    from symbolic.__main__ import VERBS
    from symbolic.evaluate import sets

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tunes.abc"
        if command_line.main(
            "symbolic", VERBS, ["generate", model, "-n", str(n), "--seed", str(seed), "-o", str(path)]
        ):
            raise UserError(f"{model} could not write its tunes.")
        return [tune.text for tune in sets.read_tunes(path)]


def figures(texts: list[str], reference: TuneReference, args: argparse.Namespace) -> Figures:
    """Every measure of a set with its interval; measures without one (they have no value in some halves) are left
    out."""
    from symbolic.evaluate import comparison, sets

    measured = comparison.measure(texts, reference)
    values = comparison.summary(measured, reference, args.seed)
    spread = comparison.interval_of(measured, reference, draws=args.draws, seed=args.seed)
    found = {
        key: {"value": float(values[key]), "low": low, "high": high}
        for key, (low, high) in spread.items()
        if isinstance(values.get(key), int | float)
    }
    if args.likelihood:
        from symbolic.evaluate import evaluation

        score = evaluation.scorer(args.likelihood, reference, "cpu")
        likelihood = score([sets.canonical_text(text) for text in texts[: args.scored]])
        found |= comparison.likelihood_figures(likelihood)
    return found


def separated(found: Mapping[str, Figures], measure: str, name: str, human: str = HELD_OUT) -> bool:
    """Whether the intervals of a set and of the human tunes have no value in common."""
    one, other = found[name].get(measure), found[human].get(measure)
    if one is None or other is None:
        return False
    return not Interval(one["low"], one["high"]).overlaps(Interval(other["low"], other["high"]))


def claim_table(found: Mapping[str, Figures]) -> Table:
    """For each measure and control: what it claims (✓ kept, ✗ broken), and what it catches besides (+)."""
    controls = [name for name in CONTROLS if name in found]
    rows = []
    for one in MEASURES:
        if one.key in found[HELD_OUT] and one.key != "n_tunes":
            human = found[HELD_OUT][one.key]
            signs = [_sign(one, name, found) for name in controls]
            rows.append([one.label, f"{human['low']:.3f}–{human['high']:.3f}", one.good or "description", *signs])
    note = "✓ claimed and separated from human tunes, ✗ claimed and not separated, + separated though not claimed."
    return Table("What each measure catches", ["measure", "human, interval", "good is", *controls], rows, note)


def alarm_table(found: Mapping[str, Figures]) -> list[Table]:
    """Measures by which one human set is told from the other."""
    keys = [one for one in MEASURES if separated(found, one.key, SECOND)] if SECOND in found else []
    rows = [[one.label, *(_interval_text(found[name][one.key]) for name in (HELD_OUT, SECOND))] for one in keys]
    return [Table("False alarms", ["measure", HELD_OUT, SECOND], rows)] if rows else []


def _sign(one: Metric, control: str, found: Mapping[str, Figures]) -> str:
    caught = separated(found, one.key, control)
    return ("✓" if caught else "✗") if control in one.catches else ("+" if caught else "")


def _interval_text(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"


def _kind(name: str, models: Sequence[str]) -> str:
    return "model" if name in models else "control" if name in CONTROLS else "human"


def _unit(key: str) -> str:
    kinds = {one.key: (one.label, one.kind) for one in MEASURES}
    label, kind = kinds.get(key, (key, float))
    if "bits per" in label:
        return "bits/" + label.split("bits per ")[1].split(" ")[0].rstrip(",")
    inside = label.partition("(")[2].rstrip(")")
    return inside or ("share" if kind.__name__ == "Share" else "1")


if __name__ == "__main__":
    sys.exit(main())
