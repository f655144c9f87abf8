"""What pages and players leave in lyrics that were copied from them, and nobody sings: found, taken out and counted.

    contributors      `12 ContributorsMy Song Lyrics`, `Translations`, `My Song Lyrics` in front of a header
    advertisements    `You might also like`, `See Ana LiveGet tickets as low as $50`
    embed marks       `45Embed` at the end, `Share URL`, `Copy`
    credits           `[Produced by …]`, `[Letra de …]`, `Submitted by …`, `Writer(s): …`, addresses of pages
    file tags         `[ar:Ana]`, `[offset:+100]` of an LRC file
    time stamps       `[00:12.00]`, `[1:02]`
    repeat marks      `(x2)`, `(2x)`, `(bis)`, `(twice)`; lines such as `Repeat chorus 3x`, `Repeat to fade`
    stage directions  `[?]`, `[laughs]`, `[inaudible]`, `(spoken)`
    joined headers    `for more[Chorus]` becomes two lines (nothing is lost)

Text is as `lyric_text.clean` gives it. Words that could be sung stay: `You might also like the rain`, `Repeat after
me`, `Written by the sea`.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping

_SECTION = (
    r"(?:pre-?|post-?)?(?:chorus|hook|refrain|verse|bridge|intro|outro|refrão|verso|ponte|coro|estribillo|estrofa)"
)
_TIMES = r"(?:[x×]\s?\d{1,2}|\d{1,2}\s?[x×]|\d{1,2} (?:times|vezes|veces)|twice|thrice|bis)"
_REPEAT = r"(?:repeat|repeats|rpt\.?|repete|repetir|repita|repite|se repite)"
_ORDER = r"(?:the|o|a|el|la|os|as|los|las|whole|entire|above|last|previous|first|second|third|1st|2nd|3rd|\d)"
_MORE = rf"(?:{_ORDER}|{_SECTION}s?|{_TIMES}|(?:to|until|till|and|then|'til) (?:the )?(?:fade|end)(?: out)?|\d{{1,2}})"
_PEOPLE = r"(?:writers?|songwriters?|composers?|lyricists?|producers?|publishers?|compositore?s?|autore?s?)"
_WORK = (
    r"(?:produced|prod\.?|written|lyrics?|letra|paroles|songtext|music|translation|tradução|traducción|video|feat\.?|"
    r"ft\.?)"
)
_DIRECTION = (
    r"(?:laugh(?:s|ing|ter)?|risos|risas|inaudible|unintelligible|incomprehensible|spoken(?: word)?|falado|hablado|"
    r"whisper(?:s|ed|ing)?|scream(?:s|ing)?|cough(?:s|ing)?|applause|aplausos|crowd cheer(?:s|ing)?|fade[sd]? out|"
    r"ad[ -]libs?|scat(?:ting)?|humming|music plays|beat drops?)"
)
_RULES: tuple[tuple[str, str, str], ...] = (  # name, pattern, what stands in its place; in the order of use
    ("contributors", r"\A\d[\d,.]* ?Contributors?(?:.{0,400}? Lyrics(?=\W|[A-Z]|$)|[^\[\n]*)", ""),
    ("contributors", r"\A.{1,150} Lyrics(?=\[)", ""),
    ("contributors", r"\A(?:Translations?)(?=[A-Z\n]).*(?:\n|$)", ""),
    ("contributors", r"^.{0,300}\bRead More\s*$", ""),
    ("advertisements", r"See [^\n]{1,80}? ?LiveGet tickets as low as \W{0,2}\d+", "\n"),
    ("advertisements", r"You might also like(?=$|\s*\[|[A-Z])", "\n"),
    ("embed marks", r"(?:(?<![A-Za-z])|(?<=[a-z]))\d*\.?\d+K?Embed\s*\Z|^Embed\s*\Z", ""),
    ("embed marks", r"^(?:Embed|Share URL|Copy|Share|Cancel|How to Format Lyrics:.*)(?:Share URL|Copy|Embed)+\s*$", ""),
    ("file tags", r"^\[(?:ti|ar|al|au|by|lr|re|ve|offset|length|la|id|tool|encoding) ?:[^\]\n]*\]\s*$", ""),
    ("time stamps", r"\[\d{1,3}:\d\d(?:[.:]\d{1,3})?\]\s?", ""),
    ("time stamps", r"^\(?\d{1,2}:\d\d[.:]\d{2,3}\)?\s", ""),
    ("credits", rf"^\[{_WORK}\b[^\]\n]*\]\s*$", ""),
    ("credits", rf"^{_PEOPLE}(?:\(s\))? ?:.*$", ""),
    ("credits", r"^(?:(?:lyrics|words|music|written|composed|produced)(?:,? (?:and |& )?)?)+ by ?:.*$", ""),
    ("credits", r"^(?:submitted|transcribed|contributed|lyrics provided|lyrics powered|corrected) by .*$", ""),
    ("credits", r"^(?:lyrics )?licensed (?:and|&) provided by .*$|^.*not for commercial use.*$", ""),
    ("credits", r"\(?(?:source|from|fonte|fuente)? ?:? ?(?:https? ?: ?//|www\.)\S+\)?", ""),
    ("repeat marks", rf"^{_REPEAT}(?: {_MORE})*[.!:]?\s*$", ""),
    ("repeat marks", rf"^({_SECTION}) ?[\[(]? ?(?:{_TIMES}|repeats?|again) ?[\])]?\s*$", r"\1"),
    ("repeat marks", rf"[\[(] ?(?:{_REPEAT}\b[^\])\n]{{0,30}}|{_TIMES}) ?[\])]", ""),
    ("repeat marks", r"(?<=\S) [x×] ?\d{1,2}(?=\s*$|\])|(?<=\S) \d{1,2}[x×](?=\s*$|\])", ""),
    ("stage directions", rf"[\[(]\s?(?:\?+|\.+|{_DIRECTION})\s?[\])]", ""),
)
_EXACT = ("contributors", "advertisements", "embed marks")  # as their page writes them, letter for letter
_PATTERNS = [
    (name, re.compile(pattern, re.MULTILINE | (0 if name in _EXACT else re.IGNORECASE)), new)
    for name, pattern, new in _RULES
]
_TAKEN = "\0"  # marks where something stood, so that a line of nothing else leaves no blank one
_BRACKETS = re.compile(r"\[([^\]\n]{1,80})\]")


def without_residue(text: str, is_header: Callable[[str], bool]) -> tuple[str, Counter[str]]:
    """Take out what nobody sings; return the text and how often each kind was found.

    `is_header` tells of the text between brackets whether it names a section: such a header gets a line of its own.
    """
    counts: Counter[str] = Counter()
    for name, pattern, new in _PATTERNS:
        text, n = pattern.subn(_TAKEN + new, text)
        counts[name] += n
    text, counts["joined headers"] = _parted_headers(text, is_header)
    kept = (line for line in text.split("\n") if _TAKEN not in line or line.strip(_TAKEN + " "))
    lines = (re.sub(r" +", " ", line.replace(_TAKEN, "")).strip() for line in kept)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), +counts


def told(counts: Mapping[str, int]) -> list[str]:
    """Return a note on what was taken out; none where nothing was."""
    taken = {name: n for name, n in counts.items() if name != "joined headers"}
    if not taken:
        return []
    return [
        "what nobody sings was taken out of the words: " + ", ".join(f"{n} {name}" for name, n in taken.items()) + "."
    ]


def _parted_headers(text: str, is_header: Callable[[str], bool]) -> tuple[str, int]:
    """Return headers glued to a line before or after them on lines of their own."""
    n_parted = 0
    lines: list[str] = []
    for line in text.split("\n"):
        start = 0
        for match in _BRACKETS.finditer(line):
            if is_header(match[1]) and match[0] != line.strip(_TAKEN + " "):
                n_parted += 1
                lines += [part for part in (line[start : match.start()].strip(), match[0]) if part]
                start = match.end()
        if start == 0 or line[start:].strip():
            lines.append(line[start:].strip() if start else line)
    return "\n".join(lines), n_parted
