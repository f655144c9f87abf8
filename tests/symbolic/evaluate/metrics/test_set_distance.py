"""Distances between sets of points whose answer is known, and between real tunes and noise."""

import random

import numpy as np
import pytest

from symbolic.evaluate import baselines
from symbolic.evaluate.metrics import set_distance
from symbolic.evaluate.metrics.set_distance import FEATURES, K, features, frechet, frechet_floor, neighbours, space
from symbolic.evaluate.tune_features import observe_all

RNG = np.random.default_rng(0)
CLOUD, OTHER = RNG.normal(0, 1, (300, 4)), RNG.normal(0, 1, (300, 4))


def test_frechet_of_normal_distributions() -> None:
    """Closed form: mean shift squared, and (s - t)^2 for each axis of standard deviations s and t."""
    wide = OTHER * np.array([3.0, 1, 1, 1]) + np.array([0, 5.0, 0, 0])
    expected = 25 + (3 - 1) ** 2
    assert frechet(wide, CLOUD) == pytest.approx(expected, rel=0.1)
    assert frechet(CLOUD, CLOUD) == pytest.approx(0, abs=1e-9)
    assert frechet(CLOUD, wide) == pytest.approx(frechet(wide, CLOUD))
    assert np.isnan(frechet(CLOUD[:1], CLOUD))


def test_intervals_fall_into_classes() -> None:
    """Semitones from an octave down to one up: more than a fifth, fourth to fifth, thirds, steps, the same note."""
    down = [0] * 5 + [1] * 3 + [2] * 2 + [3] * 2
    assert set_distance._STEPS.tolist() == [*down, 4, *(8 - step for step in reversed(down))]


def test_floor_falls_with_the_number_of_tunes() -> None:
    assert 0 < frechet_floor(CLOUD, 150) < frechet_floor(CLOUD, 20)


def test_one_distribution() -> None:
    found = neighbours(CLOUD, OTHER)
    assert found["precision"] > 0.85 and found["recall"] > 0.85 and found["coverage"] > 0.85
    assert found["density"] == pytest.approx(1, abs=0.15)


def test_far_away_everything_is_zero() -> None:
    assert neighbours(CLOUD + 100, OTHER) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    assert neighbours(CLOUD[:K], OTHER)["precision"] == 0


def test_one_mode_of_two_has_precision_and_half_the_coverage() -> None:
    real = np.concatenate([OTHER, OTHER + 50])
    found = neighbours(CLOUD, real[RNG.permutation(600)[:300]])
    assert found["precision"] > 0.8 and found["coverage"] == pytest.approx(0.5, abs=0.12) and found["recall"] < 0.6


def test_an_outlier_does_not_make_density() -> None:
    """Naeem et al., figure 3: one far real point makes precision see the noise around it as real; density does not."""
    real = np.concatenate([OTHER, np.full((1, 4), 12.0)])
    noise = np.full((301, 4), 10.0) + RNG.normal(0, 0.5, (301, 4))
    found = neighbours(noise, real)
    assert found["precision"] > 0.5 > 0.35 > found["density"]


def test_features_of_tunes(real_tunes: list[str]) -> None:
    texts = random.Random(1).sample(real_tunes, 240)
    seen = observe_all(texts).parsed
    raw = features(seen.histograms, seen.values)
    assert raw.shape == (len(seen), FEATURES)
    assert np.allclose(raw[:, :12].sum(axis=1), 1) and np.allclose(raw[:, 12:21].sum(axis=1), 1)
    assert np.allclose(raw[:, 21:29].sum(axis=1), 1)
    here = space(raw[:120])
    real, human = here.place(raw[:120]), here.place(raw[120:])
    assert np.allclose(real.mean(axis=0), 0, atol=1e-6) and np.isfinite(human).all()
    rng = random.Random(2)
    spoilt = observe_all([baselines.random_pitches(text, rng) for text in texts[120:]]).parsed
    noise = here.place(features(spoilt.histograms, spoilt.values))
    assert frechet(noise, real) > 10 * frechet(human, real)
    assert neighbours(noise, real)["precision"] < 0.1 < 0.7 < neighbours(human, real)["precision"]
    assert set_distance.FEATURES == 37


def test_neighbours_are_those_of_the_definition() -> None:
    """Kynkäänniemi et al. 2019 and Naeem et al. 2020 point by point, the K-th nearest other by sorting."""
    rng = np.random.default_rng(3)
    made, real = rng.normal(0.4, 1.2, (60, 3)), rng.normal(0.0, 1.0, (60, 3))

    def reach(points: np.ndarray, i: int) -> float:
        others = [float(np.linalg.norm(points[i] - points[j])) for j in range(len(points)) if j != i]
        return sorted(others)[set_distance.K - 1]

    inside = np.array([[np.linalg.norm(a - b) <= reach(real, j) for j, b in enumerate(real)] for a in made])
    covers = np.array([[np.linalg.norm(a - b) <= reach(made, i) for b in real] for i, a in enumerate(made)])
    found = set_distance.neighbours(made, real)
    assert found == pytest.approx(
        {
            "precision": inside.any(axis=1).mean(),
            "recall": covers.any(axis=0).mean(),
            "density": inside.sum() / (60 * set_distance.K),
            "coverage": inside.any(axis=0).mean(),
        }
    )
    assert 0 < found["precision"] < 1 and 0 < found["recall"] < 1 and 0 < found["coverage"] < 1


def test_classes_of_intervals() -> None:
    """Semitones by nine classes: repeated notes alone, then steps, thirds, up to a fifth and wider, down and up."""
    classes = [*[0] * 5, *[1] * 3, 2, 2, 3, 3, 4, 5, 5, 6, 6, *[7] * 3, *[8] * 5]
    assert set_distance._STEPS.tolist() == classes and len(classes) == 25
