"""Lyrics as sections of lines: cleaned, parsed from text with `[Verse]` headers, and written back.

Whatever a person pastes becomes plain lines: HTML is unescaped and its tags dropped, control characters, emoji and
other symbols go, quotes and dashes are made plain, Unicode is composed (NFC); what pages and players left behind is
taken out (`scraper_residue`). A line that holds no letter is no line.
Section headers are `[Verse 1]`, `[Chorus: Artist]`, `Refrão:` and their like; their kinds are those of KINDS. Lines
`Title: …`, `Artist: …`, `Genre: …`, `Language: …` at the head of a file are its fields (`headed`).
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from audio_bridge.lyrics.scraper_residue import without_residue
from symbolic.errors import UserError

MAX_CHARACTERS = 400_000  # of one song: two hours of fast rap have a quarter of it
LANGUAGES = ("en", "pt", "es")  # those with rules of syllables, stress and rhyme, and with a writer
KINDS = {
    "intro": ("intro", "introdução", "introducción", "intro"),
    "verse": ("verse", "verso", "estrofe", "estrofa", "strophe", "part"),
    "pre-chorus": ("pre-chorus", "prechorus", "pre chorus", "pré-refrão", "pre-coro", "pre-estribillo", "build"),
    "chorus": ("chorus", "refrain", "hook", "refrão", "coro", "estribillo", "burden"),
    "bridge": ("bridge", "ponte", "puente", "middle eight"),
    "outro": ("outro", "coda", "final", "ending"),
    "instrumental": ("instrumental", "solo", "interlude", "interlúdio", "interludio", "break"),
}
INSTRUMENTAL = ("instrumental break", "instrumental bridge", "guitar solo", "piano solo", "sax solo", "drum solo",
                "solo de guitarra", "break instrumental")  # fmt: skip
FIELDS = ("title", "artist", "genre", "language")
_LANGUAGES = {"english": "en", "portuguese": "pt", "spanish": "es", "português": "pt", "español": "es"}
_FIELD = re.compile(rf"\s*({'|'.join(FIELDS)})[ \t]*:(.*)(?:\n|\Z)", re.IGNORECASE)
_HEADER = re.compile(r"\s*(?:\[(?P<inner>[^\]\n]{1,80})\]|(?P<bare>[^\W\d][^\n:]{1,20}?\s*\d{0,2}):)\s*")
_BARE = re.compile(
    r"\s*(?:(?:pre-?)?chorus|refrain|refrão|estribillo|(?:verse|verso|estrofa|estrofe) ?\d{1,2}|bridge|intro|outro)\s*",
    re.IGNORECASE,
)
_TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*\x07?)")  # colours and titles of a terminal
_COMMON = {
    "en": "the and of to a in my you is i it me that on for with we your all be are was but so when from this",
    "pt": "o a e de que do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das seu sua ou "
    "meu minha eu você quando vou há pra",
    "es": "el la de que y a en un ser se no haber por con su para como estar tener le lo todo pero más mi tu yo los "
    "las una del al es cuando ya muy sin sobre este",
    "de": "und der die das ich ist nicht ein zu den dem du wir mit auf sich wie im am da von des er sie so dein mein",
    "fr": "le la les et je tu il des est pas que qui une du dans pour sur mon ton au aux ne avec nous vous elle ce",
    "it": "il e che di la non è un mi ti per io tu sono con gli della del nel ma più anche questo ho hai come si",
    "nl": "de het een en ik je van niet dat is met op zijn voor maar wij naar dan mijn jij waar als nog geen",
}  # those after Spanish are told apart so that nobody's words are read as English
_SCRIPTS = {"CYRILLIC": "ru", "GREEK": "el", "HEBREW": "he", "ARABIC": "ar", "DEVANAGARI": "hi", "THAI": "th",
            "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh"}  # fmt: skip
_COMMON_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_PLAIN = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-",
                        "—": "-", "−": "-", "‐": "-", "‑": "-", "…": ".", "\u00a0": " ", "\t": " "})  # fmt: skip
SIGNS = "$€£%+@#"  # kept in lines, since they are read as words (`prosody.spoken_words`)
_KEPT_MARKS = frozenset(" '\"-.,;:!?¡¿()[]&/\n")


@dataclass(frozen=True)
class Section:
    """Some lines under one header. `kind` is of KINDS; `label` is the header as people read it, `Verse 1`."""

    kind: str
    label: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Lyrics:
    """The words of a song. `language` is a code such as `en`; the texts are '' where nobody said."""

    sections: tuple[Section, ...]
    language: str = "en"
    title: str = ""
    artist: str = ""
    genre: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Every line, in order."""
        return tuple(line for section in self.sections for line in section.lines)

    @property
    def text(self) -> str:
        """The lyrics with their headers, a blank line between sections."""
        return write(self.sections)


def clean(text: str, kept: str = "") -> str:
    """Clean a text: no HTML, control characters, emoji or other symbols (but those of `kept`); line ends are kept."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"the lyrics have {len(text):,} characters; at most {MAX_CHARACTERS:,} are read. Split them.")
    text = _TERMINAL.sub("", text)
    text = re.sub(r"<br\s*/?>|</p>|</div>", "\n", text, flags=re.IGNORECASE)
    text = re.sub(r"<(script|style)\b.*?</\1\s*>", " ", text, flags=re.IGNORECASE | re.DOTALL)
    text = re.sub(r"<(?:[A-Za-z/!][^<>]{0,500}|\d+:\d\d(?:[.:]\d+)?)>", "", text)
    text = re.sub(r"<[A-Za-z/!][^<>]{0,500}>", "", html.unescape(text))
    text = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = unicodedata.normalize("NFC", text).translate(_PLAIN)
    plain = "".join(c if _is_kept(c) or c in kept else " " for c in text)
    lines = (re.sub(r" +", " ", line).strip() for line in plain.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def clean_line(text: str) -> str:
    """Clean a title, a name or a single line: `clean` without line ends."""
    return re.sub(r"\s+", " ", clean(text)).strip()


def parse(text: str, **fields: str) -> Lyrics:
    """Read lyrics as people write them. `fields` are language (guessed where absent), title, artist, genre.

    Without headers, blank lines part the sections, which are verses; a stanza that comes again is the chorus.
    UserError when no line has a letter.
    """
    plain, _ = without_residue(clean(text, SIGNS), is_header)
    sections = _with_choruses(_numbered(_sections(plain)))
    if not any(section.lines for section in sections):
        raise UserError("the lyrics have no words: give at least one line with letters.")
    language = fields.pop("language", "") or guess_language(line for section in sections for line in section.lines)
    return Lyrics(tuple(sections), language, **{name: clean_line(value) for name, value in fields.items()})


def residue(text: str) -> Counter[str]:
    """Return how often each kind of thing that nobody sings stands in a text; `parse` leaves them out."""
    return without_residue(clean(text, SIGNS), is_header)[1]


def headed(text: str) -> tuple[dict[str, str], str]:
    """Return the fields at the head of a text, '' where it has none (a language as its code), and the words below
    them."""
    fields = dict.fromkeys(FIELDS, "")
    while match := _FIELD.match(text):
        fields[match[1].lower()] = match[2].strip()
        text = text[match.end() :]
    return {**fields, "language": code_of(fields["language"])}, text


def code_of(language: str) -> str:
    """Return the code of a language that is named or has a code already: `Portuguese`, `pt-BR` -> pt; '' where it is
    none."""
    name = language.strip().lower()
    code = _LANGUAGES.get(name, name[:2])
    return code if re.fullmatch("[a-z]{2}", code) else ""


def write(sections: Iterable[Section]) -> str:
    """Return the text that `parse` reads back to the same sections."""
    return "\n\n".join("\n".join([f"[{section.label}]", *section.lines]) for section in sections) + "\n"


def kind_of(header: str) -> str:
    """Return the kind that a header names, '' where it names none: `Verse 2: Ana` -> verse."""
    name = header.lower().split(":")[0].strip()
    name = re.sub(r"[\s\d]+$|^\d+[ºªo.]?\s*", "", name)
    if name in INSTRUMENTAL:
        return "instrumental"
    return next((kind for kind, names in KINDS.items() if name in names), "")


def is_header(inside: str) -> bool:
    """True if the text between brackets names a kind of section: `Chorus`, `Verse 2: Ana`, `Instrumental Break`."""
    return bool(kind_of(inside))


def guess_language(lines: Iterable[str]) -> str:
    """Return the language whose commonest words are most frequent, or the commonest one of a script that is not Latin;
    English where nothing tells."""
    words = [word for line in lines for word in re.findall(r"[^\W\d_]+", line.lower())]
    letters = "".join(words)
    script = _script(letters)
    if script:
        return script
    counts = {language: sum(word in common for word in words) for language, common in _COMMON_WORDS.items()}
    present = set(letters)
    counts["pt"] += 2 * len(present & set("ãõç"))
    counts["es"] += 2 * len(present & set("ñ")) + 2 * sum("¿" in line or "¡" in line for line in lines)
    counts["de"] += 2 * len(present & set("ßäöü"))
    return max(counts, key=lambda language: counts[language]) if any(counts.values()) else "en"


def language_code(text: str) -> str:
    """Return a code as `en` or `fil`, for a command line; ValueError where it is none."""
    if not re.fullmatch(r"[A-Za-z]{2,3}", text):
        raise ValueError(text)
    return text.lower()


def _script(letters: str) -> str:
    """Return the language of most letters' script, '' for Latin ones. Kana tell Japanese from Chinese."""
    names = [unicodedata.name(c, "").split(" ")[0] for c in letters[:2000]]
    foreign = [name for name in names if name in _SCRIPTS]
    if 2 * len(foreign) <= len(names):
        return ""
    kana = {"HIRAGANA", "KATAKANA"} & set(foreign)
    return "ja" if kana else _SCRIPTS[max(set(foreign), key=foreign.count)]


@lru_cache(maxsize=1 << 12)
def words_of(line: str) -> tuple[str, ...]:
    """Return the words of a line as printed, with the punctuation that clings to them; what has no letter joins the
    word before it."""
    words: list[str] = []
    for piece in line.split():
        if piece[0].isalpha() or any(c.isalpha() or c.isdigit() for c in piece):
            words.append(piece)
        elif words:
            words[-1] += piece if piece in ",.;:!?" else ""
    return tuple(words)


def _is_kept(character: str) -> bool:
    """True for letters with their accents, numbers and _KEPT_MARKS; the marks that only shape an emoji go with it."""
    if "\ufe00" <= character <= "\ufe0f":  # variation selectors
        return False
    category = unicodedata.category(character)
    return character in _KEPT_MARKS or (category[0] in "LMN" and category != "Me")


def _sections(text: str) -> list[Section]:
    """Return sections in order; those without a header have an empty label."""
    found: list[tuple[str, str, list[str]]] = []
    fresh = True
    for line in text.split("\n"):
        header = header_of(line)
        if header:
            found.append((*header, []))
            fresh = False
        elif not line:
            fresh = True
        elif any(c.isalpha() for c in line):
            if not found or (fresh and (found[-1][2] and not found[-1][1])):
                found.append(("verse", "", []))
            found[-1][2].append(line)
            fresh = False
    return [Section(kind, label, tuple(lines)) for kind, label, lines in found if lines or kind == "instrumental"]


def header_of(line: str) -> tuple[str, str] | None:
    """Return (kind, label) of a line that is a section's header, None for one that is sung."""
    if _BARE.fullmatch(line):
        return kind_of(line), line.strip().title()
    match = _HEADER.fullmatch(line)
    if not match:
        return None
    name = (match["inner"] or match["bare"]).strip()
    kind = kind_of(name)
    if not kind and match["bare"]:
        return None  # `She said:` is a line
    return kind or "verse", name.split(":")[0].strip().title() or "Verse"


def _numbered(sections: list[Section]) -> list[Section]:
    """Return names for sections without a header."""
    n_verses = 0
    named = []
    for section in sections:
        n_verses += section.kind == "verse"
        named.append(section if section.label else replace(section, label=f"Verse {n_verses}"))
    return named


def _with_choruses(sections: list[Section]) -> list[Section]:
    """Name as chorus a stanza that comes more than once, where no header names one."""
    if any(section.kind == "chorus" for section in sections):
        return sections
    texts = [section.lines for section in sections]
    return [
        replace(one, kind="chorus", label="Chorus") if one.kind == "verse" and texts.count(one.lines) > 1 else one
        for one in sections
    ]


def broken(line: str, n_parts: int) -> list[str]:
    """Cut a line between words into about equal parts, after punctuation where it stands near."""
    words = line.split()
    n_parts = max(1, min(n_parts, len(words)))
    cuts = [0]
    for k in range(1, n_parts):
        ideal = round(k * len(words) / n_parts)
        near = [i for i in (ideal, ideal - 1, ideal + 1) if cuts[-1] < i < len(words)]
        marked = [i for i in near if words[i - 1][-1] in ",.;:!?"]
        cuts.append((marked or near or [ideal])[0])
    return [" ".join(words[a:b]) for a, b in zip(cuts, [*cuts[1:], len(words)]) if words[a:b]]
