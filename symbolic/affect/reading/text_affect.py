"""Valence and arousal of a text, sentence by sentence, by models learnt from EmoBank.

    arc = text_arc("It was a bright morning. Then the letter came.")

Readers, from what is always there to what is best: `ngrams` (hashed n-grams and surface features, bundled), `norms`
(the same with word norms that are installed or named), `encoder` (the mean of the best of these and a ridge model on a
sentence encoder's output). All are linear; the models know English.

A text whose words are mostly unknown to the model (another language, a list of codes) is refused: known words are kept
as a bit array of hashes.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import ridge
from symbolic.affect.plane import Arc, arc, smoothed
from symbolic.affect.reading import ngrams, surface_features
from symbolic.affect.reading.sentences import MAX_BYTES, sentences, words
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.affect.labels.word_ratings import WordNorms
    from symbolic.affect.reading.encoder import SentenceEncoder

Floats = NDArray[np.float64]
WEIGHTS = Path(__file__).parents[1] / "ready" / "text-va.safetensors"
SECOND_WEIGHTS = WEIGHTS.with_name("text-second.safetensors")
READERS = ("ngrams", "norms", "encoder")
LEAST_KNOWN = 0.6  # share of a text's words
LEAST_WORDS = 3
MOST_SENTENCES = 20_000
KNOWN_BITS = 18
SMOOTHING = 3  # sentences, of the smoothed arc


@dataclass(frozen=True)
class LinearReader:
    """n-grams, surface features and perhaps norm features: `grams` (2 * 2**bits, 2), `dense` (d, 2), `bias` (2,)."""

    grams: NDArray[np.float32]
    dense: Floats
    bias: Floats
    half_width: Floats

    @property
    def bits(self) -> int:
        """log2 of one table's columns."""
        return int(self.grams.shape[0]).bit_length() - 2

    def predict(self, texts: Sequence[str], norms: "WordNorms | None" = None) -> Floats:
        """(n, 2) of sentences; `norms` where the reader learnt with them."""
        return (
            np.asarray(ngrams.rows(texts, self.bits) @ self.grams)
            + dense_features(texts, norms) @ self.dense
            + self.bias
        )


@dataclass(frozen=True)
class TextModel:
    """The readers by name, the encoder's ridge weights, the bits of known words, and the record."""

    readers: dict[str, LinearReader]
    encoder: ridge.Ridge | None
    known: NDArray[np.uint8]
    record: dict[str, Any]

    def predict(
        self,
        texts: Sequence[str],
        reader: str = "ngrams",
        norms: "WordNorms | None" = None,
        encoder: "SentenceEncoder | None" = None,
    ) -> Floats:
        """(n, 2) valence and arousal of sentences."""
        if reader != "encoder":
            return self.readers[reader].predict(texts, norms if reader == "norms" else None)
        assert encoder is not None and self.encoder is not None
        best = "norms" if norms is not None and "norms" in self.readers else "ngrams"
        embedded = self.encoder.predict(encoder.embed(texts))
        return (self.readers[best].predict(texts, norms if best == "norms" else None) + embedded) / 2

    def known_share(self, text: str) -> float:
        """Share of the words of a text that occur in the training sentences."""
        return self.known_share_of(Counter(words(text)))

    def known_share_of(self, counts: Counter[str]) -> float:
        """Share of counted words that occur in the training sentences."""
        n_known = sum(count for word, count in counts.items() if is_known(word, self.known))
        return n_known / max(1, counts.total())


def text_arc(
    text: str,
    model: TextModel | None = None,
    reader: str = "ngrams",
    norms: "WordNorms | None" = None,
    encoder: "SentenceEncoder | None" = None,
) -> Arc:
    """Valence and arousal sentence by sentence, with 90 % intervals. UserError for a text that cannot be judged."""
    model = model or bundled()
    if reader not in READERS:
        raise UsageError(f"there is no reader {reader!r}: choose {', '.join(READERS)}.")
    lines, share = _read(text, model)
    points = model.predict(lines, reader, norms, encoder)
    half = model.readers["norms" if reader == "norms" else "ngrams"].half_width
    record = {
        "sentences": lines,
        "smoothed": [[round(float(x), 4) for x in point] for point in smoothed(points, SMOOTHING)],
        "domain": "in" if share >= 0.75 and len(lines) > 1 else "out",
        "known_words": round(share, 3),
        "model": f"text-va {reader}",
        "remarks": _remarks(lines, share),
        "sha256": model.record.get("sha256", ""),
    }
    found = arc(
        "sentences", [float(i + 1) for i in range(len(lines))], points, len(lines) + 1, domain="text", record=record
    )
    low, high = np.clip(points - half, -1, 1).round(4), np.clip(points + half, -1, 1).round(4)
    return replace(
        found, low=tuple((float(v), float(a)) for v, a in low), high=tuple((float(v), float(a)) for v, a in high)
    )


def readable(text: str, model: TextModel | None = None) -> list[str]:
    """The sentences of a text. UserError where it is empty, too short, too long or not English."""
    return _read(text, model or bundled())[0]


def _read(text: str, model: TextModel) -> tuple[list[str], float]:
    """The sentences of a text, and the share of its words that the model knows."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise UserError(f"the text is larger than {MAX_BYTES // 2**20} MB: give a part of it.")
    lines = sentences(text)
    counts = Counter(word for line in lines for word in words(line))
    n_words = counts.total()
    if n_words < LEAST_WORDS:
        counted = "1 word" if n_words == 1 else f"{n_words} words"
        raise UserError(f"the text has {counted}; {LEAST_WORDS} are the least that a feeling can be read from.")
    if len(lines) > MOST_SENTENCES:
        raise UserError(f"the text has {len(lines):,} sentences; at most {MOST_SENTENCES:,} are read.")
    share = model.known_share_of(counts)
    if share < LEAST_KNOWN:
        raise UserError(
            f"only {share:.0%} of the text's words are known to the reader, which learnt from English sentences: give "
            "an English text, or train on your own language with `affect train --data sentences:FILE.csv`."
        )
    return lines, share


def dense_features(texts: Sequence[str], norms: "WordNorms | None") -> Floats:
    """(n, d) surface features, followed by norm features where there are norms."""
    surface = surface_features.surface(texts)
    return surface if norms is None else np.hstack([surface, surface_features.norm_features(texts, norms)])


def known_words(texts: Sequence[str], least: int = 2) -> NDArray[np.uint8]:
    """The bit array of the words that occur at least `least` times."""
    counts = Counter(word for text in texts for word in words(text))
    bits = np.zeros(1 << KNOWN_BITS, dtype=bool)
    bits[[_place(word) for word, count in counts.items() if count >= least]] = True
    return np.packbits(bits)


def is_known(word: str, known: NDArray[np.uint8]) -> bool:
    """Whether a word's bit is set; one word in thirty is taken for known that is not."""
    place = _place(word)
    return bool(known[place >> 3] >> (7 - (place & 7)) & 1)


@cache
def bundled() -> TextModel:
    """The model that the package carries."""
    return load(WEIGHTS)


@cache
def second() -> TextModel:
    """A second reader, of sentences that the first never saw: it measures what the first one chose."""
    return load(SECOND_WEIGHTS)


def load(path: Path) -> TextModel:
    """A model written by `save`. UserError where it cannot be read."""
    tensors, record = ridge.read_tensors(path)
    readers = {}
    for name in READERS[:2]:
        if f"{name}.grams" in tensors:
            grams = tensors[f"{name}.grams"].astype(np.float32) * tensors[f"{name}.scale"]
            parts = [
                np.asarray(tensors[f"{name}.{part}"], dtype=np.float64) for part in ("dense", "bias", "half_width")
            ]
            readers[name] = LinearReader(grams, *parts)
    if "ngrams" not in readers or "known" not in tensors:
        raise UserError(f"{path} holds no text model.")
    encoder = None
    if "encoder.weights" in tensors:
        names = [str(i) for i in range(tensors["encoder.mean"].size)]
        encoder = ridge.load(tensors, "encoder", names)
    return TextModel(readers, encoder, tensors["known"], record)


def save(model: TextModel, path: Path) -> None:
    """Write the model as safetensors; n-gram weights as 8-bit integers with a scale for each output."""
    tensors: dict[str, Any] = {"known": model.known}
    for name, one in model.readers.items():
        scale = np.maximum(np.abs(one.grams).max(axis=0), 1e-9) / 127
        tensors[f"{name}.grams"] = np.round(one.grams / scale).astype(np.int8)
        tensors[f"{name}.scale"] = scale.astype(np.float32)
        for part in ("dense", "bias", "half_width"):
            tensors[f"{name}.{part}"] = np.ascontiguousarray(getattr(one, part), dtype=np.float32)
    if model.encoder is not None:
        tensors |= model.encoder.tensors("encoder")
    ridge.save_tensors(path, tensors, model.record)


def _place(word: str) -> int:
    return zlib.crc32(word.encode("utf-8")) & ((1 << KNOWN_BITS) - 1)


def _remarks(lines: Sequence[str], share: float) -> list[str]:
    found = []
    if len(lines) == 1:
        found.append("one sentence: a level, not an arc")
    if share < 0.75:
        found.append(f"{1 - share:.0%} of the words are unknown to the reader: take the values with care")
    n_letters, n_capitals = (sum(sum(map(kind, line)) for line in lines) for kind in (str.isalpha, str.isupper))
    if n_letters > 20 and n_capitals > 0.7 * n_letters:
        found.append("written in capitals, which the reader takes for excitement")
    return found
