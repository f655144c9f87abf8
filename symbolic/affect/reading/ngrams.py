"""Hashed n-grams of a sentence: words and pairs of words, and strings of characters inside words, as sparse rows.

Each table has 2**bits columns; a feature's column and sign are taken from CRC-32, so that they are the same on every
machine. Words inside the scope of a negation carry a mark of their own. Rows have unit length in each table.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from symbolic.affect.reading.sentences import WordToken, tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CHARACTERS = range(2, 6)  # lengths of character strings
BITS = 15


def rows(sentences: Sequence[str], bits: int = BITS) -> "csr_matrix":
    """(n, 2 * 2**bits) of sentences: the word table, then the character table."""
    from scipy.sparse import csr_matrix

    size = 1 << bits
    columns: list[int] = []
    values: list[float] = []
    starts = [0]
    for sentence in sentences:
        parsed = tokens(sentence)
        for offset, names in ((0, word_grams(parsed)), (size, character_grams(parsed))):
            row = _hashed(names, bits)
            norm = sum(value * value for value in row.values()) ** 0.5 or 1.0
            columns += [offset + column for column in row]
            values += [value / norm for value in row.values()]
        starts.append(len(columns))
    return csr_matrix((np.array(values, dtype=np.float32), columns, starts), shape=(len(sentences), 2 * size))


def word_grams(parsed: Sequence[WordToken]) -> Iterator[str]:
    """Words and pairs of neighbours, with `!` before those that are negated."""
    marked = [("!" if token.is_negated else "") + token.text for token in parsed]
    yield from marked
    yield from (f"{one} {other}" for one, other in zip(["^", *marked], [*marked, "$"]))


def character_grams(parsed: Sequence[WordToken]) -> Iterator[str]:
    """Strings of 2 to 5 characters of each word, its borders counted as a character."""
    for token in parsed:
        word = f"<{token.text}>"
        mark = "!" if token.is_negated else ""
        for length in CHARACTERS:
            yield from (mark + word[i : i + length] for i in range(len(word) - length + 1))


def _hashed(names: Iterable[str], bits: int) -> dict[int, float]:
    row: dict[int, float] = {}
    for name, count in Counter(names).items():
        code = zlib.crc32(name.encode("utf-8"))
        column, sign = code & ((1 << bits) - 1), 1.0 if code >> 31 else -1.0
        row[column] = row.get(column, 0.0) + sign * (1 + np.log(count))
    return row
