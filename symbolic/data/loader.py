"""Training batches from a shard: shuffled tunes as rows of ids; the position can be resumed.

Legend: B rows a batch, T context (targets a row).

An epoch is a permutation of the tunes, each in one transposition and framed as BOS tune EOS, both drawn from
(seed, epoch). Two packings make rows of T + 1 ids of them:

- `stream`: the tunes one after another, cut anywhere. Neighbouring rows share one id, the last target of one and the
  first input of the next: each id after the first is a target exactly once.
- `tunes`: whole tunes in every row, the fullest row that still has room taken first (best fit, longest tune first),
  so that a row begins where a tune begins, as it does in generation. The few places left are filled with the
  beginning of another tune; a tune longer than a row begins in one and goes on in the next. Ding et al. 2024
  (arXiv 2404.10830) describe what cutting tunes anywhere costs.

An epoch of more than PART_TUNES tunes is planned part by part, and a part is as random a choice of tunes as any: the
permutation is computed where it is asked for (a Feistel network, Luby & Rackoff 1988, whose values beyond the last
tune are sent through it again, Black & Rogaway 2002). So neither opening a shard nor reading on grows with the corpus,
and a batch is one gather from the memory-mapped ids. What is left at the end of a part and does not fill a batch is
dropped.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from symbolic.data.shards import Shard
from symbolic.errors import UserError

Packing = Literal["stream", "tunes"]
Keys = Literal["uniform", "corpus"]  # how a tune's transposition is drawn: each alike, or by the weights of the shard
PART_TUNES = 2**16  # planned at once: 15 MiB
ROUNDS = 6  # of the Feistel network; four make it pseudo-random for a random round function


@dataclass(frozen=True)
class _Spans:
    """Pieces of documents in the order of a part's ids. Framed means: with BOS and EOS."""

    first: NDArray[np.int64]  # (n,) place in shard.tokens of the id after a framed document's BOS, plus where it begins
    starts: NDArray[np.int64]  # (n + 1,) place of each span among the part's ids; the last is their number
    opens: NDArray[np.bool_]  # (n,) whether the span begins with its document's BOS
    closes: NDArray[np.bool_]  # (n,) whether it ends with its document's EOS


class Batches:
    """An endless iterator of int64 arrays (B, T + 1); inputs are [:, :-1], targets [:, 1:]."""

    def __init__(
        self,
        shard: Shard,
        batch_size: int,
        context: int,
        seed: int,
        packing: Packing = "stream",
        keys: Keys = "uniform",
    ) -> None:
        self.shard, self.batch_size, self.context, self.seed = shard, batch_size, context, seed
        self.packing: Packing = packing
        self.keys: Keys = keys
        self.n_parts = max(1, math.ceil(shard.n_tunes / PART_TUNES))
        self.epoch = self.part = 0
        self.batch = 0  # next batch of the part
        _check_size(shard, batch_size, context, self.n_parts)
        self._plan = self._planned(0, 0)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches of the present part (a transposition may change a tune's length), times the number of parts."""
        return self._batches * self.n_parts

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return self

    def __next__(self) -> NDArray[np.int64]:
        if self.batch >= self._batches:
            further, part = divmod(self.part + 1, self.n_parts)
            self._begin(self.epoch + further, part, 0)
        size = self.batch_size * self._stride
        stream = _ids(self.shard, self._plan, self.batch * size, size + self._shared)
        self.batch += 1
        return sliding_window_view(stream, self.context + 1)[:: self._stride].copy()

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and the data and settings that it is a position in."""
        return {"epoch": self.epoch, "part": self.part, "batch": self.batch, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict()` was taken; UserError when the data or the batches are others."""
        state = {
            "packing": "stream",
            "keys": "uniform",
            "part": 0,
            "n_parts": 1,
            **state,
        }  # older checkpoints do not name them
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise UserError(
                    f"cannot resume: {name} was {state.get(name)} in the checkpoint and is {value} now. "
                    "Resume with the configuration and data of the run, or start a new run."
                )
        self._begin(int(state["epoch"]), int(state["part"]), int(state["batch"]))

    def _begin(self, epoch: int, part: int, batch: int) -> None:
        if (epoch, part) != (self.epoch, self.part):
            self._plan = self._planned(epoch, part)
        self.epoch, self.part, self.batch = epoch, part, batch

    def _planned(self, epoch: int, part: int) -> _Spans:
        row = self.context + 1 if self.packing == "tunes" else 0
        if self.n_parts == 1:
            generator = np.random.default_rng([self.seed, epoch])
            return _plan(self.shard, generator.permutation(self.shard.n_tunes), row, generator, self.keys)
        first, last = (self.shard.n_tunes * p // self.n_parts for p in (part, part + 1))
        tunes = permuted(np.arange(first, last), self.shard.n_tunes, [self.seed, epoch])
        return _plan(self.shard, tunes, row, np.random.default_rng([self.seed, epoch, part]), self.keys)

    @property
    def _batches(self) -> int:
        """Count the full batches of the present part."""
        return int(self._plan.starts[-1] - self._shared) // (self.batch_size * self._stride)

    @property
    def _shared(self) -> int:
        """Count the ids that a row shares with the next one."""
        return 1 if self.packing == "stream" else 0

    @property
    def _stride(self) -> int:
        return self.context + 1 - self._shared

    def _identity(self) -> dict[str, Any]:
        return {
            "packing": self.packing,
            "keys": self.keys,
            "n_parts": self.n_parts,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "context": self.context,
            "split": self.shard.split,
            "transpositions": list(self.shard.transpositions),
            "tokenizer_digest": self.shard.tokenizer_digest,
            "tunes_digest": self.shard.tunes_digest,
        }


def permuted(places: NDArray[np.int64], n: int, seed: list[int]) -> NDArray[np.int64]:
    """Map `places` through a random permutation of range(n); different places never meet."""
    half = (max(2, (n - 1).bit_length()) + 1) // 2  # bits of each of a number's two halves
    keys = np.random.default_rng(seed).integers(2**64, size=ROUNDS, dtype=np.uint64)
    found = _feistel(places.astype(np.uint64), half, keys)
    while len(outside := np.flatnonzero(found >= n)):
        found[outside] = _feistel(found[outside], half, keys)
    return found.astype(np.int64)


def _feistel(numbers: NDArray[np.uint64], half: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Permute the numbers of 2 * half bits: each round adds a hash of the right half to the left one."""
    bits, mask = np.uint64(half), np.uint64(2**half - 1)
    left, right = numbers >> bits, numbers & mask
    for key in keys:
        left, right = right, (left ^ _mixed(right ^ key)) & mask
    return left << bits | right


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of x, so that every bit of the result depends on every one (the finaliser of SplitMix64, Steele et
    al. 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ x >> np.uint64(shift)) * np.uint64(factor)  # modulo 2**64
    return x ^ x >> np.uint64(31)


def _check_size(shard: Shard, batch_size: int, context: int, n_parts: int) -> None:
    """Refuse data too small for a batch.

    The shortest transposition of every tune must fill one, so that no epoch is empty; where there are several parts,
    which are large and alike, so must the first tunes.
    """
    n_tunes = shard.n_tunes // n_parts
    lengths = np.diff(shard.offsets[: n_tunes * shard.n_transpositions + 1]).reshape(n_tunes, shard.n_transpositions)
    available = int((lengths + 2).min(axis=1).sum()) if n_tunes else 0
    needed = batch_size * context + 1
    if available < needed:
        raise UserError(
            f"the {shard.split} split holds {shard.n_tunes} tunes with {available:,} tokens; one batch needs "
            f"{needed:,} (batch_size {batch_size} x context {context} + 1). "
            "Lower train.batch_size or data.context, or add tunes."
        )


def _plan(shard: Shard, tunes: NDArray[np.int64], row: int, generator: np.random.Generator, keys: Keys) -> _Spans:
    """Plan the spans of a part; `row` is the length of rows that are packed with whole tunes, 0 for one stream."""
    transpositions = _transpositions(shard, tunes, generator, keys)
    documents = tunes * shard.n_transpositions + transpositions
    framed = shard.offsets[documents + 1] - shard.offsets[documents] + 2
    if row:
        order, begins, lengths = _packed(framed, row, generator)
        documents, whole = documents[order], framed[order]
    else:
        begins, lengths, whole = np.zeros_like(framed), framed, framed
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    return _Spans(shard.offsets[documents] + begins, starts, begins == 0, begins + lengths == whole)


def _transpositions(
    shard: Shard, tunes: NDArray[np.int64], generator: np.random.Generator, keys: Keys
) -> NDArray[np.int64]:
    """Draw one transposition for each tune."""
    if keys == "uniform" or shard.weights is None:
        return generator.integers(shard.n_transpositions, size=len(tunes))
    weights = shard.weights.reshape(-1, shard.n_transpositions)[tunes].cumsum(axis=1)
    drawn = generator.random(len(tunes)) * weights[:, -1]
    return np.minimum((weights <= drawn[:, None]).sum(axis=1), shard.n_transpositions - 1)


def _packed(
    framed: NDArray[np.int64], row: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pack documents of the given lengths into rows of `row` ids; return (document, where it begins, ids taken) of each
    span."""
    parts = [
        (document, begin, min(row, length - begin))  # parts of a long tune share one id, as rows of a stream do
        for document, length in enumerate(framed.tolist())
        for begin in range(0, max(1, length - 1), row - 1)
    ]
    rows = _best_fit([length for _, _, length in parts], row)
    spans: list[tuple[int, int, int]] = []
    for index in generator.permutation(len(rows)).tolist():
        chosen = [parts[part] for part in generator.permutation(rows[index]).tolist()]
        spans += chosen
        left = row - sum(length for _, _, length in chosen)
        while left:
            document = int(generator.integers(len(framed)))
            spans.append((document, 0, min(left, int(framed[document]))))
            left -= spans[-1][2]
    documents, begins, lengths = np.array(spans, dtype=np.int64).reshape(-1, 3).T
    return documents, begins, lengths


def _best_fit(lengths: list[int], row: int) -> list[list[int]]:
    """Put items, longest first, each into the row with the least room that takes it; return the items of each row."""
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(row + 1)]  # rows by the room they have left
    sizes = 0  # bit n is set where with_room[n] is not empty: the least room of at least n is one shift away
    for item in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        length = lengths[item]
        if fitting := sizes >> length:
            room = length + (fitting & -fitting).bit_length() - 1
            chosen = with_room[room].pop()
            if not with_room[room]:
                sizes &= ~(1 << room)
        else:
            room, chosen = row, len(rows)
            rows.append([])
        rows[chosen].append(item)
        with_room[room - length].append(chosen)
        sizes |= 1 << (room - length)
    return rows


def _ids(shard: Shard, plan: _Spans, begin: int, n: int) -> NDArray[np.int64]:
    """Gather the ids `begin` to `begin + n` of a part."""
    low = int(np.searchsorted(plan.starts, begin, side="right")) - 1
    high = int(np.searchsorted(plan.starts, begin + n, side="left"))
    starts, lengths = plan.starts[low:high], np.diff(plan.starts[low : high + 1])
    shift = plan.first[low:high] - 1 - starts  # place among the ids to place in shard.tokens; -1 for BOS
    places = np.repeat(shift, lengths)[begin - starts[0] :][:n] + np.arange(begin, begin + n)
    ids = np.asarray(
        shard.tokens.take(places, mode="clip"), dtype=np.int64
    )  # BOS and EOS fall outside their document: set below
    _put(ids, (starts - begin)[plan.opens[low:high]], shard.bos)
    _put(ids, (plan.starts[low + 1 : high + 1] - 1 - begin)[plan.closes[low:high]], shard.eos)
    return ids


def _put(ids: NDArray[np.int64], places: NDArray[np.int64], id: int) -> None:
    ids[places[(places >= 0) & (places < len(ids))]] = id
