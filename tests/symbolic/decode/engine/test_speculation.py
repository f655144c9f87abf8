"""Guesses change no bit of a tune; what is looked up; how many guesses are read, and when none is."""

import itertools
from typing import Any

import pytest

from symbolic.decode.engine import engine, native_step, speculation
from symbolic.decode.engine.kernel_library import MOST_AHEAD
from symbolic.decode.engine.sampling import Sampling
from symbolic.decode.engine.speculation import GuessTimes, Lookup, SpeculativeSampler
from tests.small_models import RAGGED, SHAPES, EvenOnly, generate, make_model

compiler = pytest.mark.skipif(native_step.problem() is not None, reason="no C compiler")


@compiler
@pytest.mark.parametrize("weights", native_step.WEIGHTS)
@pytest.mark.parametrize("family", SHAPES)
def test_tunes_are_those_without_guesses_bit_for_bit(
    family: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every number of guesses in turn, whatever the clock says."""
    samplers: list[SpeculativeSampler] = []
    plain_init = SpeculativeSampler.__init__

    def note(sampler: SpeculativeSampler, *arguments: Any) -> None:
        plain_init(sampler, *arguments)
        samplers.append(sampler)

    def in_turn(times: GuessTimes, chances: list[float]) -> int:
        return min(len(chances), samplers[-1].n_passes % MOST_AHEAD)

    monkeypatch.setattr(SpeculativeSampler, "__init__", note)
    monkeypatch.setattr(GuessTimes, "guesses", True)
    monkeypatch.setattr(GuessTimes, "best_number", in_turn)
    model = engine.prepare(make_model(family), "native", weights)
    for sampling in (Sampling(temperature=0.3), Sampling(0.6, min_p=0.05), Sampling(temperature=0)):
        settings: dict[str, Any] = {"batch_size": 1, "max_new_tokens": 50, "sampling": sampling}
        plain = generate(model, RAGGED[:12], guesses=False, **settings)
        assert generate(model, RAGGED[:12], guesses=True, **settings) == plain
    assert len(samplers) == 3
    kept = sum(sampler.n_drawn - sampler.n_passes for sampler in samplers)
    assert kept > 10 and sum(sampler.n_guesses for sampler in samplers) - kept > 20  # both outcomes occurred


@compiler
@pytest.mark.parametrize("sampling", [Sampling(temperature=0.3), Sampling(0.6, min_p=0.05), Sampling(temperature=0)])
@pytest.mark.parametrize("family", SHAPES)
def test_tunes_under_a_mask_are_those_without_guesses(
    family: str, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuessTimes, "guesses", property(lambda _: next(turns)))
    monkeypatch.setattr(GuessTimes, "best_number", lambda times, chances: len(chances))
    turns = itertools.cycle([True, True, False])
    model = engine.prepare(make_model(family), "native")
    settings: dict[str, Any] = {"batch_size": 1, "max_new_tokens": 50, "sampling": sampling, "eos": None}
    plain = generate(model, RAGGED[:8], guesses=False, mask=EvenOnly(), **settings)
    assert generate(model, RAGGED[:8], guesses=True, mask=EvenOnly(), **settings) == plain
    assert all(token % 2 == 0 for tune in plain for token in tune.tokens)


@compiler
@pytest.mark.parametrize("family", SHAPES)
def test_blocks_with_and_without_guesses_may_take_turns(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[bool] = []

    def in_turn(times: GuessTimes) -> bool:
        kinds.append(len(kinds) % 2 == 0)
        return kinds[-1]

    monkeypatch.setattr(GuessTimes, "guesses", property(in_turn))
    model = engine.prepare(make_model(family), "native")
    settings: dict[str, Any] = {"batch_size": 1, "sampling": Sampling(temperature=0.3), "synchronise_every": 5}
    plain = generate(model, RAGGED[:12], guesses=False, **settings)
    assert generate(model, RAGGED[:12], guesses=True, **settings) == plain and len(kinds) > 20


def test_the_longest_ending_is_looked_up() -> None:
    lookup = Lookup()
    assert lookup.guesses(3) == []
    lookup.begin([1, 2, 3, 9, 2, 3])
    assert lookup.guesses(1) == [(9, 2)]
    assert lookup.guesses(3) == [(9, 2), (2, 3), (3, 4)]  # each guess is part of the next ending
    for token in (7, 1, 2, 3):  # 2 3 was last followed by 7, and 1 2 3 by 9
        lookup.add(token)
    assert lookup.guesses(1) == [(9, 3)]


def test_a_tune_begins_without_the_end_of_the_one_before() -> None:
    lookup = Lookup()
    lookup.begin([1, 2, 3])
    lookup.begin([1])
    assert lookup.guesses(1) == []
    lookup.add(2)
    assert lookup.guesses(1) == [(3, 2)]


def test_chances_are_those_of_guesses_before() -> None:
    lookup = Lookup()
    assert lookup.chance(4) == 0.5
    for is_right in (True, True, True, False):
        lookup.note(4, is_right)
    assert lookup.chance(4) == pytest.approx(4 / 6) and lookup.chance(5) == 0.5


def test_as_many_guesses_are_read_as_promise_most_tokens_a_second() -> None:
    times = GuessTimes()
    for n, seconds in ((1, 1.0), (2, 1.2), (3, 1.4), (4, 1.6)):
        for _ in range(speculation.TRIALS):
            times.add_pass(n, seconds)
    assert times.best_number([0.9, 0.9, 0.9]) == 3
    assert times.best_number([0.9, 0.1, 0.9]) == 1
    assert times.best_number([0.1]) == 0
    assert times.best_number([]) == 0


def test_every_size_of_a_pass_is_tried_first() -> None:
    times = GuessTimes()
    tried = []
    for _ in range(3 * speculation.TRIALS):
        tried.append(times.best_number([0.1, 0.1, 0.1]))
        times.add_pass(tried[-1] + 1, 1.0)
    assert tried == [n for n in (1, 2, 3) for _ in range(speculation.TRIALS)]


@pytest.mark.parametrize("pays", [True, False])
def test_the_faster_kind_is_drawn_and_the_other_at_times(pays: bool) -> None:
    times, kinds = GuessTimes(), []
    for _ in range(200):
        kinds.append(times.guesses)
        times.add_block(kinds[-1], 1.0 if kinds[-1] == pays else 2.0, 10)
    assert times.pays is pays
    assert 2 <= kinds[20:].count(not pays) <= 180 // speculation.RETRY + 1


def test_a_block_that_lost_its_core_changes_little() -> None:
    times = GuessTimes()
    for _ in range(10):
        times.add_block(False, 2.0, 10)
        times.add_block(True, 1.0, 10)
    times.add_block(True, 500.0, 10)
    assert times.pays
