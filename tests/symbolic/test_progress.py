"""The live line and messages on a terminal and elsewhere."""

import io
from typing import Any

import pytest

from symbolic import progress
from symbolic.progress import Console, clock
from symbolic.training.metrics_log import Status

STATUS = Status(
    name="a",
    step=1200,
    steps=100_000,
    loss=1.2344,
    validation=1.4321,
    learning_rate=9.8e-4,
    tokens_per_second=12345.4,
    seconds_left=3723.0,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, for the test to set."""
    time = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: time[0])
    return time


def test_on_a_terminal_of_80_columns_one_line_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    console = Console(stream)
    STATUS.show(console)
    STATUS.show(console)
    console.say("done")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().count("\r") == 3 and stream.getvalue().endswith("done\n")
    STATUS.show(console)
    console.close()
    console.close()
    assert stream.getvalue().endswith("1:02:03 left\x1b[K\n")


def test_elsewhere_lines_come_now_and_then(now: list[float]) -> None:
    stream = io.StringIO()
    console = Console(stream)
    for second in range(40):
        now[0] = float(second)
        STATUS.show(console)
        console.working("validation 1/2")
    assert stream.getvalue() == (STATUS.line() + "\n") * 3  # at 0, 15 and 30 seconds


@pytest.mark.parametrize(("stream", "n_due"), [(Terminal(), {49, 50}), (io.StringIO(), {1})])
def test_a_line_is_due_five_times_a_second_or_every_fifteen(stream: Any, n_due: set[int], now: list[float]) -> None:
    console = Console(stream)
    due = 0
    for tick in range(1000):
        now[0] = tick / 100
        if console.is_due():
            due += 1
            console.show(f"{tick} of 1000")
    assert due in n_due


def test_what_is_being_done_is_not_drawn_more_often_than_it_can_be_read(now: list[float]) -> None:
    stream = Terminal()
    console = Console(stream)
    for tick in range(100):
        now[0] = tick / 100
        console.working(f"{tick}")
    assert stream.getvalue().count("\r") == 5
    console.close(wipe=True)
    assert stream.getvalue().endswith("\r\x1b[K")


def test_the_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]
