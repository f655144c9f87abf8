"""The floor of this machine: a rate, the best of several."""

import itertools

import pytest

from benchmarks.peers import floor


def test_rates_are_those_of_a_machine() -> None:
    machine = floor.make(threads=1)
    assert machine.bytes_per_second(2**20) > 1e8 and machine.operations_per_second(4) > 1e8
    assert "1 threads" in machine.about["path"]


def test_the_best_of_the_tries_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that gives each call 10 ms, and one try 2 ms a call."""
    calls = itertools.count()
    now = [0.0]

    def action() -> None:
        number = next(calls)
        now[0] += 0.002 if 4 <= number < 6 else 0.010

    monkeypatch.setattr(floor.time, "perf_counter", lambda: now[0])
    assert abs(floor.best_seconds(action) - 0.002) < 1e-9
