"""Batches: every id once an epoch, one transposition of each tune, exact resumption."""

import dataclasses
import itertools
import json
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from symbolic import files, tokens
from symbolic.data import loader, shards
from symbolic.data.loader import Batches, Packing, permuted
from symbolic.errors import UserError
from symbolic.notation import abc_parser

BOS, EOS = 1, 2


def make_shard(n_tunes: int = 40, transpositions: tuple[int, ...] = (0, -1, 1), split: str = "train") -> shards.Shard:
    """Tune t in transposition n is ids 1000 n + 10 + t, (t + n) % 7 + 1 times: lengths differ, and ids tell all."""
    texts = [[1000 * n + 10 + t] * ((t + n) % 7 + 1) for t in range(n_tunes) for n in range(len(transpositions))]
    lengths = np.array([len(ids) for ids in texts])
    return shards.Shard(
        folder=Path("nowhere"),
        split=split,
        tokens=np.array(list(itertools.chain.from_iterable(texts)), dtype="<u2"),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        document_bytes=lengths.astype(np.int32),
        weights=None,
        transpositions=transpositions,
        tokenizer_digest="a" * 64,
        tunes_digest="b" * 64,
        bos=BOS,
        eos=EOS,
    )


def epoch_of(batches: Batches, epoch: int = 0) -> list[NDArray[np.int64]]:
    batches.load_state_dict({**batches.state_dict(), "epoch": epoch, "batch": 0})
    return [next(batches) for _ in range(batches.batches_per_epoch)]


def stream_of(epoch: list[NDArray[np.int64]]) -> list[int]:
    """The rows put end to end again: the first id, then every target."""
    rows = np.concatenate(epoch)
    return [int(rows[0, 0]), *rows[:, 1:].ravel().tolist()]


def tunes_of(stream: list[int]) -> list[list[int]]:
    """Whole tunes of a stream: what stands between BOS and EOS."""
    tunes, start = [], None
    for place, id in enumerate(stream):
        if id == BOS:
            assert start is None
            start = place + 1
        elif id == EOS:
            assert start is not None
            tunes.append(stream[start:place])
            start = None
    return tunes


def test_shape_and_type() -> None:
    batch = next(Batches(make_shard(), batch_size=4, context=8, seed=0))
    assert (batch.shape, batch.dtype, batch.flags.c_contiguous, batch.flags.writeable) == ((4, 9), np.int64, True, True)


def test_neighbouring_rows_share_one_id() -> None:
    rows = np.concatenate(epoch_of(Batches(make_shard(), batch_size=2, context=8, seed=0)))
    assert len(rows) > 10
    assert (rows[1:, 0] == rows[:-1, -1]).all()


@pytest.mark.parametrize(("batch_size", "context"), [(1, 1), (1, 5), (2, 8), (3, 7), (4, 16), (1, 150)])
def test_every_id_once_an_epoch(batch_size: int, context: int) -> None:
    shard = make_shard()
    batches = Batches(shard, batch_size, context, seed=3)
    for epoch in range(3):
        stream = stream_of(epoch_of(batches, epoch))
        tunes = tunes_of(stream)
        numbers = [(tune[0] - 10) % 1000 for tune in tunes]
        assert len(set(numbers)) == len(numbers)
        for number, tune in zip(numbers, tunes):
            assert tune == shard.document(number, (tune[0] - 10) // 1000).tolist()
        assert 0 <= int(batches._plan.starts[-1]) - len(stream) < batch_size * context  # less than a batch is dropped
        assert sum(len(tune) + 2 for tune in tunes) > len(stream) - 9  # nothing but whole tunes, and one begun


def test_epoch_follows_epoch() -> None:
    batches = Batches(make_shard(), batch_size=2, context=8, seed=0)
    expected = [batch for epoch in range(3) for batch in epoch_of(batches, epoch)]
    endless = Batches(make_shard(), batch_size=2, context=8, seed=0)
    assert all((next(endless) == batch).all() for batch in expected)
    assert (endless.epoch, endless.batch) == (2, endless.batches_per_epoch)


def test_a_whole_epoch_when_nothing_is_dropped() -> None:
    shard = make_shard(n_tunes=6, transpositions=(0,), split="valid")  # 6 tunes: 21 + 12 ids = 1 + 4 x 8
    tunes = tunes_of(stream_of(epoch_of(Batches(shard, batch_size=2, context=16, seed=0))))
    assert sorted(tunes) == [shard.document(tune).tolist() for tune in range(6)]


def test_epochs_differ_in_order_and_transposition() -> None:
    batches = Batches(make_shard(), batch_size=1, context=8, seed=0)
    first = tunes_of(stream_of(epoch_of(batches, 0)))
    second = tunes_of(stream_of(epoch_of(batches, 1)))
    assert [tune[0] % 1000 for tune in first] != [tune[0] % 1000 for tune in second]
    used = {tune[0] // 1000 for tune in first}
    assert used == {0, 1, 2}


def test_held_out_splits_are_never_transposed() -> None:
    batches = Batches(make_shard(transpositions=(0,), split="valid"), batch_size=1, context=8, seed=0)
    assert max(max(stream_of(epoch_of(batches, epoch))) for epoch in range(3)) < 1000


def test_seed_decides() -> None:
    def some(seed: int) -> NDArray[np.int64]:
        return np.stack(list(itertools.islice(Batches(make_shard(), 2, 8, seed), 50)))

    assert (some(1) == some(1)).all()
    assert (some(1) != some(2)).any()


@pytest.mark.parametrize("n_before", [0, 1, 7, 30, 100])
def test_resumption_is_exact(n_before: int) -> None:
    batches = Batches(make_shard(), batch_size=2, context=8, seed=5)
    for _ in range(n_before):
        next(batches)
    state = batches.state_dict()
    expected = [next(batches) for _ in range(40)]
    resumed = Batches(make_shard(), batch_size=2, context=8, seed=5)
    resumed.load_state_dict(state)
    assert all((next(resumed) == batch).all() for batch in expected)
    assert resumed.state_dict() == batches.state_dict()
    assert n_before < 30 or state["epoch"] > 0


@pytest.mark.parametrize("packing", ["stream", "tunes"])
def test_an_epoch_in_parts_holds_every_tune_once(packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "PART_TUNES", 16)
    shard = make_shard(70)  # five parts of 14 tunes
    batches = Batches(shard, 1, 8, seed=5, packing=packing)
    parts: dict[tuple[int, int], list[NDArray[np.int64]]] = {}
    for batch in itertools.takewhile(lambda _: batches.epoch < 2, batches):
        parts.setdefault((batches.epoch, batches.part), []).append(batch)
    assert list(parts) == [(epoch, part) for epoch in range(2) for part in range(5)]
    seen = [{int(i) % 1000 for batch in parts[0, part] for i in batch.ravel() if i > EOS} for part in range(5)]
    if packing == "stream":  # rows of whole tunes are filled up with others of the part
        assert sum(map(len, seen)) == len(set.union(*seen))
    assert len(set.union(*seen)) >= 70 - 5 * 2  # at most 8 ids are dropped at the end of a part: two tunes whole


def test_resumption_across_parts_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "PART_TUNES", 16)
    batches = Batches(make_shard(70), 1, 8, seed=5)
    for _ in range(100):
        next(batches)
        resumed = Batches(make_shard(70), 1, 8, seed=5)
        resumed.load_state_dict(batches.state_dict())
        assert (next(resumed) == next(batches)).all()
        assert resumed.state_dict() == batches.state_dict()
    old = {name: value for name, value in batches.state_dict().items() if name not in ("part", "n_parts")}
    with pytest.raises(UserError, match="n_parts was 1"):
        Batches(make_shard(70), 1, 8, seed=5).load_state_dict(old)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 1000, 65_537])
def test_permutation_by_network_is_one(n: int) -> None:
    for seed in range(3):
        assert sorted(permuted(np.arange(n), n, [seed, 0]).tolist()) == list(range(n))
    places = np.arange(n)[n // 3 :]
    assert (permuted(places, n, [7, 1]) == permuted(np.arange(n), n, [7, 1])[n // 3 :]).all()


def test_permutation_by_network_is_random() -> None:
    drawn = np.array([permuted(np.arange(6), 6, [seed]) for seed in range(6000)])
    for place in range(6):
        counts = np.bincount(drawn[:, place], minlength=6)
        assert ((counts - 1000) ** 2 / 1000).sum() < 20.5  # chi-square, 5 degrees of freedom, p = 0.001
    rising = (np.diff(permuted(np.arange(100_000), 100_000, [1])) > 0).mean()
    assert abs(rising - 0.5) < 0.01


def test_memory_of_reading_does_not_grow_with_the_corpus() -> None:
    def peak(n_tunes: int) -> int:
        ids = np.zeros(10 * n_tunes, dtype="<u2")
        offsets = np.arange(0, 10 * n_tunes + 1, 10)
        shard = dataclasses.replace(make_shard(1, (0,)), tokens=ids, offsets=offsets)
        tracemalloc.start()
        next(Batches(shard, 8, 256, 0))
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    assert peak(2_000_000) < 1.3 * peak(130_000)


@pytest.mark.parametrize(("n_tunes", "n_parts"), [(65_536, 1), (65_537, 2), (131_072, 2), (131_073, 3)])
def test_positions_of_saved_runs_count_parts_of_65536_tunes(n_tunes: int, n_parts: int) -> None:
    """Another size would give large corpora another order, and refuse to resume the runs that are there."""
    ids, offsets = np.zeros(2 * n_tunes, dtype="<u2"), np.arange(0, 2 * n_tunes + 1, 2)
    shard = dataclasses.replace(make_shard(1, (0,)), tokens=ids, offsets=offsets)
    assert Batches(shard, 1, 8, 0).state_dict()["n_parts"] == n_parts


def test_state_is_json() -> None:
    batches = Batches(make_shard(), batch_size=2, context=8, seed=5)
    next(batches)
    assert json.loads(json.dumps(batches.state_dict())) == batches.state_dict()


@pytest.mark.parametrize(("name", "settings"), [("seed", (2, 8, 6)), ("context", (2, 4, 5)), ("batch_size", (4, 8, 5))])
def test_resuming_another_run_is_refused(name: str, settings: tuple[int, int, int]) -> None:
    state = Batches(make_shard(), batch_size=2, context=8, seed=5).state_dict()
    with pytest.raises(UserError, match=f"cannot resume: {name} was"):
        Batches(make_shard(), *settings).load_state_dict(state)


@pytest.mark.parametrize("n_tunes", [0, 5])
def test_corpus_smaller_than_a_batch(n_tunes: int) -> None:
    with pytest.raises(UserError, match=rf"holds {n_tunes} tunes .* one batch needs 129 .* train\.batch_size"):
        Batches(make_shard(n_tunes), batch_size=8, context=16, seed=0)


def test_corpus_of_exactly_one_batch() -> None:
    shard = make_shard(n_tunes=6, transpositions=(0,))
    assert Batches(shard, batch_size=2, context=16, seed=0).batches_per_epoch == 1
    with pytest.raises(UserError, match="needs 34"):
        Batches(shard, batch_size=1, context=33, seed=0)


def test_a_tune_longer_than_many_rows() -> None:
    long = np.arange(10, 1010, dtype="<u2")
    shard = make_shard(n_tunes=1, transpositions=(0,))
    offsets = np.array([0, 1000], dtype=np.int64)
    shard = shards.Shard(**{**vars(shard), "tokens": long, "offsets": offsets})
    rows = np.concatenate(epoch_of(Batches(shard, batch_size=2, context=10, seed=0)))
    assert stream_of([rows]) == [BOS, *range(10, 1010)]


def test_tunes_come_back_from_files(tmp_path: Path) -> None:
    """From JSON lines through a real tokenizer and memory-mapped files to text again."""
    texts = [f"M:4/4\nL:1/8\nK:{key}\nCDEF|G4|]\n" for key in ("C", "D", "Em", "Ador")]
    for split in shards.SPLITS:
        files.write_jsonl(tmp_path / "tunes" / f"{split}.jsonl", [{"id": text, "text": text} for text in texts])
    tokenizer = tokens.build("grammar")
    shard = shards.load(shards.build(tmp_path, tokenizer, range(-1, 2)), "train", tokenizer.digest)
    batches = Batches(shard, batch_size=1, context=1, seed=0)
    epoch = epoch_of(batches)
    assert all(type(batch) is np.ndarray for batch in epoch)
    expected = {abc_parser.transpose(text, n) for text in texts for n in (0, -1, 1)}
    decoded = [tokenizer.decode(tune) for tune in tunes_of(stream_of(epoch))]
    assert len(decoded) == 4
    assert set(decoded) <= expected


def spans_of(row: NDArray[np.int64]) -> list[list[int]]:
    """A row cut before every BOS."""
    cuts = [0, *(np.flatnonzero(row[1:] == BOS) + 1).tolist(), len(row)]
    return [row[low:high].tolist() for low, high in itertools.pairwise(cuts)]


@pytest.mark.parametrize("context", [9, 12, 20, 64])
def test_rows_of_whole_tunes(context: int) -> None:
    """Each tune that fits a row stands whole in one of them, and every row begins with a tune."""
    batches = Batches(make_shard(), 1, context, seed=5, packing="tunes")
    rows = np.concatenate(epoch_of(batches))
    whole = [span for row in rows for span in spans_of(row) if span[-1] == EOS]
    cut = [span for row in rows for span in spans_of(row)[:-1] if span[-1] != EOS]
    assert (rows[:, 0] == BOS).all()
    assert cut == []  # only the last tune of a row may be cut off
    assert {(span[1] - 10) % 1000 for span in whole} == set(range(40))
    filled = sum(len(span) for row in rows for span in spans_of(row))
    once = sum(len(tune) for tune in {(span[1] - 10) % 1000: span for span in whole}.values())
    assert once / filled > 0.85


def test_a_tune_longer_than_a_row_goes_on_in_others() -> None:
    """Tunes of 3 to 9 framed ids in rows of 5: with the shared id, each id but BOS is a target."""
    batches = Batches(make_shard(), 1, 4, seed=1, packing="tunes")
    rows = np.concatenate(epoch_of(batches))
    longest = [row for row in rows if (row[1:-1] == 16).all()]  # tune 6 in transposition 0 is 16 seven times
    targets = {int(id) for row in rows for id in row[1:]}
    assert {(id - 10) % 1000 for id in targets - {BOS, EOS}} == set(range(40))
    assert EOS in targets and len(longest) <= 2


def test_rows_of_whole_tunes_resume() -> None:
    batches = Batches(make_shard(), 2, 12, seed=5, packing="tunes")
    for _ in range(batches.batches_per_epoch + 2):
        next(batches)
    state, expected = batches.state_dict(), [next(batches) for _ in range(5)]
    again = Batches(make_shard(), 2, 12, seed=5, packing="tunes")
    again.load_state_dict(state)
    assert all((a == b).all() for a, b in zip(expected, again, strict=False))
    with pytest.raises(UserError, match="packing was tunes"):
        Batches(make_shard(), 2, 12, seed=5).load_state_dict(state)


def test_transpositions_are_drawn_by_weight() -> None:
    shard = dataclasses.replace(make_shard(n_tunes=900), weights=np.tile(np.array([6, 3, 1], np.float32), 900))
    batches = Batches(shard, batch_size=4, context=64, seed=1, keys="corpus")
    ids = np.concatenate([next(batches)[:, :-1].ravel() for _ in range(5 * batches.batches_per_epoch)])
    begins = ids[np.flatnonzero(ids == BOS)[:-1] + 1]
    found = np.bincount((begins - 10) // 1000, minlength=3) / len(begins)
    assert np.abs(found - [0.6, 0.3, 0.1]).max() < 0.03
    assert Batches(shard, batch_size=4, context=64, seed=1).state_dict()["keys"] == "uniform"


def test_rows_are_filled_with_tunes_drawn_at_random() -> None:
    """What stands in a row beyond the whole tunes of an epoch comes from many tunes, none far oftener than another."""
    drawn: Counter[int] = Counter()
    for seed in range(40):
        rows = np.concatenate(epoch_of(Batches(make_shard(), 1, 10, seed=seed, packing="tunes")))
        tunes = [(span[1] - 10) % 1000 for row in rows for span in spans_of(row) if len(span) > 1]
        counts = Counter(tunes)
        drawn.update({tune: count - 1 for tune, count in counts.items()})
    n_drawn = sum(drawn.values())
    assert n_drawn > 200 and len(+drawn) >= 35 and max(drawn.values()) < 0.15 * n_drawn
