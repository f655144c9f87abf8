"""A studio without a server: takes of requests and of files, and errors of one line."""

from pathlib import Path

import pytest

from studio.server.local_studio import LocalStudio
from symbolic.errors import UserError

TUNE = "X:1\nT:t\nM:4/4\nL:1/8\nK:C\nCDEF GABc|c2G2 E2C2|]\n"


def test_a_file_is_brought_and_worked_on(local_studio: LocalStudio) -> None:
    brought = local_studio.bring(TUNE.encode(), "abc")
    made = local_studio.make("transpose", {"abc": brought["result"]["tunes"][0]["abc"], "semitones": 2})
    assert "K:D" in Path(made["folder"], "tune.abc").read_text()
    assert {"tune.abc", "tune.mid", "tune.musicxml"} <= set(made["files"])
    assert made["command"].startswith("python -m symbolic generate") and isinstance(made["seed"], int)


def test_a_take_of_a_take_is_of_one_work(local_studio: LocalStudio) -> None:
    first = local_studio.make("import", {"abc": TUNE})
    second = local_studio.make("harmonise", {"abc": TUNE, "parent": first["id"]})
    assert [take.id for take in local_studio.studio.takes.takes_of(first["id"])] == [first["id"], second["id"]]


def test_errors_are_of_one_line(local_studio: LocalStudio) -> None:
    for verb, values in (("transpose", {"abc": TUNE, "semitones": 99}), ("nothing", {}), ("import", {"abc": "x"})):
        with pytest.raises(UserError) as caught:
            local_studio.make(verb, values)
        assert "\n" not in str(caught.value)
