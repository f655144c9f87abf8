"""Training and evaluation of the text readers on rated sentences, with floors beside every figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import arc_measures, ridge
from symbolic.affect.labels.rated_items import RatedItem, RatedSet
from symbolic.affect.plane import smoothed
from symbolic.affect.reading import ngrams
from symbolic.affect.reading.text_affect import LinearReader, TextModel, dense_features, known_words

if TYPE_CHECKING:
    from symbolic.affect.labels.word_ratings import WordNorms

Floats = NDArray[np.float64]
BITS = 16
# (power of the inverse document frequency, scale of dense features, damping) for valence and arousal, chosen on
# EmoBank's dev split among 3 x 2 x 3 settings.
SETTINGS = ((0.25, 0.2, 2.0), (0.25, 0.2, 4.0))
NORM_SETTINGS = ((0.25, 0.5, 3.0), (0.25, 0.5, 5.0))
ENCODER_PENALTY = 300.0
ARC_WIDTH = 9  # sentences
LEAST_SENTENCES = 40  # of a document whose arc is compared


def train_reader(
    items: Sequence[RatedItem],
    norms: "WordNorms | None" = None,
    settings: Sequence[tuple[float, float, float]] | None = None,
    bits: int = BITS,
) -> LinearReader:
    """A linear reader of rated sentences, by damped least squares on sparse rows."""
    texts, targets = [item.text for item in items], np.array([item.target for item in items])
    sparse, dense = ngrams.rows(texts, bits), dense_features(texts, norms)
    mean, sd = dense.mean(axis=0), np.maximum(dense.std(axis=0), 1e-6)
    frequency = np.bincount(sparse.indices, minlength=sparse.shape[1])
    rarity = np.maximum(np.log(len(texts) / (1 + frequency)), 0)
    chosen = settings or (SETTINGS if norms is None else NORM_SETTINGS)
    columns = [_solved(sparse, (dense - mean) / sd, rarity, targets[:, output], chosen[output]) for output in range(2)]
    grams = np.stack([gram for gram, _ in columns], axis=1).astype(np.float32)
    weights = np.stack([weight for _, weight in columns], axis=1) / sd[:, None]
    return LinearReader(grams, weights, targets.mean(axis=0) - mean @ weights, np.zeros(2))


def _solved(
    sparse: Any, dense: Floats, rarity: Floats, target: Floats, setting: tuple[float, float, float]
) -> tuple[Floats, Floats]:
    """Weights of n-grams and of standardised dense features for one output."""
    from scipy.sparse import csr_matrix, diags, hstack
    from scipy.sparse.linalg import lsqr

    power, dense_scale, damping = setting
    weight = rarity**power
    stacked = hstack([sparse @ diags(weight), csr_matrix(dense * dense_scale)]).tocsr()
    solution = lsqr(stacked, target - target.mean(), damp=damping, iter_lim=80, atol=1e-5, btol=1e-5)[0]
    n = sparse.shape[1]
    return solution[:n] * weight, solution[n:] * dense_scale


def with_interval(reader: LinearReader, items: Sequence[RatedItem], norms: "WordNorms | None" = None) -> LinearReader:
    """The reader with 90 % intervals from its errors on items that it did not learn from."""
    errors = reader.predict([item.text for item in items], norms) - np.array([item.target for item in items])
    return LinearReader(reader.grams, reader.dense, reader.bias, ridge.conformal(errors))


def train_encoder(embedded: Floats, items: Sequence[RatedItem]) -> ridge.Ridge:
    """Ridge weights on a sentence encoder's output (n, d)."""
    names = [str(i) for i in range(embedded.shape[1])]
    return ridge.fit(embedded, np.array([item.target for item in items]), names, ENCODER_PENALTY)


def train(rated: RatedSet, norms: "WordNorms | None", embedded: Floats | None, record: dict[str, Any]) -> TextModel:
    """The whole text model; items of the split `test` are never learnt from, those of `dev` set the intervals.

    Without splits every tenth group is kept apart for the intervals.
    """
    learn, held = _parts(rated)
    readers = {"ngrams": with_interval(train_reader(learn), held)}
    if norms is not None:
        readers["norms"] = with_interval(train_reader(learn, norms), held, norms)
    encoder = None
    if embedded is not None:
        rows = {item.id: row for item, row in zip(rated.items, embedded)}
        encoder = train_encoder(np.stack([rows[item.id] for item in learn]), learn)
    return TextModel(readers, encoder, known_words([item.text for item in learn]), record)


def mean_error(predicted: Floats, rated: Floats) -> float:
    """MAE averaged over valence and arousal."""
    return float(np.abs(predicted - rated).mean())


def document_arcs(predicted: Floats, items: Sequence[RatedItem]) -> dict[str, tuple[float, float]]:
    """r of valence and arousal of the 9-sentence means inside each document of LEAST_SENTENCES or more; items in
    document order."""
    found = {}
    groups = np.array([item.group for item in items])
    targets = np.array([item.target for item in items])
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        if len(rows) >= LEAST_SENTENCES:
            heard, rated = smoothed(predicted[rows], ARC_WIDTH), smoothed(targets[rows], ARC_WIDTH)
            pair = [arc_measures.correlation(heard[:, column], rated[:, column]) for column in range(2)]
            found[str(group)] = (pair[0], pair[1])
    return found


def _parts(rated: RatedSet) -> tuple[list[RatedItem], list[RatedItem]]:
    """(to learn from, to set intervals by)."""
    if any(item.split == "train" for item in rated.items):
        held = [item for item in rated.items if item.split in ("dev", "valid", "validation")]
        learn = [item for item in rated.items if item.split == "train"]
        return learn, held or learn[::10]
    groups = sorted({item.group for item in rated.items})
    apart = set(groups[::10])
    learn = [item for item in rated.items if item.group not in apart] or list(rated.items)
    return learn, [item for item in rated.items if item.group in apart]
