"""Chord symbols of MusicXML as ABC spells them: root, kind, altered degrees, bass.

The text that the file shows is kept where ABC holds it; a kind that neither has (Tristan, unknown words) leaves the
symbol out. Roots are moved with the notes of a transposing part.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from symbolic.notation.abc_parser import CHORD_SYMBOL
from symbolic.notation.score import Annotation
from symbolic.notation.theory import FIFTHS

KINDS = {
    "major": "",
    "minor": "m",
    "augmented": "aug",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "m7",
    "diminished-seventh": "dim7",
    "augmented-seventh": "aug7",
    "half-diminished": "m7b5",
    "major-minor": "m(maj7)",
    "major-sixth": "6",
    "minor-sixth": "m6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "m9",
    "dominant-11th": "11",
    "major-11th": "maj11",
    "minor-11th": "m11",
    "dominant-13th": "13",
    "major-13th": "maj13",
    "minor-13th": "m13",
    "suspended-second": "sus2",
    "suspended-fourth": "sus4",
    "power": "5",
    "pedal": "",
}
_SHOWN = {"ø": "m7b5", "ø7": "m7b5", "°": "dim", "o": "dim", "°7": "dim7", "o7": "dim7", "Δ": "maj7", "Δ7": "maj7"}
_ALTERATION = {-1: "b", 0: "", 1: "#"}


def chord_text(element: Element, letters: int, semitones: int) -> str:
    """A `<harmony>` as ABC spells it, moved by letters and semitones; '' where it has no chord that ABC holds."""
    root = _name(element, "root", letters, semitones)
    kind = element.find("kind")
    if not root or kind is None or (kind.text or "").strip() == "none":
        return ""
    bass = _name(element, "bass", letters, semitones)
    named = KINDS.get((kind.text or "").strip())
    shown = re.sub(r"\s", "", kind.get("text") or "").replace("♭", "b").replace("♯", "#").replace("−", "-")
    for suffix in (_SHOWN.get(shown, shown), named) if shown else (named,):
        if suffix is not None:
            text = root + suffix + _degrees(element, suffix) + (f"/{bass}" if bass and bass != root else "")
            if re.fullmatch(CHORD_SYMBOL, text):
                return text
    return ""


def no_chord(element: Element) -> Iterator[Annotation]:
    """The words of a `<harmony>` that says that no chord is played, N.C. unless it has its own."""
    kind = element.find("kind")
    words = " ".join((kind.get("text", "N.C.") if kind is not None else "").replace('"', "\u201d").split())
    if words:
        yield Annotation("^" + words)


def _name(element: Element, part: str, letters: int, semitones: int) -> str:
    """The root or bass: a letter and its accidental."""
    step = (element.findtext(f"{part}/{part}-step") or "").strip()
    if step not in FIFTHS or not step:
        return ""
    try:
        alter = round(float(element.findtext(f"{part}/{part}-alter") or 0))
    except ValueError:
        return ""
    place = FIFTHS.index(step) + 7 * alter + 7 * semitones - 12 * letters  # on the line of fifths
    octave, letter = divmod(place, 7)
    while abs(octave) > 1:  # enharmonic
        octave, letter = divmod(7 * octave + letter - (12 if octave > 0 else -12), 7)
    return FIFTHS[letter] + _ALTERATION[octave]


def _degrees(element: Element, suffix: str) -> str:
    """The degrees that are added or altered and not in the name of the kind: add9, #11, b5."""
    text = ""
    for degree in element.findall("degree"):
        value = (degree.findtext("degree-value") or "").strip()
        alter = (degree.findtext("degree-alter") or "0").strip()
        if (degree.findtext("degree-type") or "").strip() != "subtract" and value and value not in suffix:
            text += {"-1": "b", "1": "#"}.get(alter, "add") + value
    return text
