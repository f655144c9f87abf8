"""How a process ends."""

import os
import subprocess
import sys

import pytest

ENDING = """
import atexit
from symbolic.command_line import leave
atexit.register(print, "by the interpreter's shutdown")
print("said")
leave(3)
"""


@pytest.mark.parametrize(("world", "by_interpreter"), [("1", True), ("2", False)])
def test_one_of_several_processes_ends_without_the_interpreters_shutdown(world: str, by_interpreter: bool) -> None:
    """A thread of gloo that gives back a tensor during it aborts the process."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING],
        env=os.environ | {"WORLD_SIZE": world},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.splitlines() == ["said", *["by the interpreter's shutdown"] * by_interpreter]
