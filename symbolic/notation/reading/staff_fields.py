"""The fields K: and V:, which hold a key or a name and properties of the staff (ABC 2.1, 3.1.14, 4.6 and 7.1).

K:Ador clef=bass octave=-1      K:D ^g_b      K:C exp ^f      K:clef=alto transpose=-2    V:1 name="Flute" treble-8
"""

import re
from dataclasses import dataclass, field, replace

from symbolic.notation.theory import ACCIDENTAL_VALUE, LETTERS, MODES, Key, NotationError, parse_key

_WORD = re.compile(r'([A-Za-z]+)\s*=\s*("[^"]*"?|[^\s"]+)|"[^"]*"?|[^\s"]+')
_CLEF = re.compile(
    r"(treble|bass|alto|tenor|soprano|mezzosoprano|baritone|perc(?:ussion)?|none|auto)(\d?)([+\-^_](?:8|15))?"
)
_CLEF_LETTER = re.compile(r"([GFCP])(\d?)(?:,|')?([+\-^_](?:8|15))?")
_OF_LETTER = {"G": "treble", "F": "bass", "C": "alto", "P": "perc"}
_LIKE = {"soprano": "treble", "mezzosoprano": "alto", "baritone": "bass", "percussion": "perc", "none": "", "auto": ""}
_PROPERTY_NAMES = """clef octave transpose t middle m stafflines staffscale stem style name nm subname snm sname score
sound shift gchord gstem dyn lyrics instrument merge scale bracket brace cue map nmspace spn space microscale program"""
_PROPERTIES = frozenset(_PROPERTY_NAMES.split())
_SIGNS = str.maketrans({"♯": "^", "♭": "_", "♮": "="})


@dataclass(frozen=True)
class StaffProperties:
    """What a K: or V: field says of the staff; None where it says nothing. `octaves` are those of octave= and of the
    clef's sign together, `semitones` those of transpose=."""

    clef: str | None = None
    octaves: int | None = None
    semitones: int | None = None
    title: str | None = None
    short_title: str | None = None


@dataclass(frozen=True)
class KeyField:
    """A K: field: its key (None where only the staff changes), accidentals beside its own by letter, the staff."""

    key: Key | None
    accidentals: dict[str, int] = field(default_factory=dict)
    staff: StaffProperties = StaffProperties()


def read_key_field(value: str, line: int | None = None) -> KeyField:
    """Read the value of a K: field. An empty one, `none` and a clef alone in a header are C major without a signature.

    Raises NotationError `bad_key`, `microtone`, `bad_octave`.
    """
    value = re.sub(r"^(\s*[A-Ga-g])([♯♭])", lambda m: m[1] + {"♯": "#", "♭": "b"}[m[2]], value).translate(_SIGNS)
    value = re.sub(r"\s*=\s*(?=[^\s=])(?<=[A-Za-z]=)", "=", value)
    words, staff = _split(value, line)
    text = " ".join(words)
    if re.search(r"[\^_]{1,2}\d*/", text):
        raise NotationError("microtone", f"K:{value.strip()} has quarter tones; notes here are semitones.", line)
    accidentals = {
        letter.upper(): ACCIDENTAL_VALUE[sign] for sign, letter in re.findall(r"(\^\^?|__?|=)\s*([A-Ga-g])", text)
    }
    name = re.split(r"[\^_=]", text)[0].strip()
    if name.endswith(" exp") or name == "exp":
        signature = dict.fromkeys(LETTERS, 0) | accidentals
        name = name.removesuffix("exp").strip()
    elif not name and not accidentals:
        return KeyField(None if staff != StaffProperties() else Key("C"), {}, staff)
    else:
        key = parse_key(name or "none", line)
        if not accidentals:
            return KeyField(key, {}, staff)
        signature = key.accidentals | accidentals
    return _signed(name, signature, staff, line)


def read_voice_field(value: str, line: int | None = None) -> tuple[str, str, StaffProperties]:
    """Read the value of a V: field: the voice's identifier, further words, and its staff. Raises NotationError
    `bad_octave`.

    Among words that are a name for people (`V:T Tenor und Bass`), none is a clef; they are the title if no other is
    given.
    """
    match = re.match(r"\s*(\"[^\"]*\"|[^\s\"]+)\s*(.*)", value, re.DOTALL)
    if match is None:
        return "", "", StaffProperties()
    name, rest = match[1].strip('"'), re.sub(r"\s*=\s*", "=", match[2])
    words, staff = _split(rest, line)
    if all(word.lower() in _PROPERTIES | {"up", "down"} for word in words):
        return name, "", staff
    text = " ".join(found[0] for found in _WORD.finditer(rest) if not found[1] and found[0][0] != '"')
    staff = _split(" ".join(found[0] for found in _WORD.finditer(rest) if found[1]), line)[1]
    title = text if name.isdigit() else f"{name} {text}"
    return name, text, replace(staff, title=staff.title or title)


def _signed(name: str, signature: dict[str, int], staff: StaffProperties, line: int | None) -> KeyField:
    """The key with a signature: the one named where it fits, else any on its tonic, else the major key that has it,
    else the one named with accidentals beside it."""
    named = parse_key(name or "none", line)
    candidates = [named, *(Key(named.tonic, mode) for mode in MODES if name not in ("", "none"))]
    candidates += [Key(tonic + sign) for sign in ("", "#", "b") for tonic in LETTERS]
    for key in candidates:
        if abs(key.sharps) <= 7 and key.accidentals == signature:
            return KeyField(key, {}, staff)
    extra = {letter: value for letter, value in signature.items() if named.accidentals[letter] != value}
    return KeyField(named, extra, staff)


def _split(value: str, line: int | None) -> tuple[list[str], StaffProperties]:
    """The words that belong to the key, and the properties among the others."""
    words: list[str] = []
    named: dict[str, str] = {}
    clef = ""
    for match in _WORD.finditer(value):
        if match[1] and match[1].lower() in _PROPERTIES:
            named[match[1].lower()] = match[2].strip('"')
        elif _CLEF.fullmatch(match[0].lower()) and match[0].lower() != "none":
            clef = match[0].lower()
        elif match[0][0] != '"':
            words.append(match[0])
    return words, _staff(named, named.get("clef", clef), line)


def _staff(named: dict[str, str], clef: str, line: int | None) -> StaffProperties:
    match = _CLEF.match(clef.lower()) or _CLEF_LETTER.match(clef)
    octaves = _number(named["octave"], line) if "octave" in named else None
    name: str | None = None
    if match:
        name = _LIKE.get(match[1], _OF_LETTER.get(match[1], match[1]))
        sign = match[3] or ""
        shift = {"+8": 1, "-8": -1, "+15": 2, "-15": -2}.get(sign, 0)
        octaves = (octaves or 0) + shift if shift or octaves is not None else (0 if sign == "" else None)
        name += sign if name and sign in ("+8", "-8") else ""
    semitones = named.get("transpose", named.get("t", "")) or None
    return StaffProperties(
        name,
        octaves,
        None if semitones is None else _number(semitones, line),
        named.get("name", named.get("nm")),
        named.get("snm", named.get("sname", named.get("subname"))),
    )


def _number(text: str, line: int | None) -> int:
    if not re.fullmatch(r"[+-]?\d{1,2}", text):
        raise NotationError("bad_octave", f"{text!r} is no number of octaves or semitones.", line)
    return int(text)
