"""Draw every figure again from the result files; nothing is measured and no GPU is needed.

    python -m experiments.figures                    # -> experiments/figures/*.svg
    python -m experiments.figures --format png -o /tmp/figures

Each figure reads one file of experiments/results/ or benchmarks/results/; a figure whose file is not there is left out
and named. A model family has one colour and one line pattern in all figures (symbolic.evaluate.report.palette); bands
and whiskers span the lowest to the highest repeat, or the interval that the axis label names.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import result_file
from experiments.learning_curves import interval
from symbolic import command_line, files
from symbolic.config import MIDI_KINDS
from symbolic.evaluate.report import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = result_file.ROOT / "experiments" / "figures"
WIDTH = 6.8  # inches: one column of text
FAMILIES = ("gpt2", "mamba", "mamba2", "lstm")
LABELS = {"gpt2": "GPT-2", "mamba": "Mamba", "mamba2": "Mamba-2", "lstm": "LSTM"}
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e0",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "figures",
    "pdf.fonttype": 42,
}
Drawer = Callable[[dict[str, Any]], "Figure"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("figures", nargs="*", metavar="NAME", type=_figure, help=f"default: all of {', '.join(FIGURES)}")
    made.add_argument("--format", default="svg", choices=("svg", "pdf", "png"))
    made.add_argument("--experiments", type=Path, default=result_file.EXPERIMENTS, help="folder of result files")
    made.add_argument("--benchmarks", type=Path, default=result_file.BENCHMARKS, help="folder of result files")
    made.add_argument("-o", "--output", type=Path, default=FOLDER)
    return made


def _figure(name: str) -> str:
    if name not in FIGURES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(FIGURES)}")
    return name


def run(args: argparse.Namespace) -> int:
    """Draw what there are results for."""
    for name in args.figures or FIGURES:
        where, source, draw = FIGURES[name]
        path = getattr(args, where) / f"{source}.json"
        if not path.exists():
            print(f"{name}: left out, {path} is not there", file=sys.stderr)
            continue
        target = args.output / f"{name}.{args.format}"
        save(draw(result_file.read(path)), target)
        print(target)
    return 0


def save(figure: "Figure", path: Path) -> None:
    """Write a figure whole; the same result gives the same bytes."""
    import io

    import matplotlib

    buffer, kind = io.BytesIO(), path.suffix[1:]
    date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=150, metadata=date)
    files.write_whole(path, buffer.getvalue())


# --- the figures -----------------------------------------------------------------------------------------------------


def learning_curves(result: dict[str, Any]) -> "Figure":
    """Validation bits per byte on four horizontal axes; bands as `experiments.learning_curves.interval` says."""
    figure, axes = _panels(2, 2, height=5.6, sharey=True)
    labels = {
        "steps": "optimiser steps",
        "tokens": "million tokens read",
        "seconds": "seconds of training (machine of the run)",
        "flops": "training FLOPs",
    }
    for panel, (axis, label) in zip(axes, labels.items(), strict=True):
        for model, rows in _grouped(result["rows"], "model").items():
            _curve(panel, rows, axis, model)
        panel.set_xlabel(label)
    for panel in (axes[0], axes[2]):
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes[1].xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
    for panel in axes[::2]:
        panel.set_ylabel("validation bits per byte")
    _legend(figure, axes[0])
    return figure


def training_time(result: dict[str, Any]) -> "Figure":
    """Hours of 100,000 steps, a dot a model; whiskers from the lowest and highest rate."""
    rows = [row for row in result["rows"] if "repeats" in row and row["quantity"] == "rate"]
    figure, (panel,) = _panels(1, 1, height=0.9 + 0.42 * len(rows))
    for place, row in enumerate(reversed(rows)):
        rates = result_file.spread(row["repeats"])
        middle, low, high = (row["projected_steps"] / rate / 3600 for rate in (rates.median, rates.high, rates.low))
        colour = palette.ink(row["family"]).light
        whisker = [[middle - low], [high - middle]]
        panel.errorbar(middle, place, xerr=whisker, fmt="o", ms=7, color=colour, capsize=3, lw=1.4)
        panel.text(high, place, f"  {middle:,.1f} h", va="center")
    panel.set_yticks(range(len(rows)), [row["model"] for row in reversed(rows)])
    panel.set_xlabel("hours for 100,000 steps, projected from the measured steps per second")
    panel.set_xscale("log")
    panel.set_xlim(panel.get_xlim()[0] / 1.2, panel.get_xlim()[1] * 1.8)
    panel.set_ylim(-0.6, len(rows) - 0.4)
    _plain_numbers(panel.xaxis)
    return figure


def inference_length(result: dict[str, Any]) -> "Figure":
    """Prefill, time per token and memory against length at batch 1; crossings are marked."""
    figure, axes = _panels(1, 3, height=3.0)
    path = _best_path(result)
    for panel, quantity, scale, label in (
        (axes[0], "prefill", 1.0, "prefill, seconds"),
        (axes[1], "step", 1e3, "step, milliseconds a token"),
    ):
        for family, rows in _lines(result, path, quantity, "length").items():
            _measured(panel, rows, "tokens", scale, family)
        for row in result_file.select(result, path=path, quantity=quantity, line="crossing"):
            if "repeats" in row:
                panel.axvline(row["repeats"][0], color=palette.FAMILIES["control"].light, lw=0.8, ls=":")
        panel.set_ylabel(label)
        _log_log(panel, "tokens in the sequence")
    for family, rows in _lines(result, path, "step", "length").items():
        kilobytes = [row["state_bytes"] / 2**20 for row in rows]
        axes[2].plot([row["tokens"] for row in rows], kilobytes, **_stroke(family))
    axes[2].set_ylabel("cache or state, MiB a sequence")
    _log_log(axes[2], "tokens in the sequence")
    _legend(figure, axes[0])
    return figure


def inference_batch(result: dict[str, Any]) -> "Figure":
    """Tokens per second against batch, prefill and step."""
    figure, axes = _panels(1, 2, height=3.0)
    path = _best_path(result)
    for panel, quantity in zip(axes, ("prefill", "step"), strict=True):
        for family, rows in _lines(result, path, quantity, "batch").items():
            per_call = [row["batch"] * (row["tokens"] if quantity == "prefill" else 1) for row in rows]
            spreads = [
                result_file.spread([n / s for s in row["repeats"]]) for n, row in zip(per_call, rows, strict=True)
            ]
            _band(panel, [row["batch"] for row in rows], spreads, family)
        panel.set_ylabel(f"{quantity}, tokens per second")
        _log_log(panel, "sequences in the batch (512 tokens each)")
    _legend(figure, axes[0])
    return figure


def copying(result: dict[str, Any]) -> "Figure":
    """Bits per byte of first occurrences and of repeated material, a group of bars a class."""
    models = list(_grouped([row for row in result["rows"] if "other" not in row], "model"))  # not the differences
    figure, (panel,) = _panels(1, 1, height=3.2)
    width = 0.8 / len(models)
    kinds = ("first", "repeated")
    for index, model in enumerate(models):
        rows = [result_file.find(result, model=model, **{"class": kind}) for kind in kinds]
        values = [row["repeats"][0] for row in rows if row]
        whiskers = [
            [v - r["low"] for v, r in zip(values, rows) if r],
            [r["high"] - v for v, r in zip(values, rows) if r],
        ]
        places = [place + (index - (len(models) - 1) / 2) * width for place in range(len(kinds))]
        colour = palette.ink(rows[0]["family"] if rows[0] else "").light
        panel.bar(places, values, width * 0.92, color=colour, label=model)
        panel.errorbar(places, values, yerr=whiskers, fmt="none", ecolor="#222222", capsize=3, lw=1)
        for place, value, above in zip(places, values, whiskers[1], strict=True):
            panel.text(place, value + above, f"{value:.3f}", ha="center", va="bottom", fontsize=8)
    notes = result["settings"]["notes"]
    panel.set_xticks(range(2), [f"first occurrence of {notes} notes", f"the last {notes} notes stood before"])
    panel.set_ylabel("bits per byte (95 % interval over tunes)")
    panel.grid(axis="x", visible=False)
    _legend(figure, panel)
    return figure


def vocabularies(result: dict[str, Any]) -> "Figure":
    """Bits per byte and seconds of each vocabulary at equal compute; a dot is a seed."""
    figure, axes = _panels(1, 2, height=2.4)
    units = {"bits per byte": "validation bits per byte", "seconds": "seconds of training"}
    for panel, (quantity, label) in zip(axes, units.items(), strict=True):
        rows = result_file.select(result, quantity=quantity)
        for place, row in enumerate(rows):
            panel.plot(row["repeats"], [place] * len(row["repeats"]), "o", color="#3b3b3b", alpha=0.55, ms=6)
            panel.plot(statistics.median(row["repeats"]), place, "|", color="#0072b2", ms=18, mew=2)
        panel.set_yticks(range(len(rows)), [row["vocabulary"] for row in rows])
        panel.set_ylim(-0.6, len(rows) - 0.4)
        panel.set_xlabel(label)
        panel.grid(axis="y", visible=False)
    axes[1].tick_params(labelleft=False)
    return figure


def representations(result: dict[str, Any]) -> "Figure":
    """Bytes and lengths of the forms of a tune: box from quartile to quartile, whiskers from 5 to 95 %."""
    figure, axes = _panels(1, 2, height=3.0)
    for panel, quantity, label in (
        (axes[0], "bytes", "bytes on disk"),
        (axes[1], "length", "elements of the sequence"),
    ):
        rows = result_file.select(result, quantity=quantity)[::-1]
        names = [row["form"] if quantity == "bytes" else f"{row['form']}, {row['sequence']}" for row in rows]
        panel.boxplot(
            [row["repeats"] for row in rows], orientation="horizontal", whis=(5, 95), showfliers=False,
            positions=range(len(rows)), medianprops={"color": "#0072b2", "lw": 2}, widths=0.5,
        )  # fmt: skip
        panel.plot(
            [row["reference"] for row in rows], range(len(rows)), "x", color="#c25400", label="reference study's tune"
        )
        panel.set_yticks(range(len(rows)), names)
        panel.set_xscale("log")
        panel.set_xlabel(label)
        panel.grid(axis="y", visible=False)
    axes[0].plot([], [], "-", color="#0072b2", lw=2, label="median (box: quartiles, whiskers: 5–95 %)")
    _legend(figure, axes[0])
    return figure


def abc_vs_midi(result: dict[str, Any]) -> "Figure":
    """What each notation costs and gives, a group of bars a notation, a bar a model; human pieces are a line."""
    figure, axes = _panels(2, 2, height=5.2)
    labels = {
        "bits per note": "bits per note, held-out tunes",
        "seconds to train": "processor seconds to train",
        "seconds per minute of music": "seconds per minute of music",
        "in bars": "share of pieces in their bars",
    }
    for panel, (quantity, label) in zip(axes, labels.items(), strict=True):
        rows = [row for row in result_file.select(result, quantity=quantity) if "repeats" in row]
        models = _grouped([row for row in rows if row["family"] != "human"], "model")
        kinds = list(dict.fromkeys(row["kind"] for own in models.values() for row in own))
        width = 0.8 / max(1, len(models))
        for index, (model, own) in enumerate(models.items()):
            values = [statistics.median(row["repeats"]) for row in own]
            places = [kinds.index(row["kind"]) + (index - (len(models) - 1) / 2) * width for row in own]
            panel.bar(places, values, width * 0.92, color=palette.ink(own[0]["family"]).light, label=model)
            for place, value in zip(places, values, strict=True):
                panel.text(place, value, f"{value:.3g}", ha="center", va="bottom", fontsize=7)
        for row in result_file.select(result, quantity=quantity, family="human"):
            alike = [place for place, kind in enumerate(kinds) if (kind in MIDI_KINDS) == (row["kind"] == "MIDI")]
            sides, level = [min(alike) - 0.5, max(alike) + 0.5], [row["repeats"][0]] * 2
            panel.plot(sides, level, color=palette.FAMILIES["human"].light, lw=1.2, ls="--", label=row["model"])
        panel.set_xticks(range(len(kinds)), kinds)
        panel.set_xlim(-0.6, len(kinds) - 0.4)
        panel.set_ylabel(label)
        panel.grid(axis="x", visible=False)
    handles = dict(zip(*axes[3].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=4, frameon=False)
    return figure


def decoding(result: dict[str, Any]) -> "Figure":
    """Tokens per second of every path at its better thread count, a panel a model and batch."""
    rows = [row for row in result_file.select(result, quantity="speed") if "repeats" in row]
    groups = _grouped(rows, "model", "batch")
    models, batches = (list(dict.fromkeys(key[i] for key in groups)) for i in (0, 1))
    longest = max(len({row["path"] for row in rows_}) for rows_ in groups.values())
    figure, axes = _panels(len(models), len(batches), height=len(models) * (0.8 + 0.2 * longest))
    for panel, (model, batch) in zip(axes, [(m, b) for m in models for b in batches], strict=True):
        _bars(panel, _best_threads(groups.get((model, batch), [])), model.split("-")[0])
        panel.set_title(f"{model}, batch {batch}", fontsize=9, loc="right")
        panel.set_xlabel("tokens per second")
    return figure


def training(result: dict[str, Any]) -> "Figure":
    """Tokens per second of every way of training, a panel a model."""
    groups = _grouped([row for row in result["rows"] if "repeats" in row], "model")
    figure, axes = _panels(len(groups), 1, height=sum(0.7 + 0.2 * len(rows) for rows in groups.values()))
    for panel, (model, rows) in zip(axes, groups.items(), strict=True):
        _bars(panel, rows, model.split("-")[0])
        panel.set_title(model, fontsize=9, loc="left")
    axes[-1].set_xlabel("tokens per second")
    return figure


def preparing(result: dict[str, Any]) -> "Figure":
    """Tunes per second, and memory against the size of the corpus."""
    figure, axes = _panels(1, 2, height=3.0)
    marks = {"ours": "o", "music21": "s", "datasets": "^", "datasets, parsed": "v"}
    for path, mark in marks.items():
        colour = palette.FAMILIES["gpt2"].light if path == "ours" else palette.FAMILIES["human"].light
        for panel, quantity in zip(axes, ("speed", "memory"), strict=True):
            rows = [row for row in result_file.select(result, quantity=quantity, path=path) if "repeats" in row]
            rows = list({row["tunes"]: row for row in rows}.values())
            if not rows:
                continue
            spreads = [result_file.spread(row["repeats"]) for row in rows]
            sizes = [row["tunes"] for row in rows]
            panel.plot(sizes, [s.median for s in spreads], f"-{mark}", color=colour, label=path, ms=5, lw=1.2)
    for panel, label in zip(axes, ("tunes per second", "largest process, MiB"), strict=True):
        _log_log(panel, "tunes in the corpus")
        panel.set_ylabel(label)
    _legend(figure, axes[0])
    return figure


FIGURES: dict[str, tuple[str, str, Drawer]] = {
    "learning_curves": ("experiments", "learning_curves", learning_curves),
    "seeds": ("experiments", "seeds", learning_curves),
    "training_time": ("experiments", "training_time", training_time),
    "inference_length": ("experiments", "inference", inference_length),
    "inference_batch": ("experiments", "inference", inference_batch),
    "copying": ("experiments", "copying", copying),
    "vocabularies": ("experiments", "vocabularies", vocabularies),
    "representations": ("experiments", "representations", representations),
    "abc_vs_midi": ("experiments", "abc_vs_midi", abc_vs_midi),
    "decoding": ("benchmarks", "decoding", decoding),
    "training": ("benchmarks", "training", training),
    "preparing": ("benchmarks", "preparing", preparing),
}


# --- parts of figures ------------------------------------------------------------------------------------------------


def _panels(rows: int, columns: int, *, height: float, sharey: bool = False) -> "tuple[Figure, list[Axes]]":
    """An empty figure and its panels, row by row."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    return figure, list(axes.flat)


def _stroke(family: str, label: str | None = None) -> dict[str, Any]:
    """Colour, pattern and name of a family's lines."""
    ink = palette.ink(family)
    pattern: Any = (0, [float(n) / 1.5 for n in ink.dash.split()]) if ink.dash else "-"
    return {"color": ink.light, "linestyle": pattern, "lw": 1.6, "label": label or LABELS.get(family, family)}


def _band(
    panel: "Axes", x: Sequence[float], spreads: Sequence[result_file.Spread], family: str, label: str = ""
) -> None:
    """Medians as a line, lowest to highest as a band."""
    panel.plot(x, [s.median for s in spreads], **_stroke(family, label or None))
    low, high = [s.low for s in spreads], [s.high for s in spreads]
    panel.fill_between(x, low, high, color=palette.ink(family).light, alpha=0.18, lw=0)


def _measured(panel: "Axes", rows: Sequence[result_file.Row], axis: str, scale: float, family: str) -> None:
    spreads = [result_file.spread([value * scale for value in row["repeats"]]) for row in rows]
    _band(panel, [row[axis] for row in rows], spreads, family)


def _curve(panel: "Axes", rows: Sequence[result_file.Row], axis: str, model: str) -> None:
    """One model's runs: at each step that all of them reached, the mean over seeds and its interval."""
    common = sorted(set.intersection(*(set(row["steps"]) for row in rows)))
    at = [[row["steps"].index(step) for step in common] for row in rows]
    x = [statistics.mean(row[axis][i[n]] for row, i in zip(rows, at)) for n in range(len(common))]
    spreads = [interval([row["repeats"][i[n]] for row, i in zip(rows, at)]) for n in range(len(common))]
    n_seeds = f", {len(rows)} seeds" if len(rows) > 1 else ""
    _band(panel, x, spreads, rows[0]["family"], f"{model}{n_seeds}")


def _bars(panel: "Axes", rows: Sequence[result_file.Row], family: str) -> None:
    """One bar a path, ours in the family's colour."""
    ordered = sorted(rows, key=lambda row: statistics.median(row["repeats"]))
    for place, row in enumerate(ordered):
        values, ours = result_file.spread(row["repeats"]), row["path"].startswith("ours")
        colour = palette.ink(family).light if ours else "#b9b9b4"
        panel.barh(place, values.median, color=colour, height=0.7)
        whisker = [[values.median - values.low], [values.high - values.median]]
        panel.errorbar(values.median, place, xerr=whisker, color="#222222", capsize=2, lw=0.9)
        panel.text(values.high, place, f" {values.median:,.0f}", va="center", fontsize=7)
    panel.set_yticks(range(len(ordered)), [row["path"] for row in ordered], fontsize=7)
    panel.set_xlim(right=panel.get_xlim()[1] * 1.18)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.grid(axis="y", visible=False)


def _best_threads(rows: Sequence[result_file.Row]) -> list[result_file.Row]:
    """Of each path the row of its better thread count."""
    return [max(same, key=lambda row: statistics.median(row["repeats"])) for same in _grouped(rows, "path").values()]


def _best_path(result: dict[str, Any]) -> str:
    """The native step where it was measured, else PyTorch's."""
    return "native" if any("repeats" in row for row in result_file.select(result, path="native")) else "torch"


def _lines(result: dict[str, Any], path: str, quantity: str, line: str) -> dict[str, list[result_file.Row]]:
    """Measured rows of each family, in the order of the families."""
    rows = [row for row in result_file.select(result, path=path, quantity=quantity, line=line) if "repeats" in row]
    return {family: own for family in FAMILIES if (own := [row for row in rows if row["family"] == family])}


def _grouped(rows: Sequence[result_file.Row], *keys: str) -> dict[Any, list[result_file.Row]]:
    groups: dict[Any, list[result_file.Row]] = {}
    for row in rows:
        groups.setdefault(row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys), []).append(row)
    return groups


def _log_log(panel: "Axes", label: str) -> None:
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xlabel(label)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _plain_numbers(panel.yaxis)
    panel.tick_params(axis="x", labelrotation=45)


def _plain_numbers(axis: Any) -> None:
    """0.2, 0.5, 1, 2, 5, 10 on a logarithmic axis; powers of ten alone where it spans many."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    many = high > 300 * low
    axis.set_major_locator(LogLocator(10, subs=(1.0,) if many else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_formatter(NullFormatter())


def _legend(figure: "Figure", panel: "Axes") -> None:
    handles, labels = panel.get_legend_handles_labels()
    columns = 4 if max(map(len, labels), default=0) * min(4, len(labels)) < 64 else 2  # what fits into WIDTH
    figure.legend(handles, labels, loc="outside upper center", ncols=min(columns, max(1, len(labels))), frameon=False)


if __name__ == "__main__":
    sys.exit(main())
