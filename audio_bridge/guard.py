"""Native decoders and synthesisers in a process of their own, with limits on processor time, memory and file size.

Compiled code that is fed with files of others runs as `python -m MODULE ARGUMENTS...`; that module calls `limit` first.
A crash, a panic or a time-out there is a UserError here.
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
    command = [sys.executable, "-m", module, *arguments]
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE * cpu_seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{name} was stopped after {PATIENCE * cpu_seconds:.0f} s.") from error
    if done.returncode:
        reason = _reason(done.returncode, done.stderr.decode("utf-8", "replace"))
        raise UserError(f"{name} failed: {reason} {advice}")
    return done.stdout.decode("utf-8", "replace")


def limit(cpu_seconds: int, memory: int) -> None:
    """Called in the child: limits of processor time, address space and file size (bytes)."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's time-out remains
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _reason(status: int, messages: str) -> str:
    if -status in (signal.SIGXCPU, signal.SIGKILL):
        return "it ran out of the processor time or memory allowed."
    if status < 0:
        return f"it crashed ({signal.Signals(-status).name})."
    lines = [line for line in messages.splitlines() if line.strip()]
    return f"{lines[-1][:300].rstrip('.')}." if lines else f"exit status {status}."
