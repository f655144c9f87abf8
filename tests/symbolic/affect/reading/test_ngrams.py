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


def test_grams_count_by_the_logarithm_with_their_sign() -> None:
    grams = ["so", "so", "so", "good", "^ so", "so so", "so so", "so good", "good $"]
    expected = np.zeros(1 << 12)
    for gram in set(grams):
        code = zlib.crc32(gram.encode())
        expected[code & 4095] += (1 if code >> 31 else -1) * (1 + np.log(grams.count(gram)))
    row = rows(["so so so good"], 12).toarray()[0, : 1 << 12]
    assert row == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    alone, among = rows(["I was not glad."], 12), rows(["Glad!", "I was not glad.", "x"], 12)
    assert alone.toarray()[0] == pytest.approx(among.toarray()[1], abs=1e-6)
