"""The tables of speed and memory as Markdown, made from the result files; `experiments.pages` puts them into docs/.

A result file that is not there is 'not run'.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import decoding, result_file, training

Lines = list[list[str]]  # of a table: cells
STUDY = result_file.EXPERIMENTS
COMMAND = {name: f"python -m experiments.{name}" for name in ("training_time", "inference")}
COMMAND |= {name: f"python -m benchmarks.{name}" for name in ("decoding", "training", "preparing")}
PREFILLS, STEPS = (512, 4096), (512, 16_384)  # tokens, in the table of inference


def section(folder: Path) -> str:
    """All tables with the machine they were measured on."""
    paths = {
        name: (STUDY if "experiments" in command else folder) / f"{name}.json" for name, command in COMMAND.items()
    }
    found = {name: result_file.read(path) for name, path in paths.items() if path.exists()}
    return "\n\n".join([*(_table(name, found.get(name)) for name in TABLES), _machines(found)])


def _table(name: str, result: dict[str, Any] | None) -> str:
    columns, lines_of = TABLES[name]
    lines = [[f"`{COMMAND[name]}`", *["not run"] * (len(columns) - 1)]] if result is None else lines_of(result)
    rule = "|---|" + "---:|" * (len(columns) - 1)
    return "\n".join([_row(columns), rule, *map(_row, lines)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def best_peer(rows: Sequence[result_file.Row]) -> result_file.Row | None:
    """The fastest row that is not ours."""
    theirs = [row for row in rows if "repeats" in row and not row["path"].startswith("ours")]
    return max(theirs, key=lambda row: statistics.median(row["repeats"]), default=None)


def _training_time(result: dict[str, Any]) -> Lines:
    lines = []
    for row in result_file.select(result, quantity="rate"):
        gpt2 = result_file.find(result, quantity="rate", model=f"gpt2-{row['model'].partition('-')[2]}")
        hours = f"{row['projected_hours']:,.0f}"
        lines.append([row["model"], f"{row['parameters']:,}", result_file.row_text(row, 2), hours, _ratio(row, gpt2)])
    return lines


def _inference(result: dict[str, Any]) -> Lines:
    lines = []
    for model in dict.fromkeys(row["model"] for row in result_file.select(result, path="native")):
        keys = {"model": model, "path": "native", "line": "length"}
        prefills = [result_file.find(result, quantity="prefill", tokens=n, **keys) for n in PREFILLS]
        steps = [result_file.find(result, quantity="step", tokens=n, **keys) for n in STEPS]
        state = f"{steps[-1]['state_bytes'] / 2**20:.1f}" if steps[-1] and "repeats" in steps[-1] else "not run"
        lines.append([model, *map(_seconds, prefills), *(_seconds(row, 1000) for row in steps), state])
    return lines


def _seconds(row: result_file.Row | None, scale: float = 1) -> str:
    if row is None or "repeats" not in row:
        return "not run"
    return result_file.spread_text(result_file.spread([scale * value for value in row["repeats"]]), 2)


def _decoding(result: dict[str, Any]) -> Lines:
    rows = result_file.select(result, quantity="speed")
    blocks = dict.fromkeys((row["model"], row["threads"], row["batch"]) for row in rows)
    classes = (("float32", ["float32"]), ("bfloat16", ["bfloat16"]), ("bfloat16, int8", ["bfloat16", "int8"]))
    return [_decoding_line(result, rows, *block, *one) for block in blocks for one in classes]


def _decoding_line(
    result: dict[str, Any],
    rows: list[result_file.Row],
    model: str,
    threads: int,
    batch: int,
    words: str,
    precisions: Sequence[str],
) -> list[str]:
    """Our fastest on so many threads, and the peers on so many or fewer: some are slower on more."""
    able = [r for r in rows if (r["model"], r["batch"]) == (model, batch) and r["threads"] <= threads]
    able = [row for row in able if row["precision"] in precisions]
    ours = decoding.best_of_ours([row for row in able if row["threads"] == threads], precisions[0])
    peer, library = best_peer(able), best_peer([row for row in able if row["engine"].startswith("transformers")])
    fewer = f", {peer['threads']} thread" if peer and peer["threads"] < threads else ""
    cells = [_cell(ours), decoding.floor_text(result, ours), _cell(peer) + fewer, _ratio(ours, peer)]
    cells.append(_ratio(ours, library))
    return [f"{model}, batch {batch}", str(threads), words, *cells]


def _training(result: dict[str, Any]) -> Lines:
    lines = []
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = result_file.select(result, model=model)
        ours, peer = training.fastest(rows, ours=True), training.fastest(rows, ours=False)
        lines.append([model, _cell(ours), _cell(peer), _ratio(ours, peer)])
    return lines


def _preparing(result: dict[str, Any]) -> Lines:
    lines = []
    for row in result_file.select(result, quantity="speed"):
        memory = result_file.find(result, quantity="memory", path=row["path"], corpus=row["corpus"])
        ours = result_file.find(result, quantity="speed", path="ours", corpus=row["corpus"])
        ratio = "" if row["path"] == "ours" else _ratio(ours, row)
        lines.append([row["path"], f"{row['tunes']:,}", result_file.row_text(row), result_file.row_text(memory), ratio])
    return lines


def _machines(found: dict[str, dict[str, Any]]) -> str:
    cards = {name: result["machine"] for name, result in found.items()}
    texts = {
        name: f"{card['gpu'] or card['cpu']}, {card['cores']} cores, PyTorch {card['torch']}, "
        f"transformers {card['transformers']}, commit {_commit(card['commit'])}"
        for name, card in cards.items()
    }
    lines = [f"- `{COMMAND[name]}`: {text}" for name, text in texts.items()]
    return "\n".join(["Median (lowest–highest) of interleaved repeats; raw numbers in `benchmarks/results/`.", *lines])


def _commit(commit: str | None) -> str:
    """Twelve digits of a commit, with `+` where files differed from it."""
    return "none" if not commit else commit[:12] + ("+" if commit.endswith("+") else "")


def _cell(row: result_file.Row | None) -> str:
    if row is None or "repeats" not in row:
        return "not run"
    name = row["path"].removeprefix("ours, ")
    return f"{result_file.row_text(row)} {name}"


def _ratio(ours: result_file.Row | None, peer: result_file.Row | None) -> str:
    return result_file.spread_text(result_file.ratio(ours, peer) if ours and peer else None, 2)


# Columns, and what makes the lines of a result.
TABLES: dict[str, tuple[Sequence[str], Callable[[dict[str, Any]], Lines]]] = {
    "training_time": (
        ("100,000 steps of 8,192 tokens", "parameters", "steps/s", "hours, projected", "over GPT-2's rate"),
        _training_time,
    ),
    "inference": (
        (
            "inference, batch 1, float32",
            *(f"prefill of {n:,}, s" for n in PREFILLS),
            *(f"a token at {n:,}, ms" for n in STEPS),
            "state there, MiB",
        ),
        _inference,
    ),
    "decoding": (
        (
            *("decoding, tokens/s", "threads", "class", "ours", "of the floor", "best peer", "ours over it"),
            "over `transformers`",
        ),
        _decoding,
    ),
    "training": (("training, tokens/s", "ours", "best peer", "ours over it"), _training),
    "preparing": (("preparing", "tunes", "tunes/s", "peak MiB", "ours over it"), _preparing),
}
