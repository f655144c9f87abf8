"""Copied phrases: hand-made copies, a slow search as the definition, and speed."""

import random

import numpy as np

from symbolic.evaluate.metrics.novelty import (
    SHORTEST,
    copies,
    duplicates,
    nearness,
    share_mostly_copied,
    share_of_near_copies,
    share_with_copied_phrase,
)


def walk(rng: random.Random, n_notes: int) -> list[int]:
    """A melody of random steps."""
    return np.cumsum([60, *rng.choices((-7, -4, -2, -1, 1, 2, 3, 5), k=n_notes - 1)]).tolist()


def longest_shared(tune: list[int], other: list[int]) -> int:
    """The definition, slowly: the longest run of equal intervals, plus one."""
    a, b = np.diff(tune).tolist(), np.diff(other).tolist()
    best, previous = 0, [0] * (len(b) + 1)
    for x in a:
        current = [0] + [previous[j] + 1 if x == y else 0 for j, y in enumerate(b)]
        best, previous = max(best, *current), current
    return best + 1


def test_a_transposed_passage_is_found_with_its_source() -> None:
    rng = random.Random(1)
    training = [[walk(rng, 120)] for _ in range(20)]
    passage = [pitch + 5 for pitch in training[7][0][30:55]]  # 25 notes
    tune = walk(rng, 20) + passage + walk(rng, 30)
    (found,) = copies([[tune]], training)
    assert found.longest_notes in (25, 26)  # a neighbour may fit by chance
    assert found.source == 7 and found.has_phrase
    assert abs(found.share_covered - found.longest_notes / len(tune)) < 1e-9


def test_sixteen_notes_are_no_phrase() -> None:
    rng = random.Random(2)
    training = [[walk(rng, 100)]]
    tune = [0, 90] + training[0][0][40:56] + [0, 90]
    (found,) = copies([[tune]], training)
    assert (found.longest_notes, found.has_phrase, found.share_covered, found.source) == (16, False, 0.0, 0)


def test_equals_the_slow_search() -> None:
    rng = random.Random(3)
    training = [[walk(rng, rng.randint(5, 60))] for _ in range(15)]
    tunes = [[walk(rng, rng.randint(1, 40))] for _ in range(15)]
    tunes += [[[pitch - 3 for pitch in training[i][0]][3:] + walk(rng, 9)] for i in range(15)]
    for found, tune in zip(copies(tunes, training), tunes, strict=True):
        lengths = [longest_shared(tune[0], other[0]) for other in training]
        expected = max(lengths) if max(lengths) >= SHORTEST else 0
        assert found.longest_notes == expected
        assert found.source == (lengths.index(expected) if expected else None)


def test_voices_and_tunes_are_not_joined() -> None:
    line = walk(random.Random(4), 40)
    (found,) = copies([[line[:10], line[10:20]]], [[line]])
    assert found.longest_notes == 10
    (found,) = copies([[line]], [[line[:12]], [line[12:]]])
    assert found.longest_notes == 28 and found.source == 1


def test_empty_sets() -> None:
    assert copies([], [[[60, 62]]]) == []
    assert [c.longest_notes for c in copies([[], [[60] * 30]], [])] == [0, 0]
    assert share_with_copied_phrase([]) == share_mostly_copied([]) == 0.0


def test_a_copy_of_the_training_set_is_caught() -> None:
    rng = random.Random(5)
    training = [[walk(rng, 50)] for _ in range(30)]
    found = copies(training, training)
    assert [c.source for c in found] == list(range(30)) and all(c.longest_notes == 50 for c in found)
    assert share_with_copied_phrase(found) == share_mostly_copied(found) == 1.0


def test_a_drone_does_not_explode() -> None:
    drone = [[60] * 3000]
    (found,) = copies([drone], [drone, drone])
    assert found.longest_notes >= 17 and found.source == 0


def test_duplicates_in_any_key_and_unit() -> None:
    tune = [[(60, 5040), (62, 5040), (64, 10080)]]
    higher = [[(67, 10080), (69, 10080), (71, 20160)]]
    other = [[(60, 5040), (62, 10080), (64, 5040)]]
    assert duplicates([tune, other, higher, tune]) == [None, None, 0, 0]


def test_many_tunes_at_once_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    make = [[np.cumsum(rng.integers(-4, 5, size=60)).astype(np.int16).tolist()] for _ in range(600)]
    make[0] = [make[550][0][10:50]]
    together = copies(make[:500], make[500:])
    assert together[0].longest_notes == 40
    assert together[:5] == [copies([tune], make[500:])[0] for tune in make[:5]]


def test_nearness_equals_the_definition() -> None:
    rng = random.Random(4)
    training = [[walk(rng, rng.randint(8, 60))] for _ in range(30)]
    tunes = [[walk(rng, 40)] for _ in range(10)] + [[[p + 4 for p in training[i][0]]] for i in range(5)]
    tunes += [[training[9][0][:20] + walk(rng, 5)], [[60, 62]], []]

    def of(tune: list[list[int]]) -> set[tuple[int, ...]]:
        steps = [np.diff(voice).tolist() for voice in tune]
        return {tuple(own[i : i + 6]) for own in steps for i in range(len(own) - 5)}

    def jaccard(a: set[tuple[int, ...]], b: set[tuple[int, ...]]) -> float:
        return len(a & b) / len(a | b) if a | b else 0.0

    found = nearness(tunes, training)
    expected = [max(jaccard(of(tune), of(other)) for other in training) for tune in tunes]
    assert np.allclose(found, expected)
    assert share_of_near_copies(found) == 5 / len(tunes) and share_of_near_copies(found[:0]) == 0.0
