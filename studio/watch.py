"""Watch a folder: MIDI, MusicXML and ABC files that are dropped in come back continued, filled, varied or with chords.

    python -m studio watch ~/music/drop                     # idea.mid -> answers/idea-continue.mid
    python -m studio watch ~/music/drop --do vary -n 3      # three of each: idea-vary.mid, idea-vary-2.mid, ...

For any DAW: export into the folder, import what comes back. The file's name may say what is wanted, and then counts:
`idea.fill-5-8.mid` has its bars 5 to 8 filled, `idea.vary.mid` is varied, `idea.harmonise.abc` gets chord symbols.
Answers lie in the folder `answers` below, as MIDI and ABC; what could not be done is told in a text file of that name.
A file is answered again when it is saved again. Everything is kept in the library (--data) with its seed.
"""

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.settings import DATA, Settings
from symbolic import files
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from studio.server.local_studio import LocalStudio

ANSWERS = "answers"
LOOK_SECONDS = 0.3  # between two looks; a file is read when two looks found the same size and time
VERBS = ("continue", "fill", "vary", "harmonise")
MAX_BYTES = 5 << 20
_ASKED = re.compile(r"(?P<name>.+)\.(?P<verb>continue|fill|vary|harmonise)(-(?P<bars>[0-9][0-9,-]*))?")


@dataclass(frozen=True)
class WatchRequest:
    """What is to be done with a file: `bars` is '' where the verb decides, `n` how many answers are wanted."""

    verb: str
    bars: str = ""
    n: int = 1

    def values(self, abc: str) -> dict[str, object]:
        """The request to the studio."""
        values: dict[str, object] = {"abc": abc}
        if self.verb in ("fill", "vary") and self.bars:
            values["bars"] = self.bars
        if self.verb != "harmonise":
            values["n"] = self.n
        return values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where files are dropped")
    parser.add_argument("--do", choices=VERBS, default="continue", help="default: %(default)s")
    parser.add_argument("--bars", default="", metavar="BARS", help="for fill and vary: 5-8")
    parser.add_argument("-n", type=int, default=1, metavar="N", help="answers to a file (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="the library (default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="answer what is there and end")


def run(args: argparse.Namespace) -> int:
    """Watch until Ctrl-C."""
    if not args.folder.is_dir():
        raise UsageError(f"{args.folder} is not a folder: create it first.")
    if args.do == "fill" and not args.bars:
        raise UsageError("--do fill: missing --bars, as --bars 5-8.")
    if not 1 <= args.n <= 16:
        raise UsageError(f"-n {args.n}: choose 1 to 16.")
    try:
        from studio.server.local_studio import LocalStudio
    except ImportError as error:
        raise UserError("the studio is not installed: pip install -e .[studio]") from error
    usual = WatchRequest(args.do, args.bars, args.n)
    with LocalStudio(Settings(data=args.data.expanduser().absolute()), "watch") as studio:
        print(f"Watching {args.folder}: {args.do}. Answers come into {args.folder / ANSWERS}.", flush=True)
        sizes: dict[Path, tuple[int, int]] = {}
        while True:
            found = dropped(args.folder)
            for path in found:
                is_still = args.once or sizes.get(path) == found[path]
                if is_still and not is_answered(path, usual):
                    print(answer(studio, path, usual), flush=True)
            sizes = found
            if args.once:
                return 0
            time.sleep(LOOK_SECONDS)


def dropped(folder: Path) -> dict[Path, tuple[int, int]]:
    """Music files of a folder, with size in bytes and time of change in nanoseconds; links are left out."""
    from studio.actions.tune_files import KINDS

    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix[1:].lower() in KINDS and path.is_file() and not path.is_symlink():
            about = path.stat()
            found[path] = (about.st_size, about.st_mtime_ns)
    return found


def request_of(path: Path, usual: WatchRequest) -> tuple[str, WatchRequest]:
    """The plain name of a file, and what its name asks for, or the usual."""
    match = _ASKED.fullmatch(path.stem)
    if match is None:
        return path.stem, usual
    return match["name"], WatchRequest(match["verb"], match["bars"] or "", usual.n)


def answer_path(path: Path, usual: WatchRequest, number: int, ending: str) -> Path:
    """Where the n-th answer to a file lies."""
    name, asked = request_of(path, usual)
    bars = f"-{asked.bars}" if asked.bars else ""
    count = f"-{number}" if number > 1 else ""
    return path.parent / ANSWERS / f"{name}-{asked.verb}{bars}{count}.{ending}"


def is_answered(path: Path, usual: WatchRequest) -> bool:
    """Whether there is an answer that is newer than the file."""
    changed = path.stat().st_mtime_ns
    places = [answer_path(path, usual, 1, ending) for ending in ("abc", "txt")]
    return any(place.is_file() and place.stat().st_mtime_ns >= changed for place in places)


def answer(studio: "LocalStudio", path: Path, usual: WatchRequest) -> str:
    """Write the answers to a file, or the reason why there is none; returns a line about it."""
    asked = request_of(path, usual)[1]
    path.parent.joinpath(ANSWERS).mkdir(exist_ok=True)
    try:
        made = studio.make(asked.verb, asked.values(_text_of(studio, path)))
        return _write(path, usual, made)
    except UserError as error:
        place = answer_path(path, usual, 1, "txt")
        files.write_whole(place, f"{path.name}: {error}\n")
        return f"{path.name}: {error}"


def _text_of(studio: "LocalStudio", path: Path) -> str:
    """A file's tune as ABC, read by a guarded worker."""
    from studio.actions.tune_files import KINDS

    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"it has more than {MAX_BYTES >> 20} MiB.")
    brought = studio.bring(path.read_bytes(), KINDS[path.suffix[1:].lower()])
    return str(brought["result"]["tunes"][0]["abc"])


def _write(path: Path, usual: WatchRequest, made: dict[str, object]) -> str:
    """Copy the tunes of a take to where the person looks; the ABC of the first comes last, as the sign of the end."""
    folder, names = Path(str(made["folder"])), made["files"]
    assert isinstance(names, list)
    written = []
    for ending in ("mid", "abc"):
        for number in range(16, 0, -1):
            source = f"tune.{ending}" if number == 1 else f"tune-{number}.{ending}"
            if source in names:
                place = answer_path(path, usual, number, ending)
                files.write_whole(place, (folder / source).read_bytes())
                written.append(place.name)
    answer_path(path, usual, 1, "txt").unlink(missing_ok=True)
    return f"{path.name} -> {', '.join(reversed(written))}"
