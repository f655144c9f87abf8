"""Inference time against sequence length and batch: where GPT-2 and Mamba cross.

    python -m benchmarks.scaling && python -m experiments.inference

Reads benchmarks/results/scaling.json, which holds prefill and step times from 128 to 16,384 tokens and batches 1 to
256, and adds what the study asks of them: the length from which a state-space model's prefill and step are faster than
GPT-2's (interpolated between measured lengths, on logarithmic axes), and the bytes of cache or state there.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file, scaling
from symbolic import command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--scaling", type=Path, default=result_file.BENCHMARKS / "scaling.json")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "inference.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Compute the crossings and write them beside the curves."""
    measured = result_file.read(args.scaling)
    result = {**measured, "name": "inference", "rows": [*measured["rows"], *crossings(measured)]}
    result_file.write(args.output, result)
    print(table(result), file=sys.stderr)
    print(f"written to {args.output}")
    return 0


def crossings(measured: dict[str, Any]) -> list[result_file.Row]:
    """For each path, quantity and state-space model the length from which it is faster than GPT-2."""
    rows = []
    paths = dict.fromkeys(row["path"] for row in measured["rows"])
    for path in paths:
        for quantity in ("prefill", "step"):
            transformers = curves(measured, path, quantity, "gpt2")
            for family in ("mamba", "mamba2"):
                for name, other in curves(measured, path, quantity, family).items():
                    for reference, base in transformers.items():
                        rows.append(_crossing(path, quantity, name, other, reference, base))
    return rows


def curves(measured: dict[str, Any], path: str, quantity: str, family: str) -> dict[str, dict[int, float]]:
    """Median seconds by length at batch 1, of each model of a family."""
    found: dict[str, dict[int, float]] = {}
    for row in result_file.select(measured, path=path, quantity=quantity, family=family, line="length"):
        if "repeats" in row:
            found.setdefault(row["model"], {})[row["tokens"]] = statistics.median(row["repeats"])
    return found


def table(result: dict[str, Any]) -> str:
    """The crossings for people."""
    lines = ["faster than GPT-2 from (tokens):"]
    for row in result_file.select(result, line="crossing"):
        value = f"{row['repeats'][0]:,.0f}" if "repeats" in row else row["not_run"]
        lines.append(f"  {row['model']:12} {row['path']:7} {row['quantity']:8} {value}")
    return "\n".join(lines)


def _crossing(
    path: str, quantity: str, name: str, other: dict[int, float], reference: str, base: dict[int, float]
) -> result_file.Row:
    keys = {"model": name, "path": path, "quantity": quantity, "line": "crossing", "than": reference}
    lengths = sorted(set(other) & set(base))
    if not lengths:
        return {**keys, "not_run": "no length at which both were measured"}
    ours, theirs = [other[n] for n in lengths], [base[n] for n in lengths]
    length = scaling.crossover(lengths, ours, theirs)
    if length is not None:
        return {**keys, "unit": "tokens", "repeats": [length]}
    faster = "faster" if ours[-1] < theirs[-1] else "slower"
    return {**keys, "not_run": f"{faster} at every measured length, {lengths[0]:,} to {lengths[-1]:,}"}


if __name__ == "__main__":
    sys.exit(main())
