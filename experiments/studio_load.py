"""The studio under load, under kills, and the seconds that a song takes.

    python -m experiments.studio_load load                  # 100 users for 10 minutes
    python -m experiments.studio_load kills --resume        # 200 kill -9 of web server and workers at random moments,
                                                            # in turns of --seconds, as often as it takes
    python -m experiments.studio_load songs                 # 10 whole songs, one after another, on warm workers

Each writes results/studio_WHAT.json. A server of its own answers on this machine with two workers (`studio.load`). Rows
have what users saw and what the queue and the disk say afterwards; `load average` says how busy the machine was with
other work. A turn of kills is one number of each row.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from studio import load
from symbolic import command_line
from symbolic.errors import UserError

WORKERS = 2
COUNTS = (*load.FAULTS, "tried_again", "requests", "unreachable")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", choices=("load", "kills", "songs"), help="what is measured")
    made.add_argument("--users", type=int, help="default: 100 for load, 20 for kills")
    made.add_argument("--seconds", type=float, default=600.0, help="of load and kills (default: %(default)s)")
    made.add_argument("--kills", type=int, default=200, help="of kills (default: %(default)s)")
    made.add_argument("--resume", action="store_true", help="kills: go on from the result file")
    made.add_argument("--songs", type=int, default=10, help="of songs (default: %(default)s)")
    made.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    made.add_argument("-o", "--output", type=Path, help="result file (default: results/studio_WHAT.json)")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure and write; exit status 1 when a job was lost, doubled, left open or broken."""
    settings: dict[str, Any] = {"what": args.what, "workers": WORKERS, "processors": os.cpu_count()}
    if args.what == "songs":
        settings["songs"] = args.songs
    else:
        n_kills = args.kills if args.what == "kills" else 0
        n_users = args.users or (20 if n_kills else 100)
        settings |= {"users": n_users, "seconds": args.seconds, "kills": n_kills}
    recorder = result_file.Recorder(f"studio_{args.what}", args.seed, settings)
    output = args.output or result_file.EXPERIMENTS / f"studio_{args.what}.json"
    before = rows_before(recorder, output) if args.resume else []
    recorder.measured([os.getloadavg()[1]], "", measure="load average before, 5 minutes")
    if args.what == "songs":
        record_songs(recorder, load.measure_songs(args.songs, WORKERS, args.seed))
        n_faults = 0
    else:
        n_left = n_kills - int(sum(sum(row["repeats"]) for row in before if row["measure"] == "kills"))
        if n_kills and n_left <= 0:
            raise UserError(f"{output} has all of its {n_kills} kills.")
        found = load.measure(n_users, args.seconds, n_left, WORKERS, args.seed + n_kills - n_left)
        record_load(recorder, found)
        n_faults = sum(found[name] for name in load.FAULTS)
    recorder.measured([os.getloadavg()[1]], "", measure="load average after, 5 minutes")
    recorder.rows = joined(before, recorder.rows)
    recorder.write(output)
    return int(n_faults > 0)


def rows_before(recorder: result_file.Recorder, path: Path) -> list[result_file.Row]:
    """The rows of earlier turns. Raises UserError where they are of other settings or another machine."""
    recorder.keep(path, lambda row: False)
    rows, recorder.rows = recorder.rows, []
    return rows


def joined(before: Sequence[result_file.Row], rows: Sequence[result_file.Row]) -> list[result_file.Row]:
    """The rows of earlier turns, each with this turn's numbers behind its own; then those that are new."""
    whole = {_name_of(row): dict(row) for row in before}
    for row in rows:
        known = whole.setdefault(_name_of(row), {**row, "repeats": []})
        known["repeats"] = [*known["repeats"], *row["repeats"]]
    return list(whole.values())


def _name_of(row: result_file.Row) -> tuple[str, str]:
    return row["measure"], row.get("of", "")


def record_songs(recorder: result_file.Recorder, songs: Sequence[dict[str, float]]) -> None:
    """Rows of seconds and of the worker's processor time until the words, the first sound and the whole song, and
    seconds of music."""
    for name in ("words", "first_sound", "song"):
        recorder.measured([song[name] for song in songs], "s", measure=name)
        recorder.measured([song[f"{name}_cpu"] for song in songs], "s", measure=f"{name}_cpu")
    recorder.measured([song["music"] for song in songs], "s", measure="music")


def record_load(recorder: result_file.Recorder, found: dict[str, Any]) -> None:
    """Rows of what users saw and what became of the jobs."""
    for name in COUNTS:
        recorder.measured([found[name]], "times", measure=name)
    for group in ("ended", "kills", "statuses"):
        for name, count in found[group].items():
            recorder.measured([count], "times", measure=group, of=name)
    for name, value in found["api_ms"].items():
        recorder.measured([value], "ms", measure="API call", of=name)
    if found["web_mib_series"]:
        recorder.measured(
            found["web_mib_series"], "MiB", measure="web process", of=f"every {load.MEMORY_SECONDS:.0f} s"
        )
    for name, value in found["web_mib"].items():
        recorder.measured([value], "MiB", measure="web process", of=name)
    recorder.measured([found["web_cpu_seconds"]], "s", measure="web process, processor time")
    for name, value in found["start_seconds"].items():
        recorder.measured([value], "s", measure="start", of=name)
    recorder.measured([found["last_first_lyric_seconds"]], "s", measure="last of all first words")
    recorder.measured([found["stop_seconds"]], "s", measure="SIGTERM to the end")


if __name__ == "__main__":
    sys.exit(main())
