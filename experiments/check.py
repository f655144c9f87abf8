"""Say of every result file whether the code, the configurations and the data that it came from are those of today.

    python -m experiments.check                  # one line a result
    python -m experiments.check --strict         # exit status 1 unless every result is current
    python -m experiments.check --write          # experiments/results/README.md: where each result comes from

current     nothing that its script uses means something else since the commit that the result names
changed     some of it does: the result may come out otherwise today (functions, classes and files are named)
history     measured on a tree with uncommitted changes to what it uses, or at a commit that git does not know here

What a script uses are the definitions that it names, directly or through others, see experiments.code_graph: a change
to anything else in the same files leaves a result as it is.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import result_file
from experiments import code_graph
from symbolic import command_line, config, files

PAGE = result_file.EXPERIMENTS / "README.md"
_SHOWN = 3  # names of changed files on a line
_HEAD = """# Where each result comes from

Written by `python -m experiments.check --write`. "modified" means that files differed from the commit when it was
measured; `python -m experiments.check` says of each result whether today's code would still make it.

| result | made by | on | commit | processor |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class ResultStatus:
    """What is known of one result file; `status` is current, changed or history, `reasons` says why."""

    path: Path
    commit: str
    is_modified: bool
    status: str
    reasons: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("results", nargs="*", type=Path, metavar="RESULT.json", help="default: all of the repository")
    made.add_argument("--strict", action="store_true", help="exit status 1 unless every result is current")
    made.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(result_file.ROOT)}")
    return made


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.write:
        files.write_whole(PAGE, page(result_paths()))
    found = [status_of(path, files.read_json(path)) for path in args.results or result_paths()]
    for one in found:
        commit = one.commit[:12] + (" modified" if one.is_modified else "")
        print(f"{one.status:8} {_name(one.path):45} {commit:22} {'; '.join(one.reasons)}")
    statuses = [one.status for one in found]
    counts = ", ".join(f"{statuses.count(name)} {name}" for name in ("current", "changed", "history"))
    print(f"{len(found)} results: {counts}", file=sys.stderr)
    return int(args.strict and any(one.status != "current" for one in found))


def result_paths() -> list[Path]:
    """All result files of the repository."""
    return sorted([*result_file.EXPERIMENTS.glob("*.json"), *result_file.BENCHMARKS.glob("*.json")])


def status_of(path: Path, result: dict[str, Any], root: Path = result_file.ROOT) -> ResultStatus:
    """Compare what a result says it came from with the files under `root`."""
    written = str(result.get("machine", {}).get("commit") or "")
    commit, modified = written.rstrip("+"), result.get("modified")
    used = code_graph.used_by(root, script_of(result)) if script_of(result) else {}
    is_modified = written.endswith("+") and (modified is None or bool(used.keys() & set(modified)))
    changed = code_graph.changed_since(root, commit, used) if commit and used else None
    reasons = [*_code_reasons(changed, commit, used), *_input_reasons(result, root)]
    if is_modified or changed is None:
        status, reasons = "history", [*(["uncommitted changes when it was measured"] if is_modified else []), *reasons]
    else:
        status = "changed" if reasons else "current"
    return ResultStatus(path, commit, is_modified, status, tuple(reasons))


def script_of(result: dict[str, Any]) -> str:
    """The module that wrote a result: `python -m experiments.seeds --steps 3` -> experiments.seeds; '' for none."""
    words = str(result.get("command", "")).split()
    return words[words.index("-m") + 1] if "-m" in words[:-1] else ""


def _code_reasons(changed: list[str] | None, commit: str, used: code_graph.Used) -> Iterator[str]:
    if not used:
        yield "its script is no more"
    elif changed is None:
        yield f"commit {commit[:12] or '?'} is not known here"
    elif changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        yield f"other code: {', '.join(changed[:_SHOWN])}{more}"


def _input_reasons(result: dict[str, Any], root: Path) -> Iterator[str]:
    """Configurations and data that differ from those of today; what is not here cannot be compared."""
    for name, digest in (result.get("config_digests") or {}).items():
        path = root / "configs" / f"{Path(name).stem}.yaml"
        if path.is_file() and config.digest(config.load(path)) != digest:
            yield f"other configuration: {path.name}"
    folder = (result.get("settings") or {}).get("data") or "data/folk"
    today = result_file.data_digest(root / str(folder))
    if result.get("data_digest") and today and today != result["data_digest"]:
        yield f"other data: {folder}"


def page(paths: Sequence[Path]) -> str:
    """The table of all results as Markdown."""
    return _HEAD + "".join(_line(path, files.read_json(path)) for path in paths)


def _line(path: Path, result: dict[str, Any]) -> str:
    card = result.get("machine", {})
    commit = str(card.get("commit") or "?")
    where = f"`{commit.rstrip('+')[:12]}`" + (", modified" if commit.endswith("+") else "")
    day = str(result.get("started") or result.get("made") or "?")[:10]
    command = str(result.get("command", "?")).replace("|", "\\|")
    return f"| `{_name(path)}` | `{command}` | {day} | {where} | {card.get('cpu', '?')} |\n"


def _name(path: Path) -> str:
    return str(path.relative_to(result_file.ROOT)) if path.is_relative_to(result_file.ROOT) else str(path)


if __name__ == "__main__":
    sys.exit(main())
