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

What is left at the end of an epoch and does not fill a batch is dropped. Nothing but the permutation and the plan of
rows grows with the corpus: a batch is one gather from the memory-mapped ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from symbolic.data.shards import Shard
from symbolic.errors import UserError

Packing = Literal["stream", "tunes"]


@dataclass(frozen=True)
class _Spans:
    """Parts of documents in the order of an epoch's ids. Framed means: with BOS and EOS."""

    first: NDArray[np.int64]  # (n,) place in shard.tokens of the id after a framed document's BOS, plus where it begins
    starts: NDArray[np.int64]  # (n + 1,) place of each span among the epoch's ids; the last is their number
    opens: NDArray[np.bool_]  # (n,) whether the span begins with its document's BOS
    closes: NDArray[np.bool_]  # (n,) whether it ends with its document's EOS


class Batches:
    """An endless iterator of int64 arrays (B, T + 1); inputs are [:, :-1], targets [:, 1:]."""

    def __init__(self, shard: Shard, batch_size: int, context: int, seed: int, packing: Packing = "stream") -> None:
        self.shard, self.batch_size, self.context, self.seed = shard, batch_size, context, seed
        self.packing: Packing = packing
        self.epoch = 0
        self.batch = 0  # next batch of the epoch
        _check_size(shard, batch_size, context)
        self._plan = self._planned(self.epoch)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches of the present epoch (a transposition may change a tune's length)."""
        return int(self._plan.starts[-1] - self._shared) // (self.batch_size * self._stride)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return self

    def __next__(self) -> NDArray[np.int64]:
        if self.batch >= self.batches_per_epoch:
            self._begin(self.epoch + 1, 0)
        size = self.batch_size * self._stride
        stream = _ids(self.shard, self._plan, self.batch * size, size + self._shared)
        self.batch += 1
        return sliding_window_view(stream, self.context + 1)[:: self._stride].copy()

    def state_dict(self) -> dict[str, Any]:
        """The position, and what it is a position in."""
        return {"epoch": self.epoch, "batch": self.batch, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict()` was taken; UserError when the data or the batches are others."""
        state = {"packing": "stream", **state}  # older checkpoints do not name it
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise UserError(
                    f"cannot resume: {name} was {state.get(name)} in the checkpoint and is {value} now. "
                    "Resume with the configuration and data of the run, or start a new run."
                )
        self._begin(int(state["epoch"]), int(state["batch"]))

    def _begin(self, epoch: int, batch: int) -> None:
        if epoch != self.epoch:
            self._plan = self._planned(epoch)
        self.epoch, self.batch = epoch, batch

    def _planned(self, epoch: int) -> _Spans:
        return _plan(self.shard, self.seed, epoch, self.context + 1 if self.packing == "tunes" else 0)

    @property
    def _shared(self) -> int:
        """Ids that a row shares with the next one."""
        return 1 if self.packing == "stream" else 0

    @property
    def _stride(self) -> int:
        return self.context + 1 - self._shared

    def _identity(self) -> dict[str, Any]:
        return {
            "packing": self.packing,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "context": self.context,
            "split": self.shard.split,
            "transpositions": list(self.shard.transpositions),
            "tokenizer_digest": self.shard.tokenizer_digest,
            "tunes_digest": self.shard.tunes_digest,
        }


def _check_size(shard: Shard, batch_size: int, context: int) -> None:
    """The shortest transposition of every tune must fill a batch, so that no epoch is empty."""
    lengths = np.diff(shard.offsets).reshape(shard.n_tunes, shard.n_transpositions) + 2
    available = int(lengths.min(axis=1).sum()) if shard.n_tunes else 0
    needed = batch_size * context + 1
    if available < needed:
        raise UserError(
            f"the {shard.split} split holds {shard.n_tunes} tunes with {available:,} tokens; one batch needs "
            f"{needed:,} (batch_size {batch_size} x context {context} + 1). "
            "Lower train.batch_size or data.context, or add tunes."
        )


def _plan(shard: Shard, seed: int, epoch: int, row: int) -> _Spans:
    """The spans of an epoch; `row` is the length of rows that are packed with whole tunes, 0 for one stream."""
    generator = np.random.default_rng([seed, epoch])
    tunes = generator.permutation(shard.n_tunes)
    transpositions = generator.integers(shard.n_transpositions, size=shard.n_tunes)
    documents = tunes * shard.n_transpositions + transpositions
    framed = shard.offsets[documents + 1] - shard.offsets[documents] + 2
    if row:
        order, begins, lengths = _packed(framed, row, generator)
        documents, whole = documents[order], framed[order]
    else:
        begins, lengths, whole = np.zeros_like(framed), framed, framed
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    return _Spans(shard.offsets[documents] + begins, starts, begins == 0, begins + lengths == whole)


def _packed(
    framed: NDArray[np.int64], row: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Documents of the given lengths in rows of `row` ids: (document, where it begins, ids taken) of each span."""
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
    """Items, longest first, each into the row with the least room that takes it; the items of each row."""
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
    """Ids `begin` to `begin + n` of an epoch."""
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
