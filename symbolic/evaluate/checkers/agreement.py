"""Second opinions side by side: this project's check of the bars, abc2midi's and music21's, and where they disagree.

Task: a checker that only its author trusts proves nothing. abc2midi's opinion is in
`symbolic.evaluate.checkers.abc2midi`. music21 reads the same normalised text with a parser of its own; what it says of
a tune is whether it could read it, and which of its bars are not as long as their metre. It knows nothing of pick-ups,
so a bar that is *short* counts only where no section begins or ends (the first and the last bar, and bars on either
side of a repeat, double bar line or ending, are let pass). A bar that is too long it cuts, and puts a metre of its own
before the rest: such a metre, which the text has not, counts anywhere. Of a tune that changes its metre it judges no
bars, since it does not read such changes. music21 is large and slow (some 25 tunes a second), and it is fed with text
of others: it runs in a child with limits on processor time and memory, and where it does not come to an end that is an
error of the tune.

The child is this module: python -m symbolic.evaluate.checkers.agreement, texts as JSON lines on standard input
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from symbolic import subprocess_limits
from symbolic.errors import UserError
from symbolic.evaluate.checkers.abc2midi import Opinion, abc2midi_opinions, normalise
from symbolic.evaluate.report.tables import Cell, Share, Table

CPU_SECONDS, MEMORY_BYTES = 10, 3 * 2**30  # for one tune, of the child
STARTING_SECONDS = 60  # until music21 is imported on a busy machine
TUNES_A_CHILD = 100
MOST_LISTED = 50  # disagreements in a table
_STOPPED = Opinion(errors=("stopped: it took too long or too much memory",))


def music21_opinions(texts: Sequence[str]) -> list[Opinion]:
    """Ask music21 about each tune."""
    found: list[Opinion] = []
    while len(found) < len(texts):
        some = texts[len(found) : len(found) + TUNES_A_CHILD]
        read = list(_child([normalise(text) for text in some]))
        found += read if len(read) == len(some) else [*read, _STOPPED]  # it died of the tune after the last answer
    return found


def compare(texts: Sequence[str], rows: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> dict[str, Any]:
    """Compare opinions with ours: `rows` are the tunes of `comparison.evaluate_tunes`, `numbers` name the tunes.

    Returns {"n_tunes", "programs": {name: {"share_read", "share_right", "share_agreeing"} or {"not_run": why}},
    "disagreements": [{"tune", "ours", name: ...}]}.
    """
    opinions: dict[str, list[Opinion]] = {}
    programs: dict[str, dict[str, Any]] = {}
    for name, ask in (("abc2midi", abc2midi_opinions), ("music21", music21_opinions)):
        try:
            opinions[name] = ask(texts)
        except UserError as error:
            programs[name] = {"not_run": str(error)}
    for name, found in opinions.items():
        agreeing = [one.is_right == row["is_right"] for one, row in zip(found, rows, strict=True)]
        programs[name] = {
            "share_read": sum(not one.errors for one in found) / max(1, len(found)),
            "share_right": sum(one.is_right for one in found) / max(1, len(found)),
            "share_agreeing": sum(agreeing) / max(1, len(found)),
        }
    differing = [
        {"tune": number, "ours": _ours(row), **{name: _said(found[i]) for name, found in opinions.items()}}
        for i, (number, row) in enumerate(zip(numbers, rows, strict=True))
        if any(found[i].is_right != row["is_right"] for found in opinions.values())
    ]
    return {"n_tunes": len(texts), "ours_right": _share(rows), "programs": programs, "disagreements": differing}


def tables_of(found: Mapping[str, Any]) -> list[Table]:
    """Build tables of the shares, and of the tunes on which opinions differ."""
    rows: list[list[Cell]] = [["this project", None, Share(found["ours_right"]), None]]
    for name, one in found["programs"].items():
        keys = ("share_read", "share_right", "share_agreeing")
        rows.append([name, *(Share(one[key]) if key in one else None for key in keys)])
    absent = " ".join(one["not_run"] for one in found["programs"].values() if "not_run" in one)
    note = f"Of {found['n_tunes']:,} tunes. Right: read without an error, every inner bar full. {absent}".strip()
    shares = Table("Second opinions", ["program", "tunes read", "tunes right", "agrees with ours"], rows, note)
    differing = found["disagreements"]
    if not differing:
        return [shares]
    columns = list(differing[0])
    more = f"The first {MOST_LISTED} of {len(differing):,}." if len(differing) > MOST_LISTED else ""
    listed: list[list[Cell]] = [[one[column] for column in columns] for one in differing[:MOST_LISTED]]
    return [shares, Table("Where they disagree", columns, listed, more)]


def _ours(row: Mapping[str, Any]) -> str:
    if row["reason"]:
        return str(row["reason"])
    return "right" if row["is_right"] else f"{row['n_full']} of {row['n_bars']} bars full"


def _said(opinion: Opinion) -> str:
    said = [*opinion.errors, *opinion.bar_warnings]
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    return f"{said[0][:80]}{more}" if said else "right"


def _share(rows: Sequence[Mapping[str, Any]]) -> float:
    return sum(bool(row["is_right"]) for row in rows) / max(1, len(rows))


def _child(tunes: Sequence[str]) -> Iterator[Opinion]:
    """Get opinions from a child process, in order; fewer than tunes where it died."""
    command = [sys.executable, "-m", "symbolic.evaluate.checkers.agreement"]
    with tempfile.TemporaryDirectory(prefix="opinion-") as folder:
        try:
            done = subprocess.run(
                command,
                input="".join(json.dumps(tune) + "\n" for tune in tunes),
                capture_output=True,
                text=True,
                cwd=folder,
                env=subprocess_limits.environment(),
                timeout=STARTING_SECONDS + 4 * CPU_SECONDS * len(tunes),
                check=False,
            )
            said = done.stdout
        except subprocess.TimeoutExpired as error:
            said = error.stdout.decode("utf-8", "replace") if isinstance(error.stdout, bytes) else error.stdout or ""
    for line in said.splitlines():
        errors, warnings = json.loads(line)
        yield Opinion(errors=tuple(errors), bar_warnings=tuple(warnings))


def main() -> int:
    """Run in the child: print one line of JSON, [errors, bars of the wrong length], for each tune."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    subprocess_limits.limit(None, MEMORY_BYTES)
    from music21 import converter

    for line in sys.stdin:
        subprocess_limits.grant(CPU_SECONDS)
        errors: list[str] = []
        warnings: list[str] = []
        try:
            text = json.loads(line)
            metres = _written_metres(text)
            score = converter.parse(text, format="abc", forceSource=True)
            warnings = list(_wrong_bars(score, metres)) if len(metres) == 1 else []
        except Exception as error:  # whatever its parser meets
            errors = [f"{type(error).__name__}: {str(error)[:200]}"]
        print(json.dumps([errors, warnings]), file=answers, flush=True)
    return 0


def _wrong_bars(score: Any, metres: frozenset[str]) -> Iterator[str]:
    for part in score.parts:
        measures = list(part.getElementsByClass("Measure"))
        endings = {id(one) for bracket in part.recurse().getElementsByClass("RepeatBracket") for one in bracket}
        for place, measure in enumerate(measures):
            length, full = measure.duration.quarterLength, measure.barDuration.quarterLength
            near = measures[max(0, place - 1) : place + 2]
            ends = len(near) < 3 or any(id(one) in endings for one in near)
            ends = ends or _divides(
                near[0].rightBarline, measure.leftBarline, measure.rightBarline, near[2].leftBarline
            )
            if measure.timeSignature is not None and measure.timeSignature.ratioString not in metres:
                yield f"bar {place} is longer than its metre, by {length} quarters"
            elif length > full or (length < full and not ends):
                yield f"bar {place + 1} has {length} quarters instead of {full}"


def _written_metres(text: str) -> frozenset[str]:
    """Return the meters of a text as music21 spells them."""
    names = re.findall(r"M:\s*([^\]\n]*)", text)
    return frozenset({"C": "4/4", "C|": "2/2"}.get(name.strip(), name.strip()) for name in names)


def _divides(*bar_lines: Any) -> bool:
    return any(line is not None and line.type not in ("regular", "none") for line in bar_lines)


if __name__ == "__main__":
    sys.exit(main())
