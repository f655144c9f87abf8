"""An interpreter on a pretended CUDA device, for scripts that start others: `pretended_python OWN -m module ...`.

OWN is the command that child processes take for the interpreter; `script` writes one.
"""

import runpy
import stat
import sys
from pathlib import Path

from tests.pretended_cuda import pretended_cuda

SCRIPT = """#!/bin/sh
case "$1" in -c) exec {python} "$@" ;; esac
PYTHONPATH={root} exec {python} -m tests.pretended_python "$0" "$@"
"""


def script(folder: Path) -> Path:
    """Write an executable that takes the place of `python`."""
    path = folder / "python"
    path.write_text(SCRIPT.format(python=sys.executable, root=Path(__file__).resolve().parents[1]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def main(own: str, *words: str) -> None:
    """Run a module or a file as the main program."""
    sys.executable = own
    with pretended_cuda():
        if words[0] == "-m":
            sys.argv = list(words[1:])
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(words)
            runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
