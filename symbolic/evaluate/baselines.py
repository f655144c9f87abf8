"""Text that is not music, made from music: what every measure of quality must tell from human tunes.

`shuffled`, `dropped` and `random_characters` keep the header (up to and with the K: line, and the V: lines after it),
the number of tunes and about their length, and spoil the music: its letters and bar lines are as frequent as in the
real tunes, or nearly so. `MarkovChain` writes new text whose every few words are right and whose whole is not: what a
model that has learnt spelling and nothing else would write. `random_pitches` keeps every rhythm and bar line, so that
checks of notation are content, and redraws the notes. `repeated` is good tunes over and over.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from symbolic.tokens.grammar import PATTERN

MARKOV_ORDER = 3  # words before the next one
MOST_WORDS = 2000  # of one tune of a Markov chain
_WORD = re.compile(f"{PATTERN}|.", re.MULTILINE | re.DOTALL)
_NOTE = re.compile(r'(?P<skipped>\[[A-Za-z]:[^\]]*\]|"[^"]*"|![^!\s]*!)|[\^_=]{0,2}[A-Ga-g][,\']*')
_PITCHES = [
    accidental + letter
    for letters in ("CDEFGAB", "cdefgab")
    for letter in letters
    for accidental in ("=", "^")
    if accidental + letter.upper() not in ("^E", "^B")
]
_HEADER = re.compile(r"(?:[A-Za-z]:[^\n]*\n)*")


def shuffle(text: str, rng: random.Random) -> str:
    """Put the characters of the music in random order."""
    header, music = _parts(text)
    characters = list(music)
    rng.shuffle(characters)
    return header + "".join(characters) + "\n"


def drop(text: str, rng: random.Random, share: float = 0.05) -> str:
    """Leave out each character of the music with probability `share`."""
    header, music = _parts(text)
    return header + "".join(c for c in music if rng.random() >= share) + "\n"


def random_characters(text: str, rng: random.Random, alphabet: Sequence[str]) -> str:
    """Replace the music by as many characters, each drawn evenly from `alphabet`."""
    header, music = _parts(text)
    return header + "".join(rng.choices(alphabet, k=len(music))) + "\n"


def random_pitches(text: str, rng: random.Random) -> str:
    """Redraw every note's pitch evenly from two chromatic octaves on middle C; lengths, bars and ties stay."""
    header, music = _parts(text)
    return header + _NOTE.sub(lambda match: match["skipped"] or rng.choice(_PITCHES), music) + "\n"


def repeat(texts: Sequence[str], n: int, rng: random.Random, n_different: int = 10) -> list[str]:
    """Return n texts of which only `n_different` are different: what a collapsed model would write."""
    some = rng.sample(list(texts), min(n_different, len(texts)))
    return [some[number % len(some)] for number in range(n)]


def alphabet(texts: Sequence[str]) -> list[str]:
    """Return the characters of the music of a set, sorted."""
    return sorted(set().union(*(_parts(text)[1] for text in texts)))


class MarkovChain:
    """Counts of the word that follows each `order` words of canonical text, words being those of the grammar tokenizer
    (a metre line, an accidental, a pitch, a length, a bar line...); a tune is drawn from its first word to its end.

    A. A. Markov, 1913; for melodies F. P. Brooks et al., "An experiment in musical composition", 1957.
    """

    def __init__(self, texts: Iterable[str], order: int = MARKOV_ORDER) -> None:
        self.order = order
        counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            words = [*[""] * order, *_WORD.findall(text), ""]  # "" stands before the beginning and for the end
            for place in range(order, len(words)):
                counts[tuple(words[place - order : place])][words[place]] += 1
        self._choices = {context: (list(found), list(found.values())) for context, found in counts.items()}

    def draw(self, rng: random.Random) -> str:
        """Draw one text of at most MOST_WORDS words."""
        words = [""] * self.order
        while len(words) < self.order + MOST_WORDS:
            following, weights = self._choices[tuple(words[-self.order :])]
            word = rng.choices(following, weights)[0]
            if not word:
                break
            words.append(word)
        return "".join(words)


def _parts(text: str) -> tuple[str, str]:
    """Split a tune into its header lines and its music, line ends removed (voices run together: it is to be spoilt
    anyway)."""
    match = _HEADER.match(text)
    assert match is not None
    return match[0], text[match.end() :].replace("\n", "")
