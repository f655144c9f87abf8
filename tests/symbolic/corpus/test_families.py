"""Families and the split: phrases against their definition, no leakage on real tunes, stability."""

from collections import Counter

import numpy as np
import pytest

from symbolic.corpus import families
from symbolic.corpus.families import PHRASE_NOTES, leakage, phrases, split
from symbolic.notation.abc_parser import melody, parse

Melody = list[list[int]]


@pytest.fixture(scope="module")
def real_melodies(real_tunes: list[str]) -> list[Melody]:
    return [[[midi for midi, _ in melody(parse(text))]] for text in real_tunes]


def phrase_set(melodies: list[Melody]) -> set[tuple[int, ...]]:
    """The definition, in plain Python."""
    n = PHRASE_NOTES - 1
    steps = [np.diff(voice).tolist() for melody in melodies for voice in melody]
    return {tuple(one[i : i + n]) for one in steps for i in range(len(one) - n + 1)}


def keys_of(melodies: list[Melody]) -> list[str]:
    return [str(np.diff(voices[0]).tolist()) for voices in melodies]


def test_windows_stay_within_a_voice() -> None:
    found = phrases([[[1, 2, 3], [5, 6]], [], [[7]], [[], [2, 3, 4, 5]]], length=3)
    assert found.tune.tolist() == [0, 3, 3]
    assert found.start.tolist() == [0, 0, 1]
    assert found.n_notes.tolist() == [5, 0, 1, 4]
    assert len(set(found.phrase.tolist())) == 1  # all go up by one and one


def test_a_corpus_shorter_than_a_phrase_has_none() -> None:
    found = phrases([[[1, 2, 3]], [[4]]], length=5)
    assert (found.phrase.tolist(), found.tune.tolist(), found.n_notes.tolist()) == ([], [], [3, 1])
    assert families.families(found).tolist() == [0, 1]


def test_a_note_in_two_shared_windows_is_covered_once() -> None:
    found = phrases([[[1, 2, 3, 4, 5]], [[9, 7]], [[1, 2, 3, 9]]], length=3)
    assert list(zip(found.tune.tolist(), found.start.tolist())) == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)]
    shared = np.array([True, True, False, False, True])
    assert families.covered_notes(found, shared).tolist() == [4, 0, 3]


def test_equal_phrases_have_equal_numbers_and_only_they(real_melodies: list[Melody]) -> None:
    found = phrases(real_melodies)
    assert len(set(found.phrase.tolist())) == len(phrase_set(real_melodies))


def test_families_are_chains_of_shared_phrases() -> None:
    a, b, c = (np.random.default_rng(seed).integers(50, 80, size=20).tolist() for seed in range(3))
    melodies = [[a], [c], [a[:18] + b], [b[:17]], [a[:16]], [[pitch - 7 for pitch in c]]]
    assert families.families(phrases(melodies)).tolist() == [0, 1, 0, 0, 4, 1]


def test_no_leakage_on_real_tunes(real_melodies: list[Melody]) -> None:
    found = phrases(real_melodies)
    assigned = split(families.families(found), keys_of(real_melodies))
    held_out = {
        name: [m for m, one in zip(real_melodies, assigned) if one == name] for name in ("train", "valid", "test")
    }
    sets = {name: phrase_set(chosen) for name, chosen in held_out.items()}
    assert sets["train"].isdisjoint(sets["test"]) and sets["train"].isdisjoint(sets["valid"])
    assert sets["valid"].isdisjoint(sets["test"])
    assert leakage(found, assigned).sharing == leakage(found, assigned, "valid").sharing == 0
    assert len(held_out["test"]) == pytest.approx(0.05 * len(real_melodies), rel=0.1)
    assert len(held_out["valid"]) == pytest.approx(0.05 * len(real_melodies), rel=0.1)


def test_a_random_split_leaks_and_is_measured_right(real_melodies: list[Melody]) -> None:
    found = phrases(real_melodies)
    assigned = split(range(len(real_melodies)), [str(i) for i in range(len(real_melodies))])
    train = phrase_set([m for m, one in zip(real_melodies, assigned) if one == "train"])
    tested = [m for m, one in zip(real_melodies, assigned) if one == "test"]
    measured = leakage(found, assigned)
    assert measured.sharing == sum(not phrase_set([one]).isdisjoint(train) for one in tested)
    assert measured.n_tunes == len(tested)
    assert 0.2 < measured.as_dict()["share_sharing"] < 0.5
    assert 0 < measured.half_covered < measured.sharing


def test_half_covered_counts_notes_once() -> None:
    base = np.random.default_rng(0).integers(40, 90, size=80).tolist()
    melodies = [[base[:40]], [base[:20] + base[60:80]], [base[20:40] + base[40:61]], [base[41:60]]]
    measured = leakage(phrases(melodies), ["train", "test", "test", "test"])
    assert (measured.n_tunes, measured.sharing, measured.half_covered) == (3, 2, 1)  # 20 of 40; 20 of 41


def test_the_split_does_not_depend_on_the_order(real_melodies: list[Melody]) -> None:
    keys = [f"{number} {key}" for number, key in enumerate(keys_of(real_melodies))]
    order = np.random.default_rng(1).permutation(len(keys)).tolist()
    straight = split(families.families(phrases(real_melodies)), keys)
    shuffled = split(families.families(phrases([real_melodies[i] for i in order])), [keys[i] for i in order])
    assert [straight[i] for i in order] == shuffled


def test_more_tunes_move_few(real_melodies: list[Melody]) -> None:
    keys = [f"{number} {key}" for number, key in enumerate(keys_of(real_melodies))]
    fewer = int(0.9 * len(keys))
    before = split(families.families(phrases(real_melodies[:fewer])), keys[:fewer])
    after = split(families.families(phrases(real_melodies)), keys)
    assert np.mean([one != other for one, other in zip(before, after)]) < 0.04
    assert before != split(families.families(phrases(real_melodies[:fewer])), keys[:fewer], seed=1)


def test_a_large_family_goes_to_train() -> None:
    family = [0] * 300 + list(range(300, 1000))
    for seed in range(20):
        assigned = split(family, [str(i) for i in range(1000)], seed=seed)
        assert set(assigned[:300]) == {"train"}
        assert Counter(assigned) == {"train": 900, "valid": 50, "test": 50}


@pytest.mark.parametrize("n", range(6))
def test_few_tunes(n: int) -> None:
    counts = Counter(split(range(n), [str(i) for i in range(n)]))
    assert (counts["test"], counts["valid"]) == ((1, 1) if n >= 3 else (0, 0))
    assert sum(counts.values()) == n


def test_fractions_of_nothing() -> None:
    assert set(split(range(50), [str(i) for i in range(50)], valid_fraction=0, test_fraction=0)) == {"train"}
    assert leakage(phrases([]), []).as_dict()["share_sharing"] == 0


def test_a_tenth_of_the_smaller_held_out_set_is_the_largest_family_in_it() -> None:
    """1,000 tunes: 60 are tested and 50 valid, so families of five may be held out and families of six may not."""
    for size in (5, 6):
        family = [i // size for i in range(60 * size)]
        family += list(range(60, 60 + 1000 - len(family)))
        assigned = [
            families.split(family, [f"{i:04}" for i in range(1000)], test_fraction=0.06, seed=seed) for seed in range(5)
        ]
        held_out = [name for one in assigned for name, number in zip(one, family, strict=True) if number < 60]
        assert {name for name in held_out if name != families.TRAIN} == ({"test", "valid"} if size == 5 else set())
