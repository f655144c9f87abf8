"""A setting as notation: ABC with `w:` lines, and MusicXML with lyrics.

In ABC every written note has its sign under it: a syllable (`-` joins it to the next of its word), `_` for one that is
held, `*` for a note without words (ABC 2.1, section 5.1). In MusicXML a syllable has `syllabic` single, begin, middle
or end, and `extend` where it is held.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from xml.etree import ElementTree

from audio_bridge.lyrics.setting.word_setting import Label, Setting
from symbolic.notation import abc_parser
from symbolic.notation.score import Note
from symbolic.notation.theory import TICKS_PER_WHOLE

_FORBIDDEN = re.compile(r"[-_*~|\\%\s]+")  # what w: reads as its own signs


def abc(setting: Setting, *, number: int = 1, fields: Mapping[str, str] | None = None) -> str:
    """The tune as ABC for people, each line of music with its line of words."""
    lyrics = setting.lyrics
    given = {"C": lyrics.artist} if lyrics.artist else {}
    text = abc_parser.pretty(setting.text, number=number, title=lyrics.title, fields={**given, **(fields or {})})
    labels = iter(setting.labels)
    lines: list[str] = []
    in_music = False
    for line in text.splitlines():
        lines.append(line)
        if in_music:
            words = [next(labels) for _ in range(n_notes(line))]
            if any(words):
                lines.append("w: " + words_line(words))
        in_music = in_music or line.startswith("K:")
    return "\n".join(lines) + "\n"


def words_line(labels: list[Label | None]) -> str:
    """The signs of one line of notes."""
    signs = ""
    for label in labels:
        if label is None:
            signs += " * "
        elif label.holds:
            signs += "_"
        else:
            joined = re.search(r"-_*$", signs)
            signs += ("" if joined else " ") + _plain(label.syllable.text) + ("" if label.syllable.ends_word else "-")
    return re.sub(r" +", " ", signs).strip()


def n_notes(line: str) -> int:
    """Notes that a `w:` line counts: a chord is one, graces none."""
    total, inside = 0, ""
    for token in abc_parser.lex(line):
        if token.kind in ("chord_open", "grace_open"):
            total += token.kind == "chord_open"
            inside = token.kind
        elif token.kind in ("chord_close", "grace_close"):
            inside = ""
        elif token.kind == "note" and not inside:
            total += 1
    return total


def musicxml(setting: Setting) -> str:
    """MusicXML 4.0 with a lyric under each note where a syllable begins."""
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml

    text = to_musicxml(setting.score, title=setting.lyrics.title or "untitled")
    head, _, _ = text.partition("<score-partwise")
    root = ElementTree.fromstring(text)
    notes = [e for e in setting.score.voices[0].events if isinstance(e, Note)]
    for label, elements in zip(setting.labels, _grouped(root, notes), strict=True):
        if label is not None and not label.holds:
            elements[0].append(_lyric(setting, label))
    ElementTree.indent(root, "  ")
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def plain_words(setting: Setting) -> str:
    """What is sung, as one line a line: for comparison with what a reader finds."""
    lines: dict[int, str] = {}
    for s in setting.syllables:
        lines[s.line] = lines.get(s.line, "") + s.text + (" " if s.ends_word else "")
    return "\n".join(line.strip() for line in lines.values())


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("", text) or "*"


def _grouped(root: ElementTree.Element, notes: list[Note]) -> Iterator[list[ElementTree.Element]]:
    """The <note> elements of each Note event: a length without a note value is written as several tied ones."""
    divisions = int(root.findtext(".//divisions") or 1)
    elements = iter([e for e in root.iter("note") if e.find("grace") is None and e.find("chord") is None])
    for note in notes:
        left = Fraction(note.ticks * 4, TICKS_PER_WHOLE)
        group: list[ElementTree.Element] = []
        while left > 0:
            element = next(elements)
            if element.find("rest") is not None:
                continue
            group.append(element)
            left -= Fraction(int(element.findtext("duration") or 0), divisions)
        yield group


def _lyric(setting: Setting, label: Label) -> ElementTree.Element:
    lyric = ElementTree.Element("lyric", {"number": "1"})
    before = setting.syllables[label.number - 1] if label.number else None
    inside = before is not None and not before.ends_word
    ends = label.syllable.ends_word
    kind = {(False, True): "single", (False, False): "begin", (True, False): "middle", (True, True): "end"}
    ElementTree.SubElement(lyric, "syllabic").text = kind[inside, ends]
    ElementTree.SubElement(lyric, "text").text = label.syllable.text
    if sum(one is not None and one.number == label.number for one in setting.labels) > 1 and ends:
        ElementTree.SubElement(lyric, "extend")
    return lyric
