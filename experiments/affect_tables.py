"""Tables of the affect experiments for the pages, each from its result file (experiments.pages fills them in)."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from benchmarks import result_file
from experiments.affect_rows import DIMENSIONS

Rows = list[dict[str, Any]]


def hearing() -> str:
    """Level, arc inside a piece and quadrants of scores, each beside its floor."""
    return _by_model("affect_hearing")


def sound() -> str:
    """Level and arc inside a piece of sounds, and the level by instruments and a SoundFont that nothing learnt from."""
    return _by_model("affect_sound")


def reach() -> str:
    """The 5 x 5 grid of targets: what the scorer that chose nothing measures of the music composed for each."""
    rows = [r for r in _rows("affect_composing") if r.get("way") == "melody and controls" and "target" in r]
    measured = {tuple(r["target"]): r["repeats"] for r in rows if r["scorer"] == "other"}
    across = sorted({target[0] for target in measured})
    lines = []
    for arousal in sorted({target[1] for target in measured}, reverse=True):
        cells = []
        for valence in across:
            v, a = measured[valence, arousal]
            near = ((v - valence) ** 2 + (a - arousal) ** 2) ** 0.5 <= 0.2
            cells.append(f"**{v:+.2f}, {a:+.2f}**" if near else f"{v:+.2f}, {a:+.2f}")
        lines.append([f"arousal {arousal:+.2f}", *cells])
    return _table(["asked", *(f"valence {valence:+.2f}" for valence in across)], lines)


def composing() -> str:
    """Ways to meet the grid by every scorer: share within .2 and mean absolute errors, with 95 % intervals."""
    rows = [row for row in _rows("affect_composing") if "measure" in row]
    return _by(
        rows,
        "way",
        "measure",
        [f"{s} {m}" for s in ("planning", "other", "sound") for m in ("reached", "MAE V", "MAE A")],
    )


def search() -> str:
    """Mean distance from the target of what each search finds, by the scorer it had and by the other."""
    return _by(_rows("affect_search"), "method", "scorer", ["planning", "other"])


def round_trip() -> str:
    """What is left of an arc after one leg and after both, with 95 % intervals, and what must do worse."""
    rows = [row for row in _rows("affect_round_trip") if "model" not in row and "measure" in row]
    names = ["r", "r V", "r A", "constant", "reversed", "other arcs", "all shuffles beaten"]
    return _by([row for row in rows if row["measure"] in names], "leg", "measure", names)


def retrieval() -> str:
    """How often the right story and the right music is found by the arc alone."""
    rows = [row for row in _rows("affect_round_trip") if row.get("leg") in ("right story", "right music")]
    return _by(rows, "leg", "measure", ["R@1", "R@5", "MRR", "chance R@1", "chance R@5", "chance MRR"])


def reward_training() -> str:
    """Tunes before and after training by reward, and the best of as many without training."""
    rows = [row for row in _rows("affect_grpo") if "tunes" in row and "repeats" in row]
    rows = [
        row | {"measure": f"{row['scorer']} {row['measure']}" if "scorer" in row else row["measure"]} for row in rows
    ]
    names = [
        "reward distance",
        "other distance",
        "share_of_right_tunes",
        "share_with_copied_phrase",
        "mean_pairwise_distance",
    ]
    return _by(rows, "tunes", "measure", names)


def bars() -> str:
    """Bars written for a mood, beside real ones; means of the folds."""
    names = ["level CCC V", "level CCC A", "shape r V", "shape r A", "precision", "coverage", "Fréchet", "copied"]
    return _by(_rows("affect_bars"), "way", "measure", names)


TABLES: dict[str, Callable[[], str]] = {
    f"affect_{table.__name__}": partial(table)
    for table in (hearing, sound, reach, composing, search, round_trip, retrieval, reward_training, bars)
}


def _rows(name: str) -> Rows:
    rows: Rows = result_file.read(result_file.EXPERIMENTS / f"{name}.json")["rows"]
    return rows


def _by_model(name: str) -> str:
    """A line for each model, subject and measure of a result, valence beside arousal."""
    rows = _rows(name)
    lines = []
    for of in dict.fromkeys(row["of"] for row in rows):
        for model in dict.fromkeys(row["model"] for row in rows if row["of"] == of):
            own = [row for row in rows if row["of"] == of and row["model"] == model]
            for measure in dict.fromkeys(row["measure"] for row in own):
                if measure in ("ccc", "slope"):
                    continue
                pair = [_figure(result_file.select({"rows": own}, measure=measure, dimension=d)) for d in DIMENSIONS]
                lines.append([of, model, {"mae": "MAE"}.get(measure, measure), *pair])
    return _table(["what", "by", "measure", "valence", "arousal"], lines)


def _by(rows: Rows, line: str, column: str, names: Sequence[str]) -> str:
    """A line for each value of one key, a column for each of some values of another."""
    lines = []
    for value in dict.fromkeys(row[line] for row in rows if line in row):
        own = [row for row in rows if row.get(line) == value]
        lines.append([value, *(_figure([row for row in own if row.get(column) == name]) for name in names)])
    return _table([line, *(name.replace("share_", "").replace("_", " ") for name in names)], lines)


def _figure(rows: Rows) -> str:
    """The mean of a row's repeats, with its interval where it has one."""
    if not rows or "repeats" not in rows[0]:
        return "–"
    row = rows[0]
    text = f"{fmean(row['repeats']):.3f}"
    return f"{text} ({row['low']:.2f} to {row['high']:.2f})" if "low" in row else text


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = [list(columns), ["---"] * len(columns)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*head, *lines])
