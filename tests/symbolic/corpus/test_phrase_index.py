"""The index on disk, and families, split and leakage found from it: as they are found in memory."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from symbolic.corpus import families, phrase_index, split
from symbolic.corpus.cleaning import CleanTune, melody_key
from symbolic.corpus.phrase_index import PhraseIndex
from symbolic.notation.abc_parser import melody, parse


def made(number: int, voices: list[list[int]], id: str | None = None) -> CleanTune:
    id, n_bytes, n_notes = id or f"s/f.abc:{number}", 100 + number, sum(map(len, voices))
    key = melody_key([[(pitch, 1) for pitch in voice] for voice in voices])
    pitches = tuple(array("h", voice) for voice in voices)
    return CleanTune(id, "s", "f.abc", number, f"Tune {number}", "", "", n_bytes, n_notes, {}, pitches, key)


@pytest.fixture(scope="module")
def tunes(real_tunes: list[str]) -> list[CleanTune]:
    return [made(n, [[midi for midi, _ in melody(parse(text))]]) for n, text in enumerate(real_tunes[:1500])]


@pytest.fixture(scope="module")
def filled(tunes: list[CleanTune], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhraseIndex]:
    with PhraseIndex(tmp_path_factory.mktemp("staging") / "index") as book:
        for begin in range(0, len(tunes), 400):
            book.add(tunes[begin : begin + 400])
        yield book


def test_single_tunes_come_back(filled: PhraseIndex, tunes: list[CleanTune]) -> None:
    for number in (0, 399, 400, len(tunes) - 1):
        one = tunes[number]
        assert filled.card(number) == {"id": one.id, "source": "s", "file": "f.abc", "line": number, "title": one.title}
        assert filled.key(number) == one.key
        steps = np.diff(one.pitches[0]).tolist()
        assert len(filled.runs(number, number)) == len({tuple(steps[i : i + 6]) for i in range(len(steps) - 5)})
    assert filled.n_bytes.tolist() == [one.n_bytes for one in tunes]
    assert filled.n_notes.tolist() == [one.n_notes for one in tunes]
    assert len(filled.runs(3, 5)) == filled.n_runs(np.array([3, 4, 5])).sum()


def test_keys_compare_as_their_text_does(filled: PhraseIndex, tunes: list[CleanTune]) -> None:
    keys = filled.keys
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    assert [tunes[n].key for n in order] == sorted(one.key for one in tunes)


def test_repeated_ids_are_told_apart(tmp_path: Path) -> None:
    with PhraseIndex(tmp_path / "index") as book:
        book.add([made(n, [[60] * 20], id) for n, id in enumerate("abacba")])
        assert [book.card(n)["id"] for n in range(6)] == ["a", "b", "a-2", "c", "b-2", "a-3"]


def test_every_phrase_lies_in_one_bucket(filled: PhraseIndex, tunes: list[CleanTune]) -> None:
    parts = list(filled.phrases())
    sets = [set(part.phrase.tolist()) for part in parts]
    assert len(parts) > 1 and sum(map(len, sets)) == len(set().union(*sets))
    whole = families.windows([one.pitches for one in tunes])
    assert sum(len(part.phrase) for part in parts) == len(whole.hash)
    assert set().union(*sets) == set(whole.hash.tolist())


def test_split_and_leakage_are_those_found_in_memory(filled: PhraseIndex, tunes: list[CleanTune]) -> None:
    """The index's buckets against `families` on one part that holds all phrases."""
    stays = np.random.default_rng(0).random(len(tunes)) < 0.9
    held = split.split_tunes(filled, stays, {"valid": 0.1, "test": 0.1}, seed=3)
    kept = [one for one, stay in zip(tunes, stays) if stay]
    found = families.phrases([one.pitches for one in kept])
    options = {"valid_fraction": 0.1, "test_fraction": 0.1, "seed": 3}
    family = families.families(found)
    assigned = families.split(family, [one.key for one in kept], **options)  # type: ignore[arg-type]
    assert [split.SPLITS[part] for part in held.part[stays]] == assigned
    assert (held.part[~stays] == -1).all()
    assert held.leakage["family_split"] == families.leakage(found, assigned).as_dict()
    random = families.split(range(len(kept)), [one.id for one in kept], **options)  # type: ignore[arg-type]
    assert held.leakage["random_split"] == families.leakage(found, random).as_dict()
    assert held.leakage["random_split"]["half_covered"] > 0
    smallest = {name: min(kept[n].key for n in np.flatnonzero(family == name)) for name in set(family.tolist())}
    assert [filled.key(int(tune)) for tune in held.named_by[stays]] == [smallest[name] for name in family.tolist()]


def test_memory_grows_by_tens_of_bytes_a_tune(tunes: list[CleanTune], tmp_path: Path) -> None:
    import tracemalloc

    book = PhraseIndex(tmp_path / "index")
    book.add(tunes[:400])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(4):
        book.add(tunes[:400])
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown / 1600 < 100
    assert len(list((tmp_path / "index" / "phrases").iterdir())) == phrase_index.BUCKETS
