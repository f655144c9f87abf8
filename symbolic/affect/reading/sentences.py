"""A text as sentences and words: HTML taken off, sentences cut, negation marked.

A sentence ends at . ! ? or … with what closes behind it (quotes, brackets), unless the full stop belongs to an
abbreviation, an initial or a number; an empty line ends one too. Negation reaches from a negating word to the next
comma, semicolon, colon, dash or full stop, to a conjunction of contrast (but, yet, although, ...), and at most
NEGATION_REACH words far.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

MAX_BYTES = 4 * 2**20
NEGATION_REACH = 5  # words
NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nothing",
        "nobody",
        "nowhere",
        "neither",
        "nor",
        "cannot",
        "without",
        "hardly",
        "scarcely",
        "barely",
        "isnt",
        "arent",
        "wasnt",
        "werent",
        "dont",
        "doesnt",
        "didnt",
        "wont",
        "wouldnt",
        "cant",
        "couldnt",
        "shouldnt",
        "hasnt",
        "havent",
        "hadnt",
        "aint",
        "mustnt",
    ]
)
CONTRASTS = frozenset(
    ["but", "yet", "however", "although", "though", "except", "instead", "rather", "nevertheless", "still"]
)
_ABBREVIATIONS = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "rev",
        "st",
        "sgt",
        "capt",
        "lt",
        "col",
        "gen",
        "hon",
        "jr",
        "sr",
        "vs",
        "etc",
        "fig",
        "no",
        "vol",
        "op",
        "ca",
        "approx",
        "dept",
        "est",
        "inc",
        "ltd",
        "co",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "mt",
        "ft",
        "e.g",
        "i.e",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
    ]
)
_TAG = re.compile(r"<[/!?]?[a-zA-Z][^<>]{0,500}>")
_HIDDEN = tuple(  # what a page does not show: where it begins and ends
    (re.compile(begins, re.IGNORECASE), re.compile(ends, re.IGNORECASE))
    for begins, ends in ((r"<script\b", r"</script\s*>"), (r"<style\b", r"</style\s*>"), ("<!--", "-->"))
)
_BLOCK = re.compile(r"</?(p|div|br|li|h[1-6]|tr|blockquote|section|article)\b[^<>]*>", re.IGNORECASE)
_NEXT = re.compile(r"\S")
_ENDING = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’»)\]]*(?=\s|$)|\n\s*\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLOSING = frozenset(".,;:!?…—–()")  # signs that end a negation
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|[.,;:!?…—–\"“”()-]|\d+|[^\W\d_]+|[^\s\w]")


class WordToken(NamedTuple):
    """A word in small letters or a sign; `is_negated` inside the scope of a negation."""

    text: str
    is_negated: bool


def plain_text(text: str) -> str:
    """A text without HTML, byte order mark and control characters, in Unicode's composed form."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"</?[a-zA-Z][^<>]{0,500}>", text):
        for begins, ends in _HIDDEN:
            text = _without(text, begins, ends)
        text = html.unescape(_TAG.sub(" ", _BLOCK.sub("\n\n", text)))
    return _CONTROL.sub("", unicodedata.normalize("NFC", text))


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line; those without a letter or digit are joined to the one before."""
    found: list[list[str]] = []
    for piece in _pieces(plain_text(text)):
        line = " ".join(piece.split())
        has_word = re.search(r"\w", line) is not None
        if found and line and not has_word:
            found[-1].append(line)
        elif has_word or any(unicodedata.category(c) == "So" for c in line):
            found.append([line])
    return [" ".join(lines) for lines in found]


def tokens(sentence: str) -> list[WordToken]:
    """Words and signs in order, with the scope of negation."""
    found, reach = [], 0
    for text in _texts(sentence):
        role, plain, negated = _role(text)
        if role == "negates":
            found.append(plain)
            reach = NEGATION_REACH
            continue
        if role == "ends":
            reach = 0
        found.append(negated if reach > 0 else plain)
        reach -= role == "word"
    return found


def words(sentence: str) -> list[str]:
    """The words of a sentence in small letters."""
    return [text for text in _texts(sentence) if text[0].isalpha()]


def _texts(sentence: str) -> list[str]:
    return _WORD.findall(sentence.lower().replace("’", "'"))


@lru_cache(maxsize=1 << 16)
def _role(text: str) -> tuple[str, WordToken, WordToken]:
    """What a word or sign does to a negation, and its token outside and inside one."""
    pair = (WordToken(text, False), WordToken(text, True))
    if text.replace("'", "") in NEGATIONS or text.endswith("n't"):
        return ("negates", *pair)
    if text in _CLOSING or text in CONTRASTS:
        return ("ends", *pair)
    return ("word" if text[0].isalpha() else "sign", *pair)


def _pieces(text: str) -> Iterator[str]:
    start = 0
    for match in _ENDING.finditer(text):
        if match[0][0] != "\n" and _goes_on(text, match):
            continue
        yield text[start : match.end()]
        start = match.end()
    yield text[start:]


def _without(text: str, begins: re.Pattern[str], ends: re.Pattern[str]) -> str:
    """A text without the parts from a beginning to the next end; a part that has no end stays."""
    kept, at = [], 0
    while (begin := begins.search(text, at)) and (end := ends.search(text, begin.end())):
        kept.append(text[at : begin.start()])
        at = end.end()
    return " ".join([*kept, text[at:]])


def _goes_on(text: str, match: re.Match[str]) -> bool:
    """Whether a full stop does not end the sentence: an abbreviation, an initial, or small letters after a quote."""
    before = re.search(r"([A-Za-z.]+)$", text[max(0, match.start() - 12) : match.start()])
    found = _NEXT.search(text, match.end())
    following = found[0] if found else ""
    if match[0][0] != "." or match[0][:3] == "...":
        return following.islower()
    if before is None:
        return following.islower()
    word = before[1]
    if word.lower() in _ABBREVIATIONS and (word[0].isupper() or following.islower() or following.isdigit()):
        return True
    return (len(word) == 1 and word.isupper() and word != "I") or following.islower()
