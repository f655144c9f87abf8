"""Duplicates that no transposition hides: exact ones by keys, near ones against the definition."""

from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symbolic.corpus import duplicates
from symbolic.corpus.cleaning import RUN_NOTES, CleanTune, Limits, clean
from symbolic.corpus.corpora import Found, Rejection
from symbolic.corpus.phrase_index import PhraseIndex
from symbolic.notation.abc_parser import transpose

BODY = "GABc dedB|c2A2 A2G2|GABc dedB|cABG A2G2|"
HEADER = "X:1\nT:A Tune\nC:Someone\nR:reel\nM:4/4\nL:1/8\n"


def tune(text: str, line: int = 1) -> CleanTune:
    cleaned = clean(Found("mine", "tunes.abc", line, text, line), Limits(min_notes=1))
    assert isinstance(cleaned, CleanTune)
    return cleaned


def registered(tunes: list[CleanTune], folder: Path) -> PhraseIndex:
    corpus_index = PhraseIndex(folder)
    for begin in range(0, len(tunes), 7):
        corpus_index.add(tunes[begin : begin + 7])
    return corpus_index


def without_duplicates(tunes: list[CleanTune], folder: Path) -> tuple[list[CleanTune], list[Rejection]]:
    with registered(tunes, folder) as corpus_index:
        found = duplicates.repeats(corpus_index)
        return [one for one, stays in zip(tunes, found.stays) if stays], list(
            duplicates.rejections(corpus_index, found)
        )


def near_duplicates(melodies: list[list[list[int]]], threshold: float, folder: Path) -> dict[int, tuple[int, float]]:
    """Index of each tune that is near an earlier one that stays -> (index of that one, similarity)."""
    plain = tune(HEADER + "K:G\n" + BODY)
    tunes = [
        replace(plain, pitches=tuple(array("h", voice) for voice in melody), key=f"{n:032x}")
        for n, melody in enumerate(melodies)
    ]
    with registered(tunes, folder) as corpus_index:
        found = duplicates.repeats(corpus_index, threshold)
    assert (found.exact == -1).all()
    return {int(n): (int(found.near[n]), float(found.similarity[n])) for n in np.flatnonzero(found.near >= 0)}


def test_transposed_copies_of_real_tunes_are_duplicates(real_tunes: list[str], tmp_path: Path) -> None:
    for text in real_tunes[::40]:
        for semitones in (-5, 1, 6):
            copy = transpose(text, semitones)
            kept, rejected = without_duplicates([tune(text), tune(copy, 100)], tmp_path / f"{hash(text)}{semitones}")
            assert [one.text for one in kept] == [text]
            assert [(one.reason, one.of) for one in rejected] == [("duplicate", "mine/tunes.abc:1")]


@pytest.mark.parametrize("other", [
    HEADER.replace("L:1/8", "L:1/16").replace("4/4", "2/4") + "K:G\n" + BODY,  # every note half as long
    HEADER + "K:G\n" + BODY.replace("|", "||").replace("G", "{a}G"),
    HEADER + 'K:G\n"G"' + BODY,
    HEADER + "K:D\n" + transpose("M:4/4\nL:1/8\nK:G\n" + BODY, 7).splitlines()[-1],
])  # fmt: skip
def test_dress_does_not_hide_a_duplicate(other: str, tmp_path: Path) -> None:
    kept, rejected = without_duplicates([tune(HEADER + "K:G\n" + BODY), tune(other, 9)], tmp_path / "r")
    assert len(kept) == 1 and rejected[0].reason == "duplicate"


def test_another_rhythm_is_no_exact_duplicate_but_a_near_one(tmp_path: Path) -> None:
    other = HEADER + "K:G\n" + BODY.replace("GABc", "G>AB>c")
    kept, rejected = without_duplicates([tune(HEADER + "K:G\n" + BODY), tune(other, 9)], tmp_path / "r")
    assert len(kept) == 1 and rejected[0].reason == "near_duplicate"
    assert "mine/tunes.abc:1" in rejected[0].message


def random_melodies(seed: int) -> list[list[list[int]]]:
    """Melodies with many variants of one another, over few pitches so that runs meet often."""
    random = np.random.default_rng(seed)
    melodies = [(60 + random.integers(0, 4, size=random.integers(5, 90))).tolist() for _ in range(60)]
    for _ in range(60):
        copy = list(melodies[random.integers(len(melodies))])
        for _ in range(random.integers(0, 4)):
            copy[random.integers(len(copy))] += 1
        melodies.append([pitch + 5 for pitch in copy])
    return [[melody] for melody in melodies]


def compared_with_all(melodies: list[list[list[int]]], threshold: float) -> dict[int, float]:
    """The definition: each tune against every earlier one that stays."""
    runs = []
    for (voice,) in melodies:
        steps = np.diff(voice).tolist()
        n = RUN_NOTES - 1
        runs.append({tuple(steps[i : i + n]) for i in range(len(steps) - n + 1)})
    near: dict[int, float] = {}
    for a, own in enumerate(runs):
        others = [runs[b] for b in range(a) if b not in near and own and runs[b]]
        best = max((len(own & other) / len(own | other) for other in others), default=0.0)
        if best >= threshold:
            near[a] = best
    return near


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_the_index_finds_what_comparing_all_pairs_finds(
    seed: int, threshold: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "BLOCK_TUNES", 25)  # five segments
    melodies = random_melodies(seed)
    near = near_duplicates(melodies, threshold, tmp_path / "r")
    expected = compared_with_all(melodies, threshold)
    assert {index: pytest.approx(similarity) for index, (_, similarity) in near.items()} == expected
    assert len(expected) > 5
    assert all(earlier < index and earlier not in near for index, (earlier, _) in near.items())


def test_what_stays_is_free_of_duplicates(real_tunes: list[str], tmp_path: Path) -> None:
    tunes = [
        tune(text, line) for line, text in enumerate(real_tunes[1180:3000])
    ]  # most of O'Neill, who repeats himself
    kept, rejected = without_duplicates(tunes, tmp_path / "a")
    assert len(kept) + len(rejected) == len(tunes)
    assert 0.05 < len(rejected) / len(tunes) < 0.15
    again, more = without_duplicates(kept, tmp_path / "b")
    assert again == kept and more == []


def test_tunes_without_runs_are_near_none(tmp_path: Path) -> None:
    assert near_duplicates([[[60, 62]], [[60, 62]], [[]]], 0.8, tmp_path / "r") == {}


def test_an_earlier_block_may_hold_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK_TUNES", 2)
    tune_a, tune_b = ([60 + step * step * k % 11 for step in range(30)] for k in (1, 3))
    melodies = [[tune_a], [tune_a[:29]], [tune_a[:28]], [tune_a[1:]], [tune_b], [tune_b[1:]], [tune_b[2:]]]
    near = near_duplicates(melodies, 0.8, tmp_path / "r")
    assert {index: earlier for index, (earlier, _) in near.items()} == {1: 0, 2: 0, 3: 0, 5: 4, 6: 4}


def test_the_first_of_equal_keys() -> None:
    keys = np.array([[1, 2], [2**63, 0], [1, 2], [1, 3], [2**63, 0], [1, 2]], dtype=np.uint64)
    assert duplicates.first_of(keys).tolist() == [-1, -1, 0, -1, 1, 0]
    assert duplicates.first_of(keys[:0]).tolist() == []
