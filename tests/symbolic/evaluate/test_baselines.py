"""Controls keep what they promise to keep."""

import random

from symbolic.evaluate import baselines
from symbolic.notation import validity

TUNE = "M:6/8\nL:1/8\nK:Em\nB|EGE GEG|ABA B2:|\n"
MUSIC = "B|EGE GEG|ABA B2:|"


def test_shuffling_keeps_header_and_characters() -> None:
    found = baselines.shuffle(TUNE, random.Random(0))
    assert found.startswith("M:6/8\nL:1/8\nK:Em\n") and found != TUNE
    assert sorted(found) == sorted(TUNE)


def test_dropping_takes_its_share() -> None:
    long = TUNE[:-1] + "A" * 10_000 + "\n"
    found = baselines.drop(long, random.Random(0), 0.05)
    assert 0.94 < len(found) / len(long) < 0.96
    assert baselines.drop(TUNE, random.Random(0), 0.0) == TUNE


def test_random_characters_come_from_the_alphabet() -> None:
    letters = baselines.alphabet([TUNE])
    assert letters == sorted(set(MUSIC))
    found = baselines.random_characters(TUNE, random.Random(0), ["x"])
    assert found == "M:6/8\nL:1/8\nK:Em\n" + "x" * len(MUSIC) + "\n"


def test_random_pitches_keep_rhythm_and_bars(real_tunes: list[str]) -> None:
    rng = random.Random(0)
    for text in rng.sample(real_tunes, 60):
        found = baselines.random_pitches(text, rng)
        before, after = validity.check(text), validity.check(found)
        if after.parses:  # a tie may now bind different notes, which changes no length
            assert (before.n_bars, before.n_full) == (after.n_bars, after.n_full)
    pitched = baselines.random_pitches('M:4/4\nL:1/8\nK:C\n"Am"C2[K:D]!fine!D2|\n', rng)
    assert '"Am"' in pitched and "[K:D]" in pitched and "!fine!" in pitched and pitched.endswith("2|\n")


def test_a_chain_of_high_order_recites_and_one_of_low_order_knows_its_words(real_tunes: list[str]) -> None:
    texts = random.Random(1).sample(real_tunes, 200)
    assert all(baselines.MarkovChain(texts[:1], 8).draw(random.Random(n)).startswith("M:") for n in range(5))
    chain = baselines.MarkovChain(texts, 3)
    drawn = [chain.draw(random.Random(n)) for n in range(40)]
    assert chain.draw(random.Random(3)) == drawn[3] and len(set(drawn)) == 40
    known = {
        tuple(words[i : i + 4])
        for text in texts
        for words in [baselines._WORD.findall(text)]
        for i in range(len(words))
    }
    for text in drawn:
        words = baselines._WORD.findall(text)
        assert {tuple(words[i : i + 4]) for i in range(len(words) - 3)} <= known
    assert (
        sum(validity.check(text).parses for text in drawn)
        > 30
        > 5
        > sum(validity.check(text).is_right for text in drawn)
    )


def test_repeated_tunes() -> None:
    found = baselines.repeat([f"tune {n}" for n in range(30)], 25, random.Random(0))
    assert len(found) == 25 and len(set(found)) == 10
