"""Measures of lyrics, each beside the same measure of human ones.

    rhyme density        share of lines that rhyme with one at most three lines away (`rhyme.density`)
    syllable regularity  share of lines with as many syllables as the commonest number of their place (odd or even line)
                         in their section: 1 for strict metre
    repeated lines       share of lines that came before in the song, choruses counted once
    self-copy            share of word 4-grams that came before in the song, choruses counted once
    loop                 the most times that one line, or one group of up to four words, follows itself at once
    distinct-1, -2       different words and word pairs over all, in the first 200 words (so that length does not count)
    copied lines         share of lines of four words or more that stand in a given corpus; the source is named

Distinct-n: Li et al., A Diversity-Promoting Objective Function, NAACL 2016. A loop of four or more is what people hear
as a model that is stuck; the reference study's own sample has one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audio_bridge.lyrics.lyric_text import Lyrics, Section
from audio_bridge.lyrics.prosody import rhyme
from audio_bridge.lyrics.prosody.stress import count

LOOP = 4
DISTINCT_WORDS = 200
COPIED_WORDS = 4  # shorter lines are everybody's
_MOST_PERIOD = 4
_NO_MEANS = ("title", "genre", "copied", "lines", "loop")


@dataclass(frozen=True)
class Copied:
    """A line that stands in the corpus, and where."""

    line: str
    source: str


def of_song(lyrics: Lyrics, corpus: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return all measures of one song; `corpus` maps a plain line to its source."""
    once = _choruses_once(lyrics.sections)
    lines = [line for section in once for line in section.lines]
    words = plain_words(lines)
    copied = copied_lines(lines, corpus or {})
    long = sum(len(line.split()) >= COPIED_WORDS for line in lines)
    return {
        "lines": len(lines),
        "rhyme_density": _mean(rhyme.density(s.lines, lyrics.language) for s in once if len(s.lines) > 1),
        "syllable_regularity": _mean(regularity(s.lines, lyrics.language) for s in once if len(s.lines) > 2),
        "repeated_lines": repeated(lines),
        "self_copy": self_copy(words),
        "loop": loop(lines),
        "distinct_1": distinct(words[:DISTINCT_WORDS], 1),
        "distinct_2": distinct(words[:DISTINCT_WORDS], 2),
        "copied_lines": len(copied) / long if long and corpus else None if not corpus else 0.0,
        "copied": [vars(one) for one in copied],
    }


def mean_of(songs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means over songs; `loop` is the share of songs with one of LOOP or more."""
    keys = [key for key in (songs[0] if songs else {}) if key not in _NO_MEANS]
    means: dict[str, Any] = {"songs": len(songs), "lines": sum(one["lines"] for one in songs)}
    for key in keys:
        known = [one[key] for one in songs if one[key] is not None]
        means[key] = sum(known) / len(known) if known else None
    means["loops"] = sum(one["loop"] >= LOOP for one in songs) / max(1, len(songs))
    return means


def regularity(lines: Sequence[str], language: str) -> float:
    """Return the share of lines that have the commonest syllable count of the odd or even lines of their section."""
    counts = [count(line, language) for line in lines]
    commonest = [Counter(counts[parity::2]).most_common(1)[0][0] for parity in (0, 1) if counts[parity::2]]
    return sum(n == commonest[i % 2] for i, n in enumerate(counts)) / len(counts)


def repeated(lines: Sequence[str]) -> float:
    """Return the share of lines that came before."""
    plain = [plain_line(line) for line in lines]
    return sum(line in plain[:i] for i, line in enumerate(plain)) / max(1, len(plain))


def self_copy(words: Sequence[str]) -> float:
    """Return the share of word 4-grams that came before."""
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def loop(lines: Sequence[str]) -> int:
    """Return how often a line, or a group of up to four words, follows itself at once."""
    return max(_run([plain_line(line) for line in lines]), _run(plain_words(lines)))


def distinct(words: Sequence[str], n: int) -> float:
    """Return different word n-grams over all of them."""
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def copied_lines(lines: Iterable[str], corpus: Mapping[str, str]) -> list[Copied]:
    """Return the lines of at least COPIED_WORDS words that the corpus has."""
    long = (line for line in lines if len(line.split()) >= COPIED_WORDS)
    return [Copied(line, corpus[plain_line(line)]) for line in long if plain_line(line) in corpus]


def line_index(songs: Iterable[tuple[str, Lyrics]]) -> dict[str, str]:
    """Map each plain line to the first song that has it, for `copied_lines`."""
    index: dict[str, str] = {}
    for name, lyrics in songs:
        for line in lyrics.lines:
            index.setdefault(plain_line(line), name)
    return index


def plain_line(line: str) -> str:
    """Write a line in small letters and single spaces, for comparison."""
    return " ".join(re.findall(r"[^\W_]+", line.lower()))


def plain_words(lines: Iterable[str]) -> list[str]:
    """Return the words of all lines."""
    return [word for line in lines for word in plain_line(line).split()]


def _choruses_once(sections: Sequence[Section]) -> list[Section]:
    """Return the sections without choruses that come again."""
    seen: set[tuple[str, ...]] = set()
    kept = []
    for section in sections:
        again = section.kind in ("chorus", "pre-chorus") and section.lines in seen
        seen.add(section.lines)
        if section.lines and not again:
            kept.append(section)
    return kept


def _run(items: Sequence[str]) -> int:
    """Return the most immediate repetitions of any group of up to _MOST_PERIOD items."""
    most = 1 if items else 0
    for period in range(1, _MOST_PERIOD + 1):
        same = 0
        for i in range(period, len(items)):
            same = same + 1 if items[i] == items[i - period] else 0
            most = max(most, same // period + 1)
    return most


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
