"""The experiment on bars for a mood."""

import numpy as np
import pytest

from experiments import affect_bars

WEIGHTS = np.random.default_rng(1).standard_normal((2, affect_bars.N_FEATURES))


def _windows(n: int, seed: int) -> affect_bars.BarWindows:
    """Windows whose bars say their own ratings, with noise."""
    draw = np.random.default_rng(seed)
    ratings = np.repeat(draw.uniform(-1, 1, size=(n, 1, 2)), affect_bars.BARS, axis=1)
    ratings += 0.2 * draw.uniform(-1, 1, size=ratings.shape)
    bars = ratings @ WEIGHTS + 0.3 * draw.standard_normal((n, affect_bars.BARS, affect_bars.N_FEATURES))
    return affect_bars.BarWindows(bars.reshape(n, -1), ratings.reshape(n, -1))


@pytest.mark.parametrize("name", ["ridge and noise", "diffusion", "nearest rated"])
def test_what_is_written_follows_what_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affect_bars, "HIDDEN", 48)
    monkeypatch.setattr(affect_bars, "BATCH", 32)
    known, other = _windows(300, 0), _windows(60, 1)
    written = affect_bars.WRITERS[name](known, other.ratings, 150, 0)
    assert written.shape == other.features.shape
    assert np.abs(written - other.features).mean() < 0.9 * np.abs(written - other.features[::-1]).mean()


def test_the_generator_against_a_critic_learns_the_spread_of_the_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affect_bars, "HIDDEN", 16)
    monkeypatch.setattr(affect_bars, "BATCH", 16)
    known, other = _windows(100, 0), _windows(30, 1)
    few, many = (affect_bars.adversarial(known, other.ratings, steps, 0) for steps in (3, 60))
    assert few.shape == other.features.shape and np.isfinite(many).all()
    assert abs(many.std() - known.features.std()) < abs(few.std() - known.features.std())


def test_measures_tell_real_bars_from_those_of_others_and_copies() -> None:
    known, other = _windows(300, 0), _windows(80, 1)
    real = affect_bars.measures_of(other.features, known, other)
    dealt = affect_bars.measures_of(other.features[::-1], known, other)
    assert real["level CCC V"] > dealt["level CCC V"] + 0.2
    assert real["Fréchet"] == pytest.approx(0, abs=1e-6) == dealt["Fréchet"]
    assert affect_bars.measures_of(known.features[:80], known, other)["copied"] == 1
    assert real["copied"] < 0.1
