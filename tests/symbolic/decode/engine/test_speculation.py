"""Guesses change no bit of a tune; what is looked up; when guessing ends."""

from typing import Any

import pytest

from symbolic.decode.engine import engine, native_step, speculation
from symbolic.decode.engine.sampling import Sampling
from symbolic.decode.engine.speculation import GuessTrial, Lookup, SpeculativeSampler
from tests.small_models import RAGGED, SHAPES, generate, make_model

compiler = pytest.mark.skipif(native_step.problem() is not None, reason="no C compiler")


@compiler
@pytest.mark.parametrize("weights", ["float32", "int8"])
@pytest.mark.parametrize("family", SHAPES)
def test_tunes_are_those_without_guesses_bit_for_bit(
    family: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuessTrial, "guesses", True)
    seen: list[SpeculativeSampler] = []
    made = SpeculativeSampler.__init__

    def note(sampler: SpeculativeSampler, *arguments: Any) -> None:
        made(sampler, *arguments)
        seen.append(sampler)

    monkeypatch.setattr(SpeculativeSampler, "__init__", note)
    monkeypatch.setattr(GuessTrial, "add", lambda *_: None)
    model = engine.prepare(make_model(family), "native", weights)
    for sampling in (Sampling(temperature=0.3), Sampling(0.6, min_p=0.05), Sampling(temperature=0)):
        settings: dict[str, Any] = {"batch_size": 1, "max_new_tokens": 50, "sampling": sampling}
        plain = generate(model, RAGGED[:12], **settings)
        assert generate(model, RAGGED[:12], guesses=True, **settings) == plain
    assert len(seen) == 3  # both outcomes occurred:
    assert sum(sampler.n_right for sampler in seen) > 10
    assert sum(sampler.n_guesses - sampler.n_right for sampler in seen) > 20


@compiler
@pytest.mark.parametrize("pays", [True, False])
def test_a_model_keeps_its_verdict(pays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculation, "GAIN", 0.0 if pays else 1e9)
    model = engine.prepare(make_model("mamba2"), "native")
    settings: dict[str, Any] = {"batch_size": 1, "sampling": Sampling(temperature=0.3)}
    for _ in range(2):
        plain = generate(model, RAGGED[:12], **settings)
        assert generate(model, RAGGED[:12], guesses=True, **settings) == plain
    assert speculation._TRIALS[model].verdict is pays


def test_the_longest_ending_is_looked_up() -> None:
    lookup = Lookup()
    assert lookup.guess() is None
    for token in (1, 2, 3, 9, 2, 3):
        lookup.add(token)
    assert lookup.last == 3 and lookup.guess() == 9
    for token in (7, 1, 2, 3):  # 2 3 was last followed by 7, and 1 2 3 by 9
        lookup.add(token)
    assert lookup.guess() == 9


def test_a_trial_compares_medians() -> None:
    for seconds, pays in ((1.1, False), (0.9, True)):
        trial, order = GuessTrial(), []
        while trial.verdict is None:
            order.append(trial.guesses)
            n_so_far = order.count(True)  # the first two fill the table; one block waits for the processor
            trial.add(order[-1], 32 * ((5.0 if n_so_far in (1, 2, 4) else seconds) if order[-1] else 1.0), 32)
        assert trial.verdict is pays and trial.guesses is pays
        assert order == [False, True] * speculation.TRIAL_BLOCKS
