"""Write the benchmark table of README.md from benchmarks/results/*.json, between its two marker comments.

    python -m benchmarks.readme

A README without the markers is left as it is, with a message that says where to put them. A result file that is not
there is 'not run'.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import decoding, training
from experiments import results
from symbolic import files, verbs
from symbolic.errors import UserError

README = results.ROOT / "README.md"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
COMMAND = {name: f"python -m benchmarks.{name}" for name in ("decoding", "training", "preparing", "scaling")}


def main() -> int:
    return verbs.guarded(_run)


def _run() -> int:
    text = README.read_text(encoding="utf-8")
    files.write_whole(README, replaced(text, section(results.BENCHMARKS)))
    print(f"wrote the table of {README}", file=sys.stderr)
    return 0


def replaced(text: str, table: str) -> str:
    """`text` with what stands between the markers replaced; UserError where they are not."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"README.md has no place for the table: put {BEGIN} and {END} on lines of their own.")
    return f"{before}{BEGIN}\n\n{table.strip()}\n\n{END}{after}"


def section(folder: Path) -> str:
    """All tables with the machine they were measured on."""
    found = {name: results.read(folder / f"{name}.json") for name in COMMAND if (folder / f"{name}.json").exists()}
    blocks = [_decoding(found.get("decoding")), _training(found.get("training")), _preparing(found.get("preparing"))]
    return "\n\n".join([*blocks, _machines(found)])


def best_peer(rows: Sequence[results.Row]) -> results.Row | None:
    """The fastest row that is not ours."""
    theirs = [row for row in rows if "repeats" in row and not row["path"].startswith("ours")]
    return max(theirs, key=lambda row: statistics.median(row["repeats"]), default=None)


def _decoding(result: dict[str, Any] | None) -> str:
    head = "| decoding, tokens/s | threads | class | ours | best peer | ours over it | over `transformers` |"
    if result is None:
        return _empty(head, "decoding")
    lines = []
    rows = results.select(result, quantity="speed")
    for model, threads, batch in dict.fromkeys((r["model"], r["threads"], r["batch"]) for r in rows):
        block = results.select(result, model=model, threads=threads, batch=batch, quantity="speed")
        alone = [row for row in block if row["precision"] == "bfloat16"]
        lines.append(_decoding_line(block, model, batch, threads, "float32", "float32"))
        lines.append(_decoding_line(alone, model, batch, threads, "bfloat16", "bfloat16"))
        lines.append(_decoding_line(block, model, batch, threads, "bfloat16", "bfloat16, int8"))
    return _table(head, lines)


def _decoding_line(
    block: list[results.Row], model: str, batch: int, threads: int, precision: str, words: str
) -> list[str]:
    same = [row for row in block if decoding.same_class(row, precision)]
    ours, peer = decoding.best_of_ours(block, precision), best_peer(same)
    library = [row for row in block if row["engine"].startswith("transformers")]
    cells = [_cell(ours), _cell(peer), _ratio(ours, peer), _ratio(ours, best_peer(library))]
    return [f"{model}, batch {batch}", str(threads), words, *cells]


def _training(result: dict[str, Any] | None) -> str:
    head = "| training, tokens/s | ours | best peer | ours over it |"
    if result is None:
        return _empty(head, "training")
    lines = []
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = results.select(result, model=model)
        ours, peer = training.fastest(rows, ours=True), training.fastest(rows, ours=False)
        lines.append([model, _cell(ours), _cell(peer), _ratio(ours, peer)])
    return _table(head, lines)


def _preparing(result: dict[str, Any] | None) -> str:
    head = "| preparing | tunes | tunes/s | peak MiB | ours over it |"
    if result is None:
        return _empty(head, "preparing")
    lines = []
    for row in results.select(result, quantity="speed"):
        memory = results.find(result, quantity="memory", path=row["path"], corpus=row["corpus"])
        ours = results.find(result, quantity="speed", path="ours", corpus=row["corpus"])
        ratio = "" if row["path"] == "ours" else _ratio(ours, row)
        lines.append([row["path"], f"{row['tunes']:,}", results.row_text(row), results.row_text(memory), ratio])
    return _table(head, lines)


def _machines(found: dict[str, dict[str, Any]]) -> str:
    cards = {name: result["machine"] for name, result in found.items()}
    texts = {
        name: f"{card['gpu'] or card['cpu']}, {card['cores']} cores, PyTorch {card['torch']}, "
        f"transformers {card['transformers']}, commit {(card['commit'] or 'none')[:12]}"
        for name, card in cards.items()
    }
    lines = [f"- `{COMMAND[name]}`: {text}" for name, text in texts.items()]
    return "\n".join(["Median (lowest–highest) of interleaved repeats; raw numbers in `benchmarks/results/`.", *lines])


def _table(head: str, lines: Sequence[Sequence[str]]) -> str:
    n = head.count("|") - 1
    rule = "|---|" + "---:|" * (n - 1)
    return "\n".join([head, rule, *("| " + " | ".join(line) + " |" for line in lines)])


def _empty(head: str, name: str) -> str:
    n = head.count("|") - 1
    return _table(head, [[f"`{COMMAND[name]}`", *["not run"] * (n - 1)]])


def _cell(row: results.Row | None) -> str:
    if row is None or "repeats" not in row:
        return "not run"
    name = row["path"].removeprefix("ours, ")
    return f"{results.row_text(row)} {name}"


def _ratio(ours: results.Row | None, peer: results.Row | None) -> str:
    return results.spread_text(results.ratio(ours, peer) if ours and peer else None, 2)


if __name__ == "__main__":
    sys.exit(main())
