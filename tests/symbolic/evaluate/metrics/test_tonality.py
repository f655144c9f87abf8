"""Key, scale and compass of hand-made melodies; laws under transposition."""

import math

import numpy as np
import pytest

from symbolic.evaluate.metrics import tonality
from symbolic.notation.theory import MODES

MAJOR_SCALE = np.array([60, 62, 64, 65, 67, 69, 71, 72])
ONES = np.ones(8)


def test_entropy_between_one_note_and_all() -> None:
    assert tonality.entropy(np.array([5, 0, 0])) == 0.0
    assert tonality.entropy(np.ones(12)) == pytest.approx(math.log2(12))
    assert tonality.entropy(np.array([1, 1, 2])) == pytest.approx(1.5)
    assert math.isnan(tonality.entropy(np.zeros(12)))


def test_scale_consistency_of_a_scale_and_of_all_twelve() -> None:
    counts = np.bincount(MAJOR_SCALE % 12, minlength=12)
    for shift in range(12):
        assert tonality.scale_consistency(np.roll(counts, shift)) == 1.0
    assert tonality.scale_consistency(np.ones(12)) == pytest.approx(7 / 12)
    assert math.isnan(tonality.scale_consistency(np.zeros(12)))


def test_key_fit_wants_the_right_tonic() -> None:
    """A melody on the notes of the triad fits its own key best, of all twelve."""
    pitches = np.array([60, 64, 67, 72, 60, 64, 67, 60, 62, 65, 71, 60])
    fits = [tonality.key_fit(tonality.pitch_class_weights(pitches, np.ones(12), tonic), "") for tonic in range(12)]
    assert int(np.argmax(fits)) == 0 and fits[0] > 0.8
    minor = np.array([57, 60, 64, 69, 57, 60, 64, 57])
    weights = tonality.pitch_class_weights(minor, ONES, 9)
    assert tonality.key_fit(weights, "m") > 0.8 > tonality.key_fit(weights, "") + 0.1


def test_transposition_with_its_tonic_changes_nothing() -> None:
    lengths = np.arange(1, 9)
    here = tonality.pitch_class_weights(MAJOR_SCALE, lengths, 0)
    there = tonality.pitch_class_weights(MAJOR_SCALE + 7, lengths, 7)
    assert here.tolist() == there.tolist() and here.sum() == lengths.sum()


def test_edges() -> None:
    assert tonality.key_fit(np.ones(12), "") == 0.0 and math.isnan(tonality.key_fit(np.zeros(12), ""))
    assert tonality.compass(MAJOR_SCALE) == 12.0 and math.isnan(tonality.compass(np.array([], dtype=int)))


def test_each_mode_is_judged_by_the_profile_of_its_third() -> None:
    """Krumhansl and Kessler's two profiles (1982, from the tonic): modes with a minor third by the minor one."""
    major = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
    minor = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
    for mode in MODES:
        profile, other = (minor, major) if mode in ("m", "dor", "phr", "loc") else (major, minor)
        assert tonality.key_fit(profile, mode) == pytest.approx(1.0), mode
        assert tonality.key_fit(other, mode) == pytest.approx(np.corrcoef(major, minor)[0, 1]), mode
