"""Where words are stressed, and a line as syllables to sing.

Stress of a syllable in its line: 2 a content word's main stress, 1 a secondary or weak one (a function word that
stands alone on a beat at need), 0 none. English stress is the dictionary's; Portuguese and Spanish stress is written or
follows from the ending (RAE, Ortografía 2010; Acordo Ortográfico 1990). In other languages it is unknown, and every
syllable has 1, so that nothing is claimed of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from audio_bridge.lyrics.lyric_text import LANGUAGES, guess_language, words_of
from audio_bridge.lyrics.prosody import pronunciation
from audio_bridge.lyrics.prosody.syllables import syllables

_WEAK = {
    "en": "a an the and or but nor of to in on at by for from with as if than that so my your his her its our their "
    "i you he she it we they me him us them is am are was were be been do does did has have had will would can could "
    "shall should may might must there this when where who which what's it's i'm you're he's she's we're they're i'll "
    "i've i'd don't like just into upon till until through over under",
    "pt": "o a os as um uma uns umas e ou mas de do da dos das em no na nos nas por pelo pela para pra com sem sob que "
    "se me te lhe nos vos lhes meu minha teu tua seu sua ao aos à às quando como nem eu tu ele ela é foi num numa",
    "es": "el la los las lo un una unos unas y e o u pero mas de del al a en con sin por para que si me te se le les "
    "nos os mi tu su mis tus sus cuando como ni yo él es era muy ya no",
}
WEAK_WORDS = {language: frozenset(words.split()) for language, words in _WEAK.items()}
_WRITTEN = {"es": "áéíóú", "pt": "áéíóúâêô"}
_LAST = {
    "es": re.compile(r"[^aeiouáéíóúns]$"),
    "pt": re.compile(r"([iu]s?|[lrzx]|[iuoõ]m|uns|ins|ões|ã|ãs|ão|ãos|ães|ãe)$"),
}


@dataclass(frozen=True, slots=True)
class Syllable:
    """One syllable as sung. `text` has no hyphen; `ends_word` and `ends_line` say what stands behind it."""

    text: str
    stress: int
    ends_word: bool
    ends_line: bool
    line: int = 0  # which line it belongs to


@lru_cache(maxsize=50_000)
def word_stress(word: str, language: str) -> tuple[int, ...]:
    """Return the stress of each part of `syllables(word)`."""
    parts = syllables(word, language)
    name = re.sub(r"^[\W_]+|[\W_]+$", "", word.lower())
    if language not in LANGUAGES:
        return (1,) * len(parts)
    levels = _english(name, len(parts)) if language == "en" else _romance(name, parts, language)
    if name in WEAK_WORDS[language]:
        return tuple(1 if level and len(parts) > 1 else 0 for level in levels)
    return levels


def line_syllables(line: str, language: str, number: int = 0) -> list[Syllable]:
    """Return the syllables of one line."""
    found: list[Syllable] = []
    words = words_of(line)
    for w, word in enumerate(words):
        parts = syllables(word, language)
        for i, (part, level) in enumerate(zip(parts, word_stress(word, language), strict=True)):
            last = i == len(parts) - 1
            found.append(Syllable(part, level, last, last and w == len(words) - 1, number))
    return found


def count(line: str, language: str) -> int:
    """Return syllables of a line."""
    return sum(len(syllables(word, language)) for word in words_of(line))


def sung(lines: Sequence[str], language: str) -> list[Syllable]:
    """Return the syllables of all lines. In a text of mixed languages each line is read in its own."""
    found: list[Syllable] = []
    for number, line in enumerate(lines):
        found += line_syllables(line, line_language(line, language), number)
    return found


def line_language(line: str, language: str) -> str:
    """Return the language of one line: that of the text, unless at least three common words and twice as many say
    another."""
    if language not in LANGUAGES:
        return language
    guessed = guess_language([line])
    if guessed == language or guessed not in LANGUAGES:
        return language
    votes = {one: _votes(line, one) for one in (guessed, language)}
    return guessed if votes[guessed] >= 3 and votes[guessed] >= 2 * votes[language] else language


def _votes(line: str, language: str) -> int:
    return sum(re.sub(r"\W", "", word.lower()) in WEAK_WORDS[language] for word in line.split())


def _english(name: str, n_parts: int) -> tuple[int, ...]:
    levels = [level for piece in name.split("-") if piece for level in pronunciation.stresses(piece)]
    levels = (levels + [0] * n_parts)[:n_parts]
    return tuple(levels) if any(levels) else (2, *levels[1:])


def _romance(name: str, parts: Sequence[str], language: str) -> tuple[int, ...]:
    stressed = _stressed_part(name, parts, language)
    return tuple(2 if i == stressed else 0 for i in range(len(parts)))


def _stressed_part(name: str, parts: Sequence[str], language: str) -> int:
    written = [i for i, part in enumerate(parts) if any(c in _WRITTEN[language] for c in part.lower())]
    if written:
        return written[-1]
    n = len(parts)
    if language == "pt" and any(c in part.lower() for part in parts for c in "ãõ"):
        return max(i for i, part in enumerate(parts) if any(c in part.lower() for c in "ãõ"))
    if n == 1 or _LAST[language].search(name):
        return n - 1
    return n - 2
