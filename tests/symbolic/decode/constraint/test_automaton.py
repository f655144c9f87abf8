"""The rules of `--constrain`, character by character: hand-worked tunes, human tunes, random walks."""

import random
from functools import cache
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic.decode.constraint.automaton import Automaton, LexerState, Place
from symbolic.decode.constraint.shortest_ending import closing, max_characters
from symbolic.evaluate.checkers import abc2midi
from symbolic.notation import validity
from symbolic.notation.abc_parser import canonical, parse

AUTOMATON = Automaton()
CHARACTERS = "".join(map(chr, range(32, 127))) + "\n"
needs_abc2midi = pytest.mark.skipif(abc2midi.abc2midi_path() is None, reason="abc2midi is not installed")


def tune(music: str, meter: str = "4/4") -> str:
    return f"M:{meter}\nL:1/8\nK:C\n{music}"


def stop(text: str) -> str | None:
    """What is left where no right tune goes on so; None where all can be read."""
    n_read = AUTOMATON.read(text)[1]
    return text[n_read:] if n_read < len(text) else None


RIGHT = {
    "full bars": "c8|d8|e8|",
    "double bar lines": "c8|d8||e8|]",
    "pick-up that nothing completes": "G|c8|d8|e8|]",
    "pick-up that the repeat completes": "G|c8|d8|e8|f7:|",
    "pick-up of the next section completed": "G|c8|d8|e7:|G|f8|g8|a7|]",
    "pick-up before |:": "G2|:c8|d8|e8:|",
    "bar line, pick-up": "|G|c8|d8|e8|]",
    "bar line, no pick-up": "||c8|d8|1e8:|2f8|]",
    "bar line, pick-up, |:": "|G|c8|d8|e8|:c8|d8|e8:|",
    "parts of a bar over a double bar line": "c8|d8|e4||f4|g8|",
    "repeat with endings": "c8|d8|1e8:|2f8||",
    "endings that complete the pick-up": "G|c8|d8|1e7:|2f7||",
    "double repeat": "|:c8|d8::e8|f8:|",
    "key changes": "c8|d8|[K:G]e4[K:D]f4|",
    "meter change": "c8|d8|[M:6/8]e6|f6|",
    "meter change between repeated sections": "c8|d8:|[M:6/8]e6|f6|g6|",
    "broken rhythm": "c3/2d/2e/4f7/4g4|d8|e8|",
    "tie": "c4-c4-|c8|d8|",
    "tie with accidental": "^c4-c4-|c8|d8|",
    "chord": "[ceg]4[Ac]4|d8|e8|",
    "tuplets": "(3cde(3c2d2e2f2|(3:2:4cd/2e/2fg6|e8|",
    "grace notes": "{cd}c4{e}(3c2d2e2|d8|e8|",
    "slurs": "(c4(d2e2))|(d8|e8)|",
    "decorations": "Tc4.d4|!f!~d8|!turn!e8|",
    "chord symbols": '"Am"c8|"G7/B"d8|e8|',
    "short last bar": "c8|d8|e8|f6|]",
}

WRONG = {  # the tune, and what cannot be read of it
    "bar too long": ("c8|d9|", "|"),
    "bar too short": ("c8|d6|e8", "e8"),
    "two pick-ups": ("G|c7|e8", "e8"),
    "no bars": ("c8|\n", "\n"),
    "end that leads to no full bar": ("G|c8|d8|e8:|", ":|"),
    "pick-up behind a bar line, come back to": ("|G|c8|d8|e7:|", ":|"),
    "pick-up behind a bar line, with endings": ("||G|c8|d8|1", "1"),
    "repeat that nothing closes": ("|:c8|d8|e8|\n", "\n"),
    "double repeat that nothing opened": ("c8|d8:|e8::", ":"),
    "ending in a section that nothing opened": ("c8|d8:|e8|1", "1"),
    "second ending without a first": ("c8|d8:|2", "2"),
    "double bar line in a first ending": ("c8|d8|1e8||", "|"),
    "section repeated after endings": ("c8|d8|1e8:|2f8||g8:|", ":|"),
    "meter change inside a bar": ("c4[M", "M"),
    "meter change in a repeated section": ("|:c8|[M", "M"),
    "the same meter again": ("c8|d8|[M:4/4]", "4]"),
    "tuplet too long": ("c7(3c2d", "d"),
    "tuplet over a bar line": ("c7(3cd|", "|"),
    "tuplet in a tuplet": ("(3c(3", "3"),
    "tie to another note": ("c4-d", "d"),
    "tie to a rest": ("c4-z", "z"),
    "tie to a higher octave": ("c4-c'", "'"),
    "tie to an accidental": ("c4-^", "^"),
    "tie after a staccato note": (".c4-", "-"),
    "tie at the end": ("c8|d8|e8-|]\n", "\n"),
    "grace notes before a bar line": ("c8|d7{c}|", "|"),
    "grace notes without room": ("c8{", "{"),
    "grace notes before grace notes": ("{c}{", "{"),
    "same note twice in a chord": ("[cc]", "]"),
    "chord of one note": ("[c]", "]"),
    "slur that is never closed": ("(c8|d8|e8|\n", "\n"),
    "decoration before a bar line": ("c4.|", "|"),
    "voice": ("V", "V"),
    "text that is no chord symbol": ('"slowly', "slowly"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_tunes_are_read(name: str) -> None:
    text = tune(RIGHT[name] + "\n")
    assert stop(text) is None
    assert AUTOMATON.accepts(text)
    assert canonical(parse(text)) == text
    assert validity.check(text).is_right


def sampled(texts: list[str], one_in: int) -> list[str]:
    """One tune in so many, by its own text: a tune more or less elsewhere leaves the sample as it is."""
    return [text for text in texts if crc32(text.encode()) % one_in == 0]


@needs_abc2midi
def test_abc2midi_calls_them_right() -> None:
    opinions = abc2midi.abc2midi_opinions([tune(music + "\n") for music in RIGHT.values()])
    assert {name: opinion for name, opinion in zip(RIGHT, opinions, strict=True) if not opinion.is_right} == {}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tunes_are_stopped_where_they_go_wrong(name: str) -> None:
    music, rest = WRONG[name]
    assert stop(tune(music)) == rest


@pytest.mark.parametrize(
    "text",
    [
        "X:1\nM:4/4\nL:1/16\nK:G\nG2|A4>B4c2<d2e4|[L:1/8]A2>B2c<de2|cB AG FE D>C|]\n",  # broken rhythm, unit length
        "X:1\nM:6/8\nK:D\nA|:d2e fed|e3 d2c:|\n[M:2/4] A>B cd|e2 (3fed|e4|]\n",
        "X:1\nM:3/4\nL:1/4\nK:Am\n[Ac]ed|A-A2-|A3|{B}A!trill!BA|]\n",
    ],
)
def test_what_people_write_is_read_in_canonical_spelling(text: str) -> None:
    spelled = canonical(parse(text))
    assert stop(spelled) is None
    assert AUTOMATON.accepts(spelled)


def test_human_tunes(real_tunes: list[str]) -> None:
    """What is read is right; nine in ten right tunes are read (89.2 % of all 3,786)."""
    sample = sampled(real_tunes, 6)
    right = [text for text in sample if validity.check(text).is_right]
    read = [text for text in sample if AUTOMATON.accepts(text)]
    assert {*read} <= {*right}
    assert len(read) >= 0.88 * len(right)


@needs_abc2midi
def test_the_right_tunes_that_are_not_read_are_wrong_for_abc2midi(real_tunes: list[str]) -> None:
    sample = sampled(real_tunes, 12)
    refused = [text for text in sample if validity.check(text).is_right and not AUTOMATON.accepts(text)]
    read = [text for text in sample if AUTOMATON.accepts(text)]
    assert all(opinion.is_right for opinion in abc2midi.abc2midi_opinions(read[::3]))
    n_right = sum(opinion.is_right for opinion in abc2midi.abc2midi_opinions(refused))
    assert n_right <= 0.03 * len(sample)  # 35 of 1,409 in every third tune


def walked(seed: int, n_steps: int) -> str:
    """A tune of a random walk over what may come, then led to its end."""
    choices = random.Random(seed)
    text, state = "", AUTOMATON.first
    while state.place != Place.END:
        character = choices.choice(CHARACTERS) if len(text) < n_steps else closing(AUTOMATON, state)
        after = AUTOMATON.step(state, character)
        if after is not None:
            text, state = text + character, after
        assert after is not None or len(text) < n_steps, text
    return text


@cache
def walks() -> list[str]:
    return [walked(seed, 30 + 5 * seed) for seed in range(40)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 300))
def test_random_walks_end_in_right_tunes(seed: int, n_steps: int) -> None:
    text = walked(seed, n_steps)
    assert canonical(parse(text)) == text
    assert validity.check(text).is_right


@needs_abc2midi
def test_random_walks_are_right_for_abc2midi() -> None:
    opinions = abc2midi.abc2midi_opinions(walks())
    assert [(text, one) for text, one in zip(walks(), opinions, strict=True) if not one.is_right] == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 200))
def test_the_ending_is_no_longer_than_foreseen(seed: int, n_steps: int) -> None:
    text = walked(seed, n_steps)
    state: LexerState = AUTOMATON.read(text[:n_steps])[0]
    assert len(text) - min(n_steps, len(text)) <= max_characters(state, state.form)
