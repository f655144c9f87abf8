"""Hashed n-grams."""

import zlib

import numpy as np
import pytest

from symbolic.affect.reading.ngrams import character_grams, rows, word_grams
from symbolic.affect.reading.sentences import tokens


def test_grams_of_a_sentence() -> None:
    assert list(word_grams(tokens("not sad"))) == ["not", "!sad", "^ not", "not !sad", "!sad $"]
    assert list(character_grams(tokens("ab"))) == ["<a", "ab", "b>", "<ab", "ab>", "<ab>"]


def test_rows_are_the_same_everywhere_and_of_unit_length() -> None:
    matrix = rows(["The war is over.", "The war is over.", ""], 10)
    assert matrix.shape == (3, 2048)
    dense = matrix.toarray()
    assert dense[0].tolist() == dense[1].tolist()
    assert np.linalg.norm(dense[0, :1024]) == pytest.approx(1, abs=1e-6)
    assert zlib.crc32(b"war") & 1023 in rows(["war"], 10).indices


def test_negation_changes_the_row() -> None:
    one, other = rows(["I am happy", "I am not happy"], 12).toarray()
    assert float(one @ other) / (np.linalg.norm(one) * np.linalg.norm(other)) < 0.75
