"""Result files of experiments and benchmarks: what was measured, on what, and every raw repeat.

    {"format": 1, "name": ..., "command": ..., "started": ISO 8601 UTC, "seconds": of the whole run,
     "machine": machine.card() with the commit at the start, "modified": [files that differed from it],
     "versions": {package: version or null},
     "seed": ..., "config_digests": {configuration: SHA-256}, "data_digest": SHA-256 or null, "settings": {...},
     "earlier": [{"command", "started", "commit"} of calls whose rows were kept],
     "rows": [{"model": "gpt2-6m", ..., "unit": "tokens/s", "repeats": [1.0, 1.1]},
              {"model": "mamba-6m", ..., "not_run": "why"}]}

A row has `repeats`, the raw numbers in the order in which they were measured, or `not_run` with the reason: what was
not measured is never 0. Medians, spreads and ratios are computed from the repeats when they are shown, never stored.
Repeat i of two rows of one interleaved run was measured in the same round, so a ratio is taken round by round.
"""

import dataclasses
import hashlib
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from symbolic import files, machine
from symbolic.errors import UserError

FORMAT = 1
ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "experiments" / "results"
BENCHMARKS = ROOT / "benchmarks" / "results"
PACKAGES = (
    *("numpy", "torch", "transformers", "tokenizers", "safetensors", "music21", "miditok", "accelerate", "mambapy"),
    *("ctranslate2", "llama-cpp-python", "onnxruntime", "openvino", "datasets", "mamba-ssm", "causal-conv1d", "triton"),
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of some repeats."""

    median: float
    low: float
    high: float

    def overlaps(self, other: "Spread") -> bool:
        """Whether a difference from `other` is within the noise (rule 4 of experiments/README.md)."""
        return self.low <= other.high and other.low <= self.high


@dataclass
class Recorder:
    """A result in the making: rows are added as they are measured, `write` fills in the rest."""

    name: str
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    config_digests: dict[str, str] = field(default_factory=dict)
    data_digest: str | None = None
    rows: list[Row] = field(default_factory=list)
    earlier: list[dict[str, Any]] = field(default_factory=list)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    began: float = field(default_factory=time.perf_counter)
    commit: str | None = field(default_factory=machine.commit)  # of the code that is loaded, not of a later commit
    modified: list[str] = field(default_factory=machine.modified_files)

    def measured(self, repeats: Sequence[float], unit: str, **keys: Any) -> None:
        """A row of raw numbers."""
        assert repeats and all(math.isfinite(value) for value in repeats), (keys, repeats)
        self.rows.append({**keys, "unit": unit, "repeats": list(repeats)})

    def not_run(self, reason: str, **keys: Any) -> None:
        """A row that could not be measured here."""
        assert reason
        self.rows.append({**keys, "not_run": reason})

    def keep(self, path: Path, is_measured_again: Callable[[Row], bool]) -> None:
        """Take over the other rows of the result file at `path`; UserError where they are not comparable with these."""
        if not path.exists():
            return
        before, card = read(path), machine.card()
        fixed = {**card, "commit": None} == {**before["machine"], "commit": None}
        if before["name"] != self.name or not fixed or before["data_digest"] != self.data_digest:
            raise UserError(
                f"{path} was measured on another machine, with other versions or other data: name another -o."
            )
        if differing := sorted(k for k, v in self.settings.items() if before["settings"].get(k, v) != v):
            raise UserError(f"{path} was measured with another {', '.join(differing)}: name another -o.")
        self.rows = [row for row in before["rows"] if not is_measured_again(row)]
        self.config_digests, self.settings = dict(before["config_digests"]), {**before["settings"], **self.settings}
        call = {"command": before["command"], "started": before["started"], "commit": before["machine"]["commit"]}
        self.earlier = [*before.get("earlier", []), call]

    def result(self) -> dict[str, Any]:
        """The whole, as it is written."""
        return {
            "format": FORMAT,
            "name": self.name,
            "command": " ".join(["python", "-m", _module(sys.argv[0]), *sys.argv[1:]]),
            "started": self.started,
            "seconds": round(time.perf_counter() - self.began, 1),
            "machine": {**machine.card(), "commit": self.commit},
            "modified": self.modified,
            "versions": {name: machine.version(name) for name in PACKAGES},
            "seed": self.seed,
            "config_digests": self.config_digests,
            "data_digest": self.data_digest,
            "settings": self.settings,
            "earlier": self.earlier,
            "rows": self.rows,
        }

    def write(self, path: Path) -> dict[str, Any]:
        """Write the file whole, end stdout with one line of JSON, and return the result."""
        result = self.result()
        write(path, result)
        print(f"written to {path}", file=sys.stderr)
        print(json.dumps(result, ensure_ascii=False))
        return result


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result whole, after checking its rows."""
    problems = list(faults(result))
    if problems:
        raise UserError(f"not a result: {problems[0]}.")
    files.write_json(path, result)


def read(path: Path) -> dict[str, Any]:
    """Read a result; UserError when it is none."""
    result = files.read_json(path)
    problems = list(faults(result))
    if problems:
        raise UserError(f"{path}: {problems[0]}. Make it again with the command that wrote it.")
    return result


def faults(result: Any) -> Iterable[str]:
    """What keeps a value from being a result."""
    wanted = ("format", "name", "command", "started", "machine", "versions", "seed", "config_digests", "rows")
    if not isinstance(result, dict) or (absent := [key for key in wanted if key not in result]):
        yield f"the key {absent[0]!r} is missing" if isinstance(result, dict) else "it is not a mapping"
        return
    if result["format"] != FORMAT:
        yield f"format is {result['format']}, not {FORMAT}"
    for number, row in enumerate(result["rows"]):
        if ("repeats" in row) == ("not_run" in row):
            yield f"row {number} must have either `repeats` or `not_run`"
        elif "repeats" in row and not row["repeats"]:
            yield f"row {number} has no repeats"


def find(result: Mapping[str, Any], **keys: Any) -> Row | None:
    """The only row with these values; None where there is none."""
    found = select(result, **keys)
    assert len(found) < 2, f"{len(found)} rows with {keys}"
    return found[0] if found else None


def select(result: Mapping[str, Any], **keys: Any) -> list[Row]:
    """The rows with these values."""
    return [row for row in result["rows"] if all(row.get(key) == value for key, value in keys.items())]


def spread(repeats: Sequence[float]) -> Spread:
    """Median and range."""
    return Spread(statistics.median(repeats), min(repeats), max(repeats))


def ratio(ours: Row, theirs: Row) -> Spread | None:
    """How many times theirs ours is, round by round; None where either was not run."""
    if "not_run" in ours or "not_run" in theirs:
        return None
    pairs = list(zip(ours["repeats"], theirs["repeats"], strict=False))
    return spread([a / b for a, b in pairs])


def spread_text(values: Spread | None, digits: int = 0) -> str:
    """`1,234 (1,200–1,250)`, or `not run`."""
    if values is None:
        return "not run"
    texts = [f"{value:,.{digits}f}" for value in (values.median, values.low, values.high)]
    return texts[0] if values.low == values.high else f"{texts[0]} ({texts[1]}–{texts[2]})"


def row_text(row: Row | None, digits: int = 0) -> str:
    """A row's spread as text; an absent or unmeasured one is `not run`."""
    return spread_text(spread(row["repeats"]) if row and "repeats" in row else None, digits)


def cost_text(seconds: float) -> str:
    """The line that a benchmark prints before measuring."""
    return f"this takes about {max(1, round(seconds / 60))} min on an idle machine of two cores"


def data_digest(folder: Path | str) -> str | None:
    """SHA-256 over the splits of a prepared data folder; None where it is not there."""
    whole = hashlib.sha256()
    for split in ("train", "valid", "test"):
        path = Path(folder) / "tunes" / f"{split}.jsonl"
        if not path.exists():
            return None
        whole.update(bytes.fromhex(files.sha256(path)))
    return whole.hexdigest()


def plain(value: Any) -> Any:
    """A dataclass as a mapping, for settings."""
    return dataclasses.asdict(value)


def _module(path: str) -> str:
    """The name to give to `python -m` for a script's path."""
    try:
        inside = Path(path).resolve().relative_to(ROOT)
    except ValueError:
        return Path(path).name
    return ".".join(inside.with_suffix("").parts)
