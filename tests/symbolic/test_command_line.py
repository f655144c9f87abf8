"""How a process begins, what it says to a person, how it ends."""

import os
import subprocess
import sys

import pytest

from symbolic import __version__, command_line
from symbolic.__main__ import VERBS
from symbolic.errors import UsageError

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


def test_the_version_and_a_misspelt_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main("symbolic", VERBS, ["--version"]) == 0
    assert capsys.readouterr().out == f"abc-symbolic {__version__}\n"
    assert command_line.main("symbolic", VERBS, ["genrate"]) == 2
    assert "did you mean generate?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("numbers", "wanted", "place", "told"),
    [
        ([7, 12, 3], 3, 2, "the tune X:3, the 3rd of 3"),
        ([7, 12, 3], 2, 1, "the 2nd tune of 3, for no tune has the number X:2"),
        ([1, 1, 2], 1, 0, "the 1st tune of 3, for 2 tunes have that number"),
        ([None, None], 2, 1, "the 2nd tune of 2"),
        ([5], 5, 0, ""),
    ],
)
def test_a_tune_is_named_by_its_number_else_by_its_place(
    numbers: list[int | None], wanted: int, place: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.choose_tune(numbers, wanted, "a.abc") == place
    err = capsys.readouterr().err
    assert told in err and bool(err) == bool(told)


def test_a_tune_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"--tune 9: a\.abc holds 2 tunes, none of them X:9"):
        command_line.choose_tune([1, 2], 9, "a.abc")


def test_ordinals() -> None:
    assert [command_line.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th")
    ]


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", 'cafe? --- "a" # ...'), ("cp1252", "café --- “a” # …")])
def test_a_console_that_lacks_characters_gets_look_alikes(encoding: str, shown: str) -> None:
    code = "from symbolic import command_line as c; c.use_plain_characters(); print('café ─── “a” ♯ …')"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout.decode(encoding).strip() == shown
