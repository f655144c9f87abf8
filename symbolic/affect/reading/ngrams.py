"""Hashed n-grams of a sentence: words and pairs of words, and strings of characters inside words, as sparse rows.

Each table has 2**bits columns; a feature's column and sign are taken from CRC-32, so that they are the same on every
machine. Words inside the scope of a negation carry a mark of their own. Rows have unit length in each table.

A text of a megabyte has a hundred thousand different grams among millions: each word's are made once, and counted as
numbers.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.reading.sentences import WordToken, tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CHARACTERS = range(2, 6)  # lengths of character strings
BITS = 15
Numbers = NDArray[np.int64]
NONE = np.zeros(0, dtype=np.int64)


def rows(sentences: Sequence[str], bits: int = BITS) -> "csr_matrix":
    """(n, 2 * 2**bits) of sentences: the word table, then the character table."""
    from scipy.sparse import hstack

    parsed = [tokens(sentence) for sentence in sentences]
    words, characters = GramNumbers(), GramNumbers()
    by_word = [words.of(word_grams(sentence)) for sentence in parsed]
    by_character = [np.concatenate([NONE, *map(characters.of_word, sentence)]) for sentence in parsed]
    return hstack([words.table(by_word, bits), characters.table(by_character, bits)], format="csr")


def word_grams(parsed: Sequence[WordToken]) -> Iterator[str]:
    """Words and pairs of neighbours, with `!` before those that are negated."""
    marked = [("!" if token.is_negated else "") + token.text for token in parsed]
    yield from marked
    yield from (f"{one} {other}" for one, other in pairwise(["^", *marked, "$"]))


def character_grams(parsed: Sequence[WordToken]) -> Iterator[str]:
    """Strings of 2 to 5 characters of each word, its borders counted as a character."""
    for token in parsed:
        word = f"<{token.text}>"
        mark = "!" if token.is_negated else ""
        for length in CHARACTERS:
            yield from (mark + word[i : i + length] for i in range(len(word) - length + 1))


class GramNumbers:
    """Numbers of grams in the order in which they are met, and the grams' rows."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.of_words: dict[WordToken, Numbers] = {}

    def of(self, grams: Iterable[str]) -> Numbers:
        """The number of each gram."""
        return np.array([self.numbers.setdefault(gram, len(self.numbers)) for gram in grams], dtype=np.int64)

    def of_word(self, token: WordToken) -> Numbers:
        """The numbers of a word's character grams."""
        found = self.of_words.get(token)
        if found is None:
            found = self.of_words[token] = self.of(character_grams([token]))
        return found

    def table(self, sentences: Sequence[Numbers], bits: int) -> "csr_matrix":
        """(n, 2**bits) rows of unit length: each gram of a sentence adds 1 + ln of how often it stands there, with its
        sign, to its column."""
        from scipy.sparse import csr_matrix

        codes = np.array([zlib.crc32(gram.encode("utf-8")) for gram in self.numbers], dtype=np.int64)
        of_sentence = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
        places = of_sentence * len(codes) + np.concatenate([NONE, *sentences])
        places, counts = np.unique(places, return_counts=True)
        row, number = np.divmod(places, max(1, len(codes)))
        values = np.where(codes[number] >> 31, 1.0, -1.0) * (1 + np.log(counts))
        shape = (len(sentences), 1 << bits)
        matrix = csr_matrix((values, (row, codes[number] & (shape[1] - 1))), shape=shape)
        norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
        matrix.data /= np.repeat(np.where(norms, norms, 1.0), np.diff(matrix.indptr))
        return matrix.astype(np.float32)
