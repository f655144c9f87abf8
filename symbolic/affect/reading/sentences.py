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
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[/!?]?[a-zA-Z][^<>]{0,500}>", re.DOTALL | re.IGNORECASE)
_BLOCK = re.compile(r"</?(p|div|br|li|h[1-6]|tr|blockquote|section|article)\b[^<>]*>", re.IGNORECASE)
_NEXT = re.compile(r"\S")
_ENDING = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|\n\s*\n")
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)*|[.,;:!?…—–\"“”()-]|\d+|[^\W\d_]+|[^\s\w]")


class WordToken(NamedTuple):
    """A word in small letters or a sign; `is_negated` inside the scope of a negation."""

    text: str
    is_negated: bool


def plain_text(text: str) -> str:
    """A text without HTML, byte order mark and control characters, in Unicode's composed form."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"</?[a-zA-Z][^<>]{0,500}>", text):
        text = html.unescape(_TAGS.sub(" ", _BLOCK.sub("\n\n", _TAGS_ONLY_CODE.sub(" ", text))))
    text = unicodedata.normalize("NFC", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


_TAGS_ONLY_CODE = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line; those without a letter or digit are joined to the one before."""
    found: list[str] = []
    for piece in _pieces(plain_text(text)):
        line = re.sub(r"\s+", " ", piece).strip()
        if not line:
            continue
        if found and not re.search(r"\w", line):
            found[-1] += f" {line}"
        elif re.search(r"\w", line) or any(unicodedata.category(c) == "So" for c in line):
            found.append(line)
    return found


def tokens(sentence: str) -> list[WordToken]:
    """Words and signs in order, with the scope of negation."""
    found, reach = [], 0
    for match in _WORD.finditer(sentence.lower()):
        text = match[0].replace("’", "'")
        bare = text.replace("'", "")
        if re.fullmatch(r"[.,;:!?…—–()]", text) or text in CONTRASTS:
            reach = 0
        found.append(WordToken(text, reach > 0 and bare not in NEGATIONS))
        reach = max(0, reach - (text[0].isalpha() and bare not in NEGATIONS))
        if bare in NEGATIONS or text.endswith("n't"):
            reach = NEGATION_REACH
    return found


def words(sentence: str) -> list[str]:
    """The words of a sentence in small letters."""
    return [token.text for token in tokens(sentence) if token.text[0].isalpha()]


def _pieces(text: str) -> Iterator[str]:
    start = 0
    for match in _ENDING.finditer(text):
        if match[0][0] != "\n" and _goes_on(text, match):
            continue
        yield text[start : match.end()]
        start = match.end()
    yield text[start:]


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
