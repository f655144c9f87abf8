"""The writer that needs no model: lines joined from phrases of this project's own lists, by patterns.

It is a phrase-structure grammar with one level (data/grammar_LANGUAGE.txt), not a language model: its lines are correct
and singable, and not deep. What it writes is labelled `grammar` wherever it is recorded. Lists are English, Portuguese
and Spanish; other languages have none.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from audio_bridge.lyrics.lyric_text import LANGUAGES
from audio_bridge.lyrics.prosody.rhyme import ending, last_word
from audio_bridge.lyrics.prosody.stress import WEAK_WORDS, count
from symbolic.errors import UserError

DATA = Path(__file__).parents[1] / "data"
POOL_LINES = 3000
JOINED_FROM = 9  # syllables from which two lines may stand as one
_TITLE = "T"
_DRAWN, _NEUTRAL = (8, 4), 2  # times as often as a phrase of another theme


@dataclass(frozen=True, slots=True)
class LyricLine:
    """A line that may be sung: its syllables, what it rhymes on, the phrases it is made of, who wrote it."""

    text: str
    n_syllables: int
    ending: str
    phrases: tuple[str, ...] = ()
    source: str = "grammar"


@dataclass(frozen=True)
class Grammar:
    """Phrases by list, and patterns of LINE and HOOK; the words by which a phrase belongs to a theme, or to the first
    or last stage of a story."""

    phrases: dict[str, tuple[tuple[str, str], ...]]  # list -> (genre or '', phrase)
    patterns: dict[str, tuple[str, ...]]
    themes: dict[str, frozenset[str]]
    stages: dict[str, frozenset[str]]

    def themes_of(self, text: str) -> frozenset[str]:
        """Return the themes whose words a text has."""
        words = _plain_words(text)
        return frozenset(theme for theme, own in self.themes.items() if not words.isdisjoint(own))

    def stage_of(self, text: str) -> str:
        """Return `first` or `last` where a text's words tell that of a story, else ''."""
        words = _plain_words(text)
        found = [stage for stage, own in self.stages.items() if not words.isdisjoint(own)]
        return found[0] if len(found) == 1 else ""


@lru_cache(maxsize=8)
def load(language: str) -> Grammar:
    """Return the grammar of a language. Raises UserError where there is none."""
    if language not in LANGUAGES:
        raise UserError(
            f"there is no offline writer for the language {language!r}, only for {', '.join(LANGUAGES)}. "
            "Give the words: song --lyrics FILE, or lyrics align WORDS.txt TUNE.abc."
        )
    lists: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in (DATA / f"grammar_{language}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            name = line[1:]
            lists[name] = []
        elif line and not line.startswith("#"):
            genre, _, phrase = line.rpartition("|")
            lists[name].append((genre, phrase))
    patterns = {key: tuple(text for _, text in lists.pop(key)) for key in ("LINE", "HOOK")}
    themes, stages = (
        {key: frozenset(text.split()) for key, _, text in (row.partition(":") for _, row in lists.pop(name))}
        for name in ("THEMES", "STAGES")
    )
    return Grammar({key: tuple(values) for key, values in lists.items()}, patterns, themes, stages)


def themes_for(text: str, language: str, seed: int) -> tuple[str, str]:
    """Return a song's theme and the one beside it: those of the title and first line, else drawn."""
    grammar, rng = load(language), random.Random(f"theme:{text}:{seed}")
    named = sorted(grammar.themes_of(text))
    others = [theme for theme in grammar.themes if theme not in named]
    rng.shuffle(named)
    rng.shuffle(others)
    first, second, *_ = [*named, *others]
    return first, second


def pool(language: str, words: str, seed: int, n: int = POOL_LINES, themes: Sequence[str] = ()) -> list[LyricLine]:
    """Return different lines of many lengths, short ones (single phrases) and long ones (two lines) among them.

    `words` names the phrase list of a genre (GenreStyle.words); phrases of `themes` are drawn more often.
    """
    grammar, rng = load(language), random.Random(f"{language}:{words}:{seed}")
    usable = _usable(grammar, words)
    if themes:
        usable = {name: _weighted(grammar, phrases, themes) for name, phrases in usable.items()}
    lines = {text: _line([text], (text,), language) for text in _phrases(usable)}
    for _ in range(n):
        line = _filled(rng.choice(grammar.patterns["LINE"]), usable, rng, language)
        lines[line.text] = line
    singles = [line for line in lines.values() if line.n_syllables >= JOINED_FROM // 2]
    for _ in range(n // 2):
        a, b = rng.choice(singles), rng.choice(singles)
        if not _says_twice(a.phrases + b.phrases, language):
            joined = f"{a.text}, {b.text}"
            phrases = a.phrases + b.phrases
            lines[joined] = LyricLine(joined, a.n_syllables + b.n_syllables, b.ending, phrases)
    return list(lines.values())


def hooks(title: str, language: str, words: str, seed: int, n: int = 400) -> list[LyricLine]:
    """Return lines that hold the title."""
    grammar, rng = load(language), random.Random(f"hook:{title}:{seed}")
    usable = _usable(grammar, words)
    found: dict[str, LyricLine] = {}
    for pattern in grammar.patterns["HOOK"] * max(1, n // len(grammar.patterns["HOOK"])):
        line = _filled(pattern, {**usable, _TITLE: (title,)}, rng, language)
        found[line.text] = replace(line, source="title")
    return list(found.values())


def _usable(grammar: Grammar, words: str) -> dict[str, tuple[str, ...]]:
    """Return the phrases that a genre may use."""
    return {name: tuple(text for g, text in rows if g in ("", words)) for name, rows in grammar.phrases.items()}


def _weighted(grammar: Grammar, phrases: tuple[str, ...], themes: Sequence[str]) -> tuple[str, ...]:
    """Return phrases as often as they are to be drawn: those of the first theme most, those of no theme next."""
    times = []
    for phrase in phrases:
        own = grammar.themes_of(phrase)
        near = next((i for i, theme in enumerate(themes) if theme in own), -1)
        times.append(_DRAWN[near] if near >= 0 else _NEUTRAL if not own else 1)
    return tuple(phrase for phrase, n in zip(phrases, times) for _ in range(n))


def _phrases(usable: dict[str, tuple[str, ...]]) -> list[str]:
    return [text for name in ("NP", "PP", "IMP", "I", "WE") for text in dict.fromkeys(usable.get(name, ()))]


def _filled(pattern: str, usable: dict[str, tuple[str, ...]], rng: random.Random, language: str) -> LyricLine:
    """Return a pattern with a phrase for each list that it names."""
    while True:
        parts, phrases = list(_parts(pattern)), []
        for i in range(1, len(parts), 2):
            name = parts[i]
            options = usable.get(name)
            if options:
                parts[i] = options[0] if name == _TITLE else rng.choice(options)
                phrases += [] if name == _TITLE else [parts[i]]
        if not _says_twice(phrases, language):
            return _line(parts, tuple(phrases), language)


@lru_cache(maxsize=256)
def _parts(pattern: str) -> tuple[str, ...]:
    """Cut a pattern at the names of lists, which stand at the odd places."""
    return tuple(re.split(r"\b(NP|VI|PP|IMP|I|WE|T)\b", pattern))


def _says_twice(phrases: Sequence[str], language: str) -> bool:
    """Return whether two phrases of a line are one or share a word of content, as in `the sea by the sea`; both may
    begin with it, as in `come with me, come and see`."""
    words = [_content_words(phrase, language) for phrase in phrases]
    is_shared = len(frozenset().union(*words)) < sum(map(len, words))
    return is_shared or len(set(phrases)) < len(phrases)


@lru_cache(maxsize=1 << 14)
def _content_words(phrase: str, language: str) -> frozenset[str]:
    """Return the words of a phrase but its first, without those that every line may have."""
    return frozenset(phrase.lower().split()[1:]) - WEAK_WORDS[language]


@lru_cache(maxsize=1 << 14)
def _plain_words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", text.lower()))


def _line(parts: Sequence[str], phrases: tuple[str, ...], language: str) -> LyricLine:
    """Return the line of parts that each hold whole words, whose sounds are known from earlier lines."""
    n_syllables, last = 0, ""
    for part in parts:
        n, word = _sound(part, language)
        n_syllables, last = n_syllables + n, word or last
    return LyricLine("".join(parts), n_syllables, ending(last, language), phrases)


@lru_cache(maxsize=1 << 14)
def _sound(part: str, language: str) -> tuple[int, str]:
    """Return syllables and last word of a phrase, or of what a pattern says between two."""
    return count(part, language), last_word(part)
