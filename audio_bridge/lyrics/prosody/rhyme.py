"""Rhyme: what a word ends in, from its last stressed vowel on, and how a stanza's lines answer each other.

Two words rhyme (perfectly) when those endings are equal and the words are not. Equal vowels alone are assonance, the
common rhyme of Spanish verse. English compares phones; Portuguese and Spanish compare letters that sound alike, which
is close to exact. An unknown English word is compared by its spelling.

Rhyme density: the share of lines whose last word rhymes with that of another line at most WINDOW lines away.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from audio_bridge.lyrics.lyric_text import words_of
from audio_bridge.lyrics.prosody import pronunciation
from audio_bridge.lyrics.prosody.stress import word_stress
from audio_bridge.lyrics.prosody.syllables import syllables

WINDOW = 3
_ALIKE = {
    "es": (("qu", "k"), ("gü", "gw"), ("gu(?=[ei])", "g"), ("c(?=[ei])", "s"), ("z", "s"), ("g(?=[ei])", "j"),
           ("c", "k"), ("ll", "y"), ("v", "b"), ("y$", "i"), ("h", "")),
    "pt": (("qu(?=[ei])", "k"), ("gu(?=[ei])", "g"), ("ch", "x"), ("ç|ss|sc(?=[ei])", "s"), ("c(?=[ei])", "s"),
           ("g(?=[ei])", "j"), ("lh", "ʎ"), ("nh", "ɲ"), ("c", "k"), ("(?<=[aeiou])z$", "s"), ("y", "i"),
           ("l$", "u"), ("(?<=[aei])m$", "n"), ("h", "")),
}  # fmt: skip


@lru_cache(maxsize=50_000)
def ending(word: str, language: str) -> str:
    """Return what a word is compared by: sounds from its last stressed vowel on. '' where it has no letter."""
    name = re.sub(r"^[\W_]+|[\W_]+$", "", word.lower())
    if not name:
        return ""
    if language == "en":
        return _english_ending(name)
    return _written_ending(name, language)


def rhymes(one: str, other: str, language: str) -> bool:
    """Return whether two words (or the last words of two lines) rhyme: equal endings, different words."""
    one, other = last_word(one), last_word(other)
    same = one.lower() == other.lower()
    return not same and bool(ending(one, language)) and ending(one, language) == ending(other, language)


def assonant(one: str, other: str, language: str) -> bool:
    """Return whether the vowels from the last stress on are the same."""
    a, b = (_vowels(ending(last_word(word), language), language) for word in (one, other))
    return bool(a) and a == b


@lru_cache(maxsize=1 << 16)
def last_word(line: str) -> str:
    """Return the last word of a line, without punctuation."""
    words = words_of(line)
    return re.sub(r"^[\W_]+|[\W_]+$", "", words[-1]) if words else ""


def scheme(lines: Sequence[str], language: str) -> str:
    """Return letters for a stanza, `ABAB`; a line that rhymes with none has its own. Equal words get one letter."""
    letters: list[str] = []
    endings: dict[str, str] = {}
    for line in lines:
        key = ending(last_word(line), language) or f"?{len(letters)}"
        endings.setdefault(key, chr(ord("A") + len(endings) % 26))
        letters.append(endings[key])
    return "".join(letters)


def holds(lines: Sequence[str], wanted: str, language: str) -> bool:
    """Return whether lines with equal letters of `wanted` rhyme or repeat a word; X is free."""
    for letter in set(wanted) - {"X"}:
        group = [line for line, one in zip(lines, wanted) if one == letter]
        if len({ending(last_word(line), language) for line in group}) > 1:
            return False
    return True


def density(lines: Sequence[str], language: str) -> float:
    """Return the share of lines that rhyme with a line at most WINDOW away."""
    if not lines:
        return 0.0
    answered = sum(
        any(rhymes(line, other, language) for other in [*lines[max(0, i - WINDOW) : i], *lines[i + 1 : i + 1 + WINDOW]])
        for i, line in enumerate(lines)
    )
    return answered / len(lines)


def _english_ending(name: str) -> str:
    known = pronunciation.phones(name)
    if known is None:
        vowels = [match.start() for match in re.finditer(r"[aeiouy]+(?=[^aeiouy]*(?:e?$|[^aeiouy]))", name)]
        return "~" + name[vowels[-1] if vowels and not name.endswith("e") else (vowels[-2] if len(vowels) > 1 else 0) :]
    stressed = [i for i, phone in enumerate(known) if phone[-1] in "12"] or [
        i for i, phone in enumerate(known) if phone[-1].isdigit()
    ]
    if not stressed:
        return "".join(known)
    return " ".join(phone.rstrip("012") for phone in known[stressed[-1] :])


def _written_ending(name: str, language: str) -> str:
    parts = [part.lower() for part in syllables(name, language)]
    levels = word_stress(name, language)
    stressed = max((i for i, level in enumerate(levels) if level), default=len(parts) - 1)
    tail = parts[stressed][_nucleus(parts[stressed]) :] + "".join(parts[stressed + 1 :])
    for pattern, sound in _ALIKE.get(language, ()):
        tail = re.sub(pattern, sound, tail)
    return _unaccented(tail)


def _nucleus(part: str) -> int:
    """Return where the sounding vowel of a syllable begins: after consonants and the glide of cie-lo, can-ción,
    quan-do."""
    match = re.match(r"(?:[qg]u(?=[aeiouáéíóúâêôãõ])|[^aeiouáéíóúâêôãõàü])*(?:[iuü](?=[aeoáéóâêôã]))?", part)
    return match.end() if match and match.end() < len(part) else 0


def _unaccented(text: str) -> str:
    """Take acute and circumflex off; the tilde is a sound of its own."""
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in apart if c not in "\u0301\u0302\u0300\u0308"))


def _vowels(sounds: str, language: str) -> str:
    if language == "en":
        return " ".join(p for p in sounds.split() if p[0] in "AEIOU")
    return "".join(c for c in sounds if c in "aeiouãõ")
