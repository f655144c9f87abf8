"""Work in stages, each of which is done again only when what it depends on has changed.

A stage reads options and the files of stages before it and writes files of its own into one folder. What it depended on
is kept as a digest; a stage is skipped where the digest is the same and its files are as it left them (SHA-256). A
`variation` is a number that a person raises to have a stage done otherwise: it enters the digest and the seed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.errors import UserError


@dataclass(frozen=True)
class Stage:
    """`work(folder, options, variation)` writes `outputs` and returns facts for the record. `needs` are stages,
    `reads` names of options. A stage that cannot be done raises Skipped."""

    name: str
    work: Callable[[Path, Mapping[str, Any], int], dict[str, Any]]
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    outputs: tuple[str, ...]
    version: int = 1


class Skipped(Exception):
    """A stage that this machine or these options leave out; the message says why."""


@dataclass
class Outcome:
    """What became of each stage: `made`, `kept` or `skipped`; and the record to keep."""

    states: dict[str, str] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


def run(
    stages: Sequence[Stage],
    folder: Path,
    options: Mapping[str, Any],
    before: Mapping[str, Any],
    variations: Mapping[str, int],
    say: Callable[[str, str], None],
    save: Callable[[dict[str, Any]], None],
) -> Outcome:
    """Bring every stage up to date. `before` is the record of the last time; `save` is called with the record after
    each stage, so that an interrupted run loses nothing."""
    outcome = Outcome(record={name: dict(entry) for name, entry in before.items()})
    for stage in stages:
        made_from = _digest(stage, options, outcome.record, variations.get(stage.name, 0))
        old = before.get(stage.name, {})
        if old.get("made_from") == made_from and _intact(folder, stage, old):
            outcome.states[stage.name] = "skipped" if old.get("skipped") else "kept"
            outcome.record[stage.name] = dict(old)
            say(stage.name, outcome.states[stage.name])
            continue
        entry: dict[str, Any] = {"made_from": made_from, "variation": variations.get(stage.name, 0)}
        for name in stage.outputs:  # not what the record names: it may be somebody else's
            (folder / name).unlink(missing_ok=True)
        try:
            say(stage.name, "...")
            entry["facts"] = stage.work(folder, options, variations.get(stage.name, 0))
            entry["files"] = {name: files.sha256(folder / name) for name in stage.outputs if (folder / name).is_file()}
            outcome.states[stage.name] = "made"
        except Skipped as reason:
            entry |= {"skipped": str(reason), "files": {}}
            outcome.states[stage.name] = "skipped"
        outcome.record[stage.name] = entry
        save(outcome.record)
        say(stage.name, outcome.states[stage.name] + (f": {entry['skipped']}" if "skipped" in entry else ""))
    return outcome


def raised(variations: Mapping[str, int], redo: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """The variations with those of `redo` raised by one. UserError for a stage that is not there."""
    wrong = next((name for name in redo if name not in names), None)
    if wrong is not None:
        raise UserError(f"--redo {wrong}: no such stage. The stages are {', '.join(names)}.")
    return {**variations, **{name: variations.get(name, 0) + 1 for name in redo}}


def _digest(stage: Stage, options: Mapping[str, Any], record: Mapping[str, Any], variation: int) -> str:
    needed = {name: record[name].get("files", {}) for name in stage.needs}
    used = {name: options.get(name) for name in stage.reads}
    whole = [stage.name, stage.version, needed, used, variation]
    return files.digest(json.dumps(whole, sort_keys=True, ensure_ascii=False))


def _intact(folder: Path, stage: Stage, entry: Mapping[str, Any]) -> bool:
    return all(
        name in stage.outputs and (folder / name).is_file() and files.sha256(folder / name) == digest
        for name, digest in entry.get("files", {}).items()
    )
