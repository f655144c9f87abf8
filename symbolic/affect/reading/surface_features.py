"""What a sentence shows without its words being known: length, signs, capitals; and features of word norms.

Norm features are of the words' own valence, arousal and their spread (Warriner and others 2013), with the lemma found
by a few rules of English inflection, and the valence of negated words turned round, NEGATED_SHARE of it.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.labels.word_ratings import WordNorms
from symbolic.affect.reading.sentences import WordToken, tokens

Floats = NDArray[np.float64]
SURFACE = ("log_words", "exclaims", "asks", "quotes", "capitals", "all_capitals", "digits", "brevity")
NORM_FEATURES = tuple(
    f"{dimension}_{name}"
    for dimension in ("valence", "arousal", "dominance")
    for name in ("mean", "max", "min", "sd", "sum", "extreme")
) + ("known", "negated", "valence_negated", "pleasant", "unpleasant", "exciting")  # fmt: skip
NEGATED_SHARE = 0.6
_SUFFIXES = (("ies", "y"), ("ied", "y"), ("es", ""), ("s", ""), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"),
             ("er", ""), ("est", ""), ("ly", ""), ("'s", ""))  # fmt: skip


def surface(sentences: Sequence[str]) -> Floats:
    """(n, 8) in the order of SURFACE."""
    return np.array([_surface(sentence) for sentence in sentences], dtype=np.float64).reshape(-1, len(SURFACE))


def norm_features(sentences: Sequence[str], norms: WordNorms) -> Floats:
    """(n, 24) in the order of NORM_FEATURES."""
    centre = np.mean(list(norms.values.values()), axis=0)
    rows = [_norm_row(tokens(sentence), norms, centre) for sentence in sentences]
    return np.array(rows, dtype=np.float64).reshape(-1, len(NORM_FEATURES))


def rated(word: str, norms: WordNorms) -> tuple[float, float, float] | None:
    """(valence, arousal, dominance) of a word or of its lemma; None where neither is known."""
    if word in norms.values:
        return norms.values[word]
    for suffix, ending in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 2:
            stem = word[: -len(suffix)] + ending
            undoubled = stem[:-1] if len(stem) > 3 and stem[-1:] == stem[-2:-1] else stem
            found = norms.values.get(stem) or norms.values.get(undoubled)
            if found:
                return found
    return None


def _surface(sentence: str) -> list[float]:
    n_words, letters = len(sentence.split()), re.sub(r"[^A-Za-z]", "", sentence)
    return [
        float(np.log1p(n_words)),
        float("!" in sentence),
        float("?" in sentence),
        float(bool(re.search(r'["“”]', sentence))),
        sum(map(str.isupper, sentence)) / max(1, len(sentence)),
        float(len(letters) > 3 and letters.isupper()),
        float(any(map(str.isdigit, sentence))),
        1 / (1 + n_words),
    ]


def _norm_row(parsed: Sequence[WordToken], norms: WordNorms, centre: Floats) -> list[float]:
    words = [token for token in parsed if token.text[0].isalpha()]
    found = [(token, value) for token in words if (value := rated(token.text, norms)) is not None]
    if not found:
        return [0.0] * len(NORM_FEATURES)
    values = np.array([value for _, value in found]) - centre
    negated = np.array([token.is_negated for token, _ in found])
    values[negated, 0] *= -NEGATED_SHARE
    row: list[float] = []
    for column in values.T:
        total = column.sum() / (len(column) + 1)
        extreme = column[np.argmax(np.abs(column))]
        row += [column.mean(), column.max(), column.min(), column.std(), total, extreme]
    share = negated.mean()
    counts = [
        np.log1p((values[:, 0] > 0.4).sum()),
        np.log1p((values[:, 0] < -0.4).sum()),
        np.log1p((values[:, 1] > 0.2).sum()),
    ]
    return [float(x) for x in [*row, len(found) / len(words), share, share * values[:, 0].mean(), *counts]]
