"""Measurements in child processes that take turns: one tree, one at a time, each with its own environment.

    with Worker("benchmarks.peers.ours", {...}, {"OMP_NUM_THREADS": "1"}) as worker:
        answer = worker.ask("generate", prompts=..., n=512)         # {"value": ..., "seconds": ..., "peak_mib": ...}

A worker imports a module, calls its `make(**settings)` and then methods of what that returns, one at a time. Its
answers' `seconds` are the method's own wall time, taken inside the worker, `core_seconds` the processor time of all its
threads, and `peak_mib` the process's largest resident memory so far. Between turns it is stopped (SIGSTOP): under
OMP_WAIT_POLICY=active idle threads would spin and take the cores from the one that is measured. That needs a POSIX
system.

Messages are lines of JSON on the child's stdin and a copy of its stdout; whatever libraries print goes to its stderr.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.peers import Absent
from symbolic import machine

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 300.0
TURN_SECONDS = 900.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h: die with the parent
KEPT = ("HOME", "PATH", "PYTHONPATH", "LANG", "TMPDIR", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


class Worker:
    """One child process; use it as a context manager. `about` is what its module said of itself."""

    def __init__(self, module: str, settings: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", module, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**kept, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **(environment or {})},
            cwd=ROOT,
            text=True,
        )
        self.about: dict[str, Any] = {}

    def begin(self) -> None:
        """Wait until the worker is ready; `Absent` where it cannot run."""
        answer = self._read(START_SECONDS)
        if "absent" in answer:
            self.close()
            raise Absent(answer["absent"])
        self.about = answer["ready"]
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, method: str, seconds: float = TURN_SECONDS, **arguments: Any) -> dict[str, Any]:
        """Give the worker its turn."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        answer = self._read(seconds)
        self.process.send_signal(signal.SIGSTOP)
        if "absent" in answer:
            raise Absent(answer["absent"])
        return answer

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            reason = self._last_words() if ready else f"no answer within {seconds:.0f} s"
            self.close()
            raise Absent(reason)
        return dict(json.loads(line))

    def _last_words(self) -> str:
        """Why the process ended."""
        status = self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().decode("utf-8", errors="replace").strip().splitlines()
        return f"ended with status {status}: {words[-1] if words else 'no message'}"


def main(arguments: list[str]) -> int:
    """The child's side."""
    _die_with_parent()
    answers = _own_stdout()
    try:
        peer = importlib.import_module(arguments[0]).make(**json.loads(arguments[1]))
    except (Absent, ImportError) as reason:
        _say(answers, {"absent": _reason(reason)})
        return 0
    _say(answers, {"ready": peer.about})
    for line in sys.stdin:
        request = json.loads(line)
        _say(answers, _turn(peer, request["method"], request["arguments"]))
    return 0


def _turn(peer: Any, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    began, core = time.perf_counter(), time.process_time()
    try:
        value = getattr(peer, method)(**arguments)
    except Absent as reason:
        return {"absent": _reason(reason)}
    seconds, core = time.perf_counter() - began, time.process_time() - core
    return {"value": value, "seconds": seconds, "core_seconds": max(core, 1e-9), "peak_mib": machine.peak_mib()}


def _reason(error: Exception) -> str:
    missing = isinstance(error, ModuleNotFoundError)
    return f"the package {error.name} is not installed" if missing else str(error)  # type: ignore[attr-defined]


def _own_stdout() -> int:
    """Keep stdout for answers; whatever else writes there writes to stderr."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


def _say(answers: int, value: dict[str, Any]) -> None:
    data = (json.dumps(value) + "\n").encode()
    while data:
        data = data[os.write(answers, data) :]


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
