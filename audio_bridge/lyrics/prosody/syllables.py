"""Syllables of written words: where English, Portuguese and Spanish words part, so that each part can go under a note.

The parts of a word joined give the word back, letter for letter. English takes the number of syllables from the CMU
Pronouncing Dictionary (or from its spelling, where it is not there) and the places from `pyphen`'s hyphenation where
that knows one between two vowels, else from the consonants. Portuguese and Spanish follow their own rules of division,
which are nearly exact. Other languages and scripts part before each consonant and vowel, where letters that stand for
one sound (sch, ch, ck, ph, th) stay together; a Chinese, Japanese or Korean character is a syllable.

Spanish: Real Academia Española, Ortografía (2010), chapter on syllabic division. Portuguese: Acordo Ortográfico (1990),
Base XX, and Bechara, Moderna Gramática Portuguesa.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from audio_bridge.lyrics.prosody.pronunciation import n_syllables

_VOWELS = "aeiouyáéíóúàèìòùâêîôûãõäëïöüåæøœ"
_ONSETS = {
    "en": {"bl", "br", "ch", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "ph", "pl", "pr", "sc", "sh", "sk", "sl", "sm",
           "sn", "sp", "st", "sw", "th", "tr", "tw", "wh", "wr", "qu", "str", "spr", "spl", "scr", "thr", "shr", "squ"},
    "es": {"bl", "br", "ch", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "gu", "ll", "pl", "pr", "qu", "rr",
           "tr"},
    "pt": {"bl", "br", "ch", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "gu", "lh", "nh", "pl", "pr", "qu", "tl",
           "tr", "vl", "vr"},
}  # fmt: skip
_OTHER_ONSETS = {"bl", "br", "ch", "ck", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "ph", "pl", "pr", "qu", "sch", "th",
                 "tr"}  # fmt: skip
_STRONG = {"es": "aeoáéóàèòâêôãõ", "pt": "aeoáéóàâêôãõ"}
_ACCENTED_WEAK = "íú"


@lru_cache(maxsize=50_000)
def syllables(word: str, language: str = "en") -> tuple[str, ...]:
    """Return the parts of one written word; punctuation that clings to it stays with the first or last part."""
    match = re.search(r"[^\W_](?:.*[^\W_])?", word)
    if match is None:
        return (word,)
    core = match[0]
    parts = [part for piece in _pieces(core) for part in _parts(piece, language)]
    parts[0] = word[: match.start()] + parts[0]
    parts[-1] += word[match.end() :]
    return tuple(parts)


def _pieces(core: str) -> list[str]:
    """Return a compound's words, each hyphen with the word before it."""
    pieces = re.findall(r"[^-]+-*", core)
    return pieces or [core]


def _parts(word: str, language: str) -> list[str]:
    letters = word.lower()
    if any(_is_ideograph(c) for c in word):
        return re.findall(r"^[\W_]*[^\W_][\W_]*|[^\W_][\W_]*", word) or [word]
    if language == "en":
        return _english(word)
    nuclei = _romance_nuclei(letters, language) if language in _STRONG else _vowel_groups(letters)
    return _cut(word, [_boundary(letters, a[1], b[0], language) for a, b in pairwise(nuclei)])


def _cut(word: str, places: list[int]) -> list[str]:
    """Return the word parted at places, none of its parts empty: places at its ends, or the same one twice, part
    nothing."""
    edges = sorted({0, *(min(max(place, 0), len(word)) for place in places), len(word)})
    return [word[a:b] for a, b in pairwise(edges)]


def _boundary(letters: str, end: int, start: int, language: str) -> int:
    """Return where to part between two nuclei: letters[end:start] are the consonants between them. The longest onset
    that the language has goes with the second vowel."""
    onsets = _ONSETS.get(language, _OTHER_ONSETS)
    consonants = letters[end:start]
    if len(consonants) <= 1:
        return end
    for length in (3, 2):
        if length <= len(consonants) and consonants[-length:] in onsets:
            return start - length
    return start - 1


# --- Portuguese and Spanish ------------------------------------------------------------------------------------------


def _romance_nuclei(letters: str, language: str) -> list[tuple[int, int]]:
    """Return (start, end) of each syllable's vowels. The u of qu and gu belongs to the consonant before a vowel."""
    vowels = [_is_vowel_at(letters, i, language) for i in range(len(letters))]
    nuclei: list[tuple[int, int]] = []
    position = 0
    while position < len(letters):
        if not vowels[position]:
            position += 1
            continue
        end = position + 1
        while end < len(letters) and vowels[end] and _joins(letters, position, end, language):
            end += 1
        nuclei.append((position, end))
        position = end
    return nuclei or [(0, len(letters))]


def _is_vowel_at(letters: str, i: int, language: str) -> bool:
    c = letters[i]
    following = letters[i + 1 : i + 2]
    if c == "u" and i and letters[i - 1] in "qg" and following and following in "aeiouáéíóúâêôãõ":
        return False
    if c == "y":
        return not (following and following in _VOWELS)
    return c in _VOWELS


def _joins(letters: str, start: int, i: int, language: str) -> bool:
    """Return whether the vowel at i belongs to the syllable whose vowels began at start."""
    before, vowel = letters[i - 1], letters[i]
    if language == "es":
        return _joins_spanish(before, vowel)
    return _joins_portuguese(letters, start, i)


def _joins_spanish(before: str, vowel: str) -> bool:
    strong = _STRONG["es"]
    if vowel in _ACCENTED_WEAK:
        return before in "iuü"
    if before in _ACCENTED_WEAK:
        return vowel in "iuy" and before != vowel
    if before in strong and vowel in strong:
        return False
    return before != vowel


def _joins_portuguese(letters: str, start: int, i: int) -> bool:
    before, vowel, rest = letters[i - 1], letters[i], letters[i + 1 :]
    if before in "ãõ":
        return vowel in "oei"
    if vowel in "iu":
        if before == vowel or i - start > 1 or re.match(r"iu$", letters[i : i + 2]):
            return False
        if before in "iu" and not rest:
            return True
        hiatus = rest.startswith("nh") or bool(re.match(r"[lmnrz]($|[^aeiouáéíóúâêôãõ])", rest))
        plural = bool(re.match(r"[mn]s$", rest))
        return not (hiatus or plural) and before not in _ACCENTED_WEAK
    if letters in ("ao", "aos"):
        return True
    rising = (
        before in "iu" and vowel in "aeo" and re.fullmatch(r"s?", rest) and re.search(r"[áéíóúâêô]", letters[:start])
    )
    return bool(rising) or (before == "u" and vowel in "aeo" and start > 0 and letters[start - 1] in "qg")


# --- English ---------------------------------------------------------------------------------------------------------


def _english(word: str) -> list[str]:
    letters = _bare(word.lower())
    wanted = n_syllables(word)
    nuclei = _fitted(letters, _english_nuclei(letters), wanted)
    hyphens = _hyphens(word)
    places = []
    for (_, end), (start, _) in pairwise(nuclei):
        known = [place for place in hyphens if end <= place <= start]
        if letters[end:] in ("nging", "ngin"):
            known = [end + 2]
        places.append(known[0] if known else _boundary(letters, end, start, "en"))
    return _cut(word, places)


def _english_nuclei(letters: str) -> list[tuple[int, int]]:
    """Return vowel groups, without the silent e at the end and without the y and u that stand for consonants."""
    nuclei = [match.span() for match in re.finditer(r"(?<!q)[aeiou]+y?(?![a-z])|(?:(?<=q)u)?[aeiou]+|y", letters)]
    nuclei = [span for span in nuclei if not (letters[span[0]] == "y" and span[0] == 0 and len(letters) > 1)]
    return nuclei or [(0, len(letters))]


def _fitted(letters: str, nuclei: list[tuple[int, int]], wanted: int) -> list[tuple[int, int]]:
    """Fit the nuclei to the number of syllables: drop silent ones from the end, part long ones."""
    nuclei = list(nuclei)
    if len(nuclei) == wanted and _ends_silent(letters, nuclei) and any(b - a > 1 for a, b in nuclei[:-1]):
        nuclei.pop()  # sci-ence, vi-o-lence: the last vowel written is silent, two of the others are apart
    while len(nuclei) > wanted:
        silent = [i for i, (a, b) in enumerate(nuclei) if letters[a:b] == "e" and i and _is_silent(letters, b)]
        nuclei.pop(silent[-1] if silent else len(nuclei) - 1)
    while len(nuclei) < wanted:
        long = [i for i, (a, b) in enumerate(nuclei) if b - a > 1]
        if not long:
            return _spread(letters, nuclei, wanted)
        a, b = nuclei[long[-1]]
        nuclei[long[-1] : long[-1] + 1] = [(a, a + 1), (a + 1, b)]
    return nuclei


def _ends_silent(letters: str, nuclei: list[tuple[int, int]]) -> bool:
    """Return whether the last vowels are a mute e, as in science and dialogue; that of table sounds."""
    return (
        len(nuclei) > 1 and bool(re.search(r"([^aeiou]e|[gq]ue)$", letters)) and not re.search(r"[^aeiou]le$", letters)
    )


def _is_silent(letters: str, end: int) -> bool:
    rest = letters[end:]
    return rest in ("", "s", "d") or bool(re.match(r"(ly|ment|ful|less|ness|where|thing|some)", rest)) or len(rest) > 2


def _spread(letters: str, nuclei: list[tuple[int, int]], wanted: int) -> list[tuple[int, int]]:
    """Return syllables that the spelling does not show, as in rhythm: parted evenly behind the last vowel."""
    last = nuclei[-1][1]
    room = len(letters) - last
    extra = min(wanted - len(nuclei), max(0, room))
    return nuclei + [(last + (k + 1) * room // (extra + 1), last + (k + 1) * room // (extra + 1)) for k in range(extra)]


@lru_cache(maxsize=1)
def _hyphenator():  # type: ignore[no-untyped-def]
    import pyphen

    return pyphen.Pyphen(lang="en_US")


def _hyphens(word: str) -> list[int]:
    return [int(place) for place in _hyphenator().positions(word)]


def _bare(letters: str) -> str:
    """Take accents off, leaving one letter for each (naïve -> naive)."""
    return "".join((unicodedata.normalize("NFD", c)[0]) for c in letters)


# --- other languages -------------------------------------------------------------------------------------------------


def _vowel_groups(letters: str) -> list[tuple[int, int]]:
    """Return nuclei: vowels that stand together; of Cyrillic each on its own, where only \u0439 makes a diphthong."""
    bare = "".join(c if c == "\u0439" else _bare(c) for c in letters)
    found = [match.span() for match in re.finditer(r"[aeiouyαεηιουω]+|[аеиоуыэюяіє]", bare)]
    return found or [(0, len(letters))]


def _is_ideograph(character: str) -> bool:
    name = unicodedata.name(character, "")
    return name.startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA", "HANGUL SYLLABLE"))
