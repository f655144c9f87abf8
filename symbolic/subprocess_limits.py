"""Work in a process of its own, with limits on processor time, memory and file size.

Code that is fed with files of others, compiled code above all, runs as `python -m MODULE ARGUMENTS...`; that module
calls `limit` first. A crash, a panic or a time-out there is a UserError here (`call`), or a rejection of one file
(symbolic.formats.sandbox, whose child serves many).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from symbolic.errors import UserError

PATIENCE = 20  # wall time allowed is so many times the processor's, for machines that are busy


def call(module: str, arguments: Sequence[str], cpu_seconds: float, name: str, advice: str) -> str:
    """Run a module in a child and return its stdout; `name` and `advice` go into the UserError where it fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE * cpu_seconds,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{name} was stopped after {PATIENCE * cpu_seconds:.0f} s.") from error
    if done.returncode:
        reason = _reason(done.returncode, done.stderr.decode("utf-8", "replace"))
        raise UserError(f"{name} failed: {reason} {advice}")
    return done.stdout.decode("utf-8", "replace")


def environment() -> dict[str, str]:
    """Return this process's, with the place of these packages, wherever the child runs."""
    root = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def limit(cpu_seconds: int | None, memory: int, file_bytes: int | None = None) -> None:
    """Called in the child: limits of processor time (None: `grant` sets it), address space and file size (bytes; as
    much as memory unless given). Windows has none; the parent's time-out remains."""
    try:
        import resource
    except ImportError:
        return
    most = memory if file_bytes is None else file_bytes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))


def grant(cpu_seconds: int) -> None:
    """Grant so much processor time from now on, in a child that serves many."""
    try:
        import resource
    except ImportError:
        return
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + cpu_seconds + 1, hard))


def _reason(status: int, messages: str) -> str:
    if -status in (signal.SIGXCPU, signal.SIGKILL):
        return "it ran out of the processor time or memory allowed."
    if status < 0:
        return f"it crashed ({signal.Signals(-status).name})."
    lines = [line for line in messages.splitlines() if line.strip()]
    return f"{lines[-1][:300].rstrip('.')}." if lines else f"exit status {status}."
