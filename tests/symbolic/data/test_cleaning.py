"""Cleaning: typed rejections, and duplicates that no transposition hides."""

import numpy as np
import pytest

from symbolic.data import cleaning, families
from symbolic.data.cleaning import Limits, Tune, clean, near_duplicates, without_duplicates
from symbolic.data.corpora import Found, Rejection
from symbolic.data.notation import transpose

BODY = "GABc dedB|c2A2 A2G2|GABc dedB|cABG A2G2|"
HEADER = "X:1\nT:A Tune\nC:Someone\nR:reel\nM:4/4\nL:1/8\n"


def found(text: str, line: int = 1, **extra: str) -> Found:
    return Found("mine", "tunes.abc", line, text, line, extra)


def tune(text: str, line: int = 1) -> Tune:
    cleaned = clean(found(text, line), Limits(min_notes=1))
    assert isinstance(cleaned, Tune)
    return cleaned


def test_a_tune_is_spelled_canonically_and_its_words_kept_beside() -> None:
    cleaned = clean(found(HEADER + "K:G\n" + BODY, 12, **{"control code": "S:1"}))
    assert isinstance(cleaned, Tune)
    assert cleaned.text == "M:4/4\nL:1/8\nK:G\n" + BODY.replace(" ", "") + "\n"
    assert (cleaned.id, cleaned.title, cleaned.rhythm) == ("mine/tunes.abc:12", "A Tune", "reel")
    assert (cleaned.n_bytes, cleaned.n_notes) == (len(cleaned.text), 26)
    assert cleaned.fields["C"] == ["Someone"] and cleaned.fields["control code"] == ["S:1"]


@pytest.mark.parametrize(("text", "reason", "line"), [
    ("X:1\nT:A Tune\nM:4/4\nGABc|", "no_key", 30),
    (HEADER + "K:G\nGABc|", "too_short", 30),
    (HEADER + "K:G\n" + BODY * 9, "too_long", 30),
    (HEADER + "K:G\n" + BODY + "\nGA&Bc", "overlay", 38),
    (HEADER + "K:Q\n" + BODY, "bad_key", 36),
])  # fmt: skip
def test_rejections_are_typed_and_placed(text: str, reason: str, line: int) -> None:
    rejection = clean(found(text, 30), Limits(max_bytes=300))
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.line, rejection.title) == (reason, line, "A Tune")
    assert rejection.message


def test_transposed_copies_of_real_tunes_are_duplicates(real_tunes: list[str]) -> None:
    for text in real_tunes[::40]:
        for semitones in (-5, 1, 6):
            copy = transpose(text, semitones)
            kept, rejected = without_duplicates([tune(text), tune(copy, 100)])
            assert [one.text for one in kept] == [text]
            assert [(one.reason, one.of) for one in rejected] == [("duplicate", "mine/tunes.abc:1")]


@pytest.mark.parametrize("other", [
    HEADER.replace("L:1/8", "L:1/16").replace("4/4", "2/4") + "K:G\n" + BODY,  # every note half as long
    HEADER + "K:G\n" + BODY.replace("|", "||").replace("G", "{a}G"),
    HEADER + 'K:G\n"G"' + BODY,
    HEADER + "K:D\n" + transpose("M:4/4\nL:1/8\nK:G\n" + BODY, 7).splitlines()[-1],
])  # fmt: skip
def test_dress_does_not_hide_a_duplicate(other: str) -> None:
    kept, rejected = without_duplicates([tune(HEADER + "K:G\n" + BODY), tune(other, 9)])
    assert len(kept) == 1 and rejected[0].reason == "duplicate"


def test_another_rhythm_is_no_exact_duplicate_but_a_near_one() -> None:
    other = HEADER + "K:G\n" + BODY.replace("GABc", "G>AB>c")
    kept, rejected = without_duplicates([tune(HEADER + "K:G\n" + BODY), tune(other, 9)])
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
        n = cleaning.RUN_NOTES - 1
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
def test_the_index_finds_what_comparing_all_pairs_finds(seed: int, threshold: float) -> None:
    melodies = random_melodies(seed)
    near = near_duplicates(melodies, threshold)
    expected = compared_with_all(melodies, threshold)
    assert {index: pytest.approx(similarity) for index, (_, similarity) in near.items()} == expected
    assert len(expected) > 5
    assert all(earlier < index and earlier not in near for index, (earlier, _) in near.items())


def test_what_stays_is_free_of_duplicates(real_tunes: list[str]) -> None:
    tunes = [
        tune(text, line) for line, text in enumerate(real_tunes[1180:3000])
    ]  # most of O'Neill, who repeats himself
    kept, rejected = without_duplicates(tunes)
    assert len(kept) + len(rejected) == len(tunes)
    assert 0.05 < len(rejected) / len(tunes) < 0.15
    again, more = without_duplicates(kept)
    assert again == kept and more == []


def test_nothing_in_nothing_out() -> None:
    assert without_duplicates([]) == ([], [])
    assert near_duplicates([[[60, 62]], [[60, 62]]]) == {}


def test_a_phrase_is_the_least_length_by_default() -> None:
    assert Limits().min_notes == families.PHRASE_NOTES
