"""Histograms of hand-worked tunes; the divergence against its definition; what separates music from noise."""

import math
import random

import numpy as np

from symbolic.evaluate import baselines
from symbolic.evaluate.metrics.histograms import (
    DURATIONS,
    FEATURES,
    divergence,
    divergences,
    floor,
    histograms,
    overlap,
)
from symbolic.notation.abc_parser import NotationError, Score, parse

TUNE = "X:1\nM:4/4\nL:1/8\nK:G\nG2A2 B2c2|g8-|g4 z4|G,4 [GBd]4|]\n"


def parsed(texts: list[str]) -> list[Score]:
    scores = []
    for text in texts:
        try:
            scores.append(parse(text))
        except NotationError:
            continue
    return scores


def test_a_tune_by_hand() -> None:
    found = {name: rows[0] for name, rows in histograms([parse(TUNE)]).items()}
    assert {i: int(n) for i, n in enumerate(found["pitch_class"]) if n} == {0: 3, 2: 1, 4: 1, 5: 1, 7: 1}
    intervals = {i - 12: int(n) for i, n in enumerate(found["interval"]) if n}
    assert intervals == {2: 2, 1: 1, 7: 1, -12: 1, 12: 1}  # G A B c g G, d: 24 down and 19 up count as octaves
    durations = {
        float(DURATIONS[i]) if i < len(DURATIONS) else None: int(n) for i, n in enumerate(found["duration"]) if n
    }
    assert durations == {2.0: 4, 4.0: 2, None: 1}  # the tied note of twelve eighths has no bin of its own
    assert {i: int(n) for i, n in enumerate(found["notes_per_bar"]) if n} == {4: 1, 1: 2, 2: 1}
    assert {name: len(row) for name, row in found.items()} == FEATURES


def test_transposition_changes_nothing_but_names() -> None:
    low = histograms([parse("X:1\nM:4/4\nL:1/8\nK:C\nCDEF GABc|c^cde|]")])
    high = histograms([parse("X:1\nM:4/4\nL:1/8\nK:D\nDEFG ABcd|d^def|]")])
    assert divergences(low, high) == dict.fromkeys(FEATURES, 0.0)


def test_divergence_is_that_of_lin() -> None:
    p, q = np.array([3, 1, 0]), np.array([1, 1, 2])
    a, b = p / 4, q / 4
    m = (a + b) / 2
    kl = sum(x * math.log2(x / y) for x, y in zip(a, m) if x) + sum(x * math.log2(x / y) for x, y in zip(b, m) if x)
    assert math.isclose(divergence(p, q), kl / 2) and math.isclose(divergence(p, q), divergence(q, p))
    assert divergence(p, 7 * p) == 0.0
    assert divergence(np.array([1, 0]), np.array([0, 5])) == 1.0
    assert divergence(np.array([0, 0]), np.array([0, 5])) == 1.0


def test_contours_by_hand() -> None:
    """C D E D D: up up down is 2 + 3 * 2 + 9 * 0, up down same is 2 + 3 * 0 + 9 * 1."""
    found = histograms([parse("X:1\nM:4/4\nL:1/8\nK:C\nCDEDD|")])["contour"][0]
    assert [i for i, n in enumerate(found) if n] == [8, 11] and found.sum() == 2


def test_overlap_of_like_and_unlike_sets(real_tunes: list[str]) -> None:
    texts = random.Random(0).sample(real_tunes, 300)
    a, b = (histograms(parsed(some)) for some in (texts[:150], texts[150:]))
    for name in FEATURES:
        assert overlap(a[name], b[name]) > 0.85, name
        one_tune = np.repeat(a[name][:1], 50, axis=0)
        assert overlap(one_tune, b[name]) < 0.85, name
    assert overlap(a["interval"][:0], b["interval"]) == 0.0
    assert overlap(a["interval"], b["interval"]) == overlap(a["interval"], b["interval"])


def test_no_tunes() -> None:
    assert histograms([])["interval"].shape == (0, FEATURES["interval"])


def test_noise_lies_far_above_the_floor(real_tunes: list[str]) -> None:
    rng = random.Random(2)
    texts = rng.sample(real_tunes, 600)
    real, rest = histograms(parsed(texts[:200])), histograms(parsed(texts[200:]))
    noise = histograms(parsed([baselines.shuffle(text.replace("[", ""), rng) for text in texts[200:]]))
    lowest = floor(rest, 200)
    human = divergences(real, rest)
    spoilt = divergences(noise, rest)
    for name in ("interval", "duration", "notes_per_bar"):
        assert human[name] < 4 * lowest[name] < spoilt[name], name
    assert floor(rest, 200, seed=1) != lowest == floor(rest, 200)
    assert floor(rest, 20)["interval"] > lowest["interval"]
