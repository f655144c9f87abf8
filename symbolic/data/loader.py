"""Training batches from a shard: shuffled tunes as one stream of ids, cut into rows; the position can be resumed.

Legend: B rows a batch, T context (targets a row).

An epoch is a permutation of the tunes, each in one transposition, both drawn from (seed, epoch). Their stream is
BOS tune EOS BOS tune EOS ...; row r of batch k is stream[(k B + r) T : (k B + r) T + T + 1], so neighbouring rows share
one id, the last target of one and the first input of the next: each id after the first is a target exactly once. What
is left at the end of an epoch and does not fill a batch is dropped.

Nothing but the permutation grows with the corpus: a batch is one gather from the memory-mapped ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from symbolic.data.shards import Shard
from symbolic.errors import UserError


@dataclass(frozen=True)
class _Epoch:
    """Documents in the order of the stream. Framed means: with BOS and EOS."""

    first: NDArray[np.int64]  # (n_tunes,) place of each document's first id in shard.tokens
    starts: NDArray[np.int64]  # (n_tunes + 1,) place of each framed document in the stream; the last is its length


class Batches:
    """An endless iterator of int64 arrays (B, T + 1); inputs are [:, :-1], targets [:, 1:]."""

    def __init__(self, shard: Shard, batch_size: int, context: int, seed: int) -> None:
        self.shard, self.batch_size, self.context, self.seed = shard, batch_size, context, seed
        self.epoch = 0
        self.batch = 0  # next batch of the epoch
        _check_size(shard, batch_size, context)
        self._plan = _plan(shard, seed, self.epoch)

    @property
    def batches_per_epoch(self) -> int:
        """Full batches of the present epoch (a transposition may change a tune's length)."""
        return int(self._plan.starts[-1] - 1) // (self.batch_size * self.context)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return self

    def __next__(self) -> NDArray[np.int64]:
        if self.batch >= self.batches_per_epoch:
            self._begin(self.epoch + 1, 0)
        size = self.batch_size * self.context
        stream = _stream(self.shard, self._plan, self.batch * size, size + 1)
        self.batch += 1
        return sliding_window_view(stream, self.context + 1)[:: self.context].copy()

    def state_dict(self) -> dict[str, Any]:
        """The position, and what it is a position in."""
        return {"epoch": self.epoch, "batch": self.batch, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict()` was taken; UserError when the data or the batches are others."""
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise UserError(
                    f"cannot resume: {name} was {state.get(name)} in the checkpoint and is {value} now. "
                    "Resume with the configuration and data of the run, or start a new run."
                )
        self._begin(int(state["epoch"]), int(state["batch"]))

    def _begin(self, epoch: int, batch: int) -> None:
        if epoch != self.epoch:
            self._plan = _plan(self.shard, self.seed, epoch)
        self.epoch, self.batch = epoch, batch

    def _identity(self) -> dict[str, Any]:
        return {
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


def _plan(shard: Shard, seed: int, epoch: int) -> _Epoch:
    generator = np.random.default_rng([seed, epoch])
    tunes = generator.permutation(shard.n_tunes)
    transpositions = generator.integers(shard.n_transpositions, size=shard.n_tunes)
    documents = tunes * shard.n_transpositions + transpositions
    first = shard.offsets[documents]
    framed = shard.offsets[documents + 1] - first + 2
    return _Epoch(first, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(framed)]))


def _stream(shard: Shard, plan: _Epoch, begin: int, n: int) -> NDArray[np.int64]:
    """Ids `begin` to `begin + n` of the epoch's stream."""
    low = int(np.searchsorted(plan.starts, begin, side="right")) - 1
    high = int(np.searchsorted(plan.starts, begin + n, side="left"))
    starts, lengths = plan.starts[low:high], np.diff(plan.starts[low : high + 1])
    shift = plan.first[low:high] - 1 - starts  # stream place to place in shard.tokens; -1 for BOS
    places = np.repeat(shift, lengths)[begin - starts[0] :][:n] + np.arange(begin, begin + n)
    ids = np.asarray(
        shard.tokens.take(places, mode="clip"), dtype=np.int64
    )  # BOS and EOS fall outside their document: set below
    _put(ids, starts - begin, shard.bos)
    _put(ids, plan.starts[low + 1 : high + 1] - 1 - begin, shard.eos)
    return ids


def _put(ids: NDArray[np.int64], places: NDArray[np.int64], id: int) -> None:
    ids[places[(places >= 0) & (places < len(ids))]] = id
