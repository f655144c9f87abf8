"""Readers that are not trusted with the process: a child with limits of time and memory reads one file after another.

    with Guard() as guard:
        text = guard.read("midi", data, "midi")       # canonical text, or NotationError

MusicXML is parsed by expat (compiled) and MIDI may hold anything, on bytes from anywhere. A crash, a hang or a full
memory there costs the one file that was being read: it is a NotationError `fault`, `over_time` or `over_memory`, and a
fresh child goes on with the next file. A child serves many files, since starting it takes longer than reading one.

The child is this module: a request on its standard input is a line of JSON {"kind", "notation", "quantize", "size"} and
`size` bytes; an answer on its standard output is one line of JSON.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
from types import TracebackType
from typing import IO, Any, cast

from symbolic import subprocess_limits
from symbolic.formats import score_json
from symbolic.formats.file_bytes import MAX_BYTES
from symbolic.notation.score import Score
from symbolic.notation.theory import NotationError

CPU_SECONDS = 20  # for one file
WALL_SECONDS = 4.0 * CPU_SECONDS  # on a machine that is busy
MEMORY_BYTES = 2 * 2**30  # of address space
_FAULTS = {
    signal.SIGXCPU: ("over_time", f"reading it took over {CPU_SECONDS} seconds."),
    signal.SIGKILL: ("over_memory", "reading it took more memory or time than is allowed."),
}


class Guard:
    """A guarded child, started when first needed."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, kind: str, data: bytes, notation: str, quantize: str = "auto") -> dict[str, Any]:
        """What `symbolic.formats.readers.read` answers for a file's bytes. Raises NotationError."""
        if len(data) > MAX_BYTES[kind]:
            limit = MAX_BYTES[kind] // 2**20
            raise NotationError("too_large", f"it has {len(data):,} bytes; {limit} MiB is the most that is read.")
        request = {"kind": kind, "notation": notation, "quantize": quantize, "size": len(data)}
        answer = self._ask(request, data)
        if "reason" in answer:
            raise NotationError(answer["reason"], answer["message"])
        return answer

    def score(self, kind: str, data: bytes, quantize: str = "auto") -> Score:
        """The score in a file's bytes, of `kind` "midi" or "musicxml". Raises NotationError."""
        return cast(Score, score_json.decode(self.read(kind, data, "score", quantize)["score"]))

    def close(self) -> None:
        """End the child, which is idle or was given up."""
        if self.child is not None:
            child, self.child = self.child, None
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()

    def _ask(self, request: dict[str, Any], data: bytes) -> dict[str, Any]:
        child = self._started()
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n" + data)
            child.stdin.flush()
            line = _answer(child.stdout)
        except (OSError, TimeoutError):
            line = b""
        try:
            return dict(json.loads(line))
        except ValueError:  # the child died, or was given up
            return self._buried()

    def _buried(self) -> dict[str, Any]:
        """The rejection of the file that a child died of."""
        assert self.child is not None
        try:
            status = self.child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            status = -signal.SIGXCPU  # it hangs
        self.close()
        named = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        reason, message = _FAULTS.get(signal.Signals(-status) if status < 0 else None, ("", ""))  # type: ignore[arg-type]
        return {"reason": reason or "fault", "message": message or f"the reader crashed on it ({named})."}

    def _started(self) -> "subprocess.Popen[bytes]":
        if self.child is None or self.child.poll() is not None:
            self.close()
            self.child = subprocess.Popen(
                [sys.executable, "-m", "symbolic.formats.sandbox"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=subprocess_limits.environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        return self.child


def _answer(stream: IO[bytes]) -> bytes:
    """One line, within WALL_SECONDS. Raises TimeoutError."""
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not parts or not parts[-1].endswith(b"\n"):
            if not selector.select(WALL_SECONDS):
                raise TimeoutError
            part = os.read(stream.fileno(), 2**20)
            if not part:
                return b""
            parts.append(part)
    return b"".join(parts)


# --- the child -------------------------------------------------------------------------------------------------------


def main() -> int:
    """Answer requests until the input ends."""
    subprocess_limits.limit(None, MEMORY_BYTES)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["size"])
        subprocess_limits.grant(CPU_SECONDS)
        answer = _handled(request["kind"], data, request["notation"], request["quantize"])
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    return 0


def _handled(kind: str, data: bytes, notation: str, quantize: str = "auto") -> dict[str, Any]:
    from symbolic.formats import readers

    try:
        return readers.read(kind, data, notation, quantize)
    except NotationError as error:
        return {"reason": error.reason, "message": str(error)}
    except MemoryError:
        return {"reason": "over_memory", "message": "reading it took more memory than is allowed."}
    except Exception as error:  # a library's own fault on a damaged file
        return {"reason": f"bad_{kind}", "message": f"it cannot be read ({type(error).__name__}: {str(error)[:100]})."}


if __name__ == "__main__":
    sys.exit(main())
