"""A setting as notation: ABC with `w:` lines, and MusicXML with lyrics.

In ABC every written note has its sign under it: a syllable (`-` joins it to the next of its word), `_` for one that is
held, `*` for a note without words (ABC 2.1, section 5.1). In MusicXML a syllable has `syllabic` single, begin, middle
or end, and `extend` where it is held.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from xml.etree import ElementTree

from audio_bridge.lyrics.setting.word_setting import Label, Setting
from symbolic.notation import abc_parser
from symbolic.notation.layout import laid_out
from symbolic.notation.play_order import jump_signs
from symbolic.notation.score import Bar, Event, Note, PartMark, Score
from symbolic.notation.theory import TICKS_PER_WHOLE, Meter

_NOT_KEPT_FIELDS = "XTMLKVIUPQW"  # of the tune's header: those that the setting has anew
BARS = 4  # bar lines in a line of music, at least
_TRAILING = ("space", "rest", "bar", "tie", "slur_close", "broken")  # what may stand behind a line's last note
_FORBIDDEN = re.compile(r"[-_*~|\\%\s]+")  # what w: reads as its own signs


def abc(
    setting: Setting, *, number: int = 1, fields: Mapping[str, str] | None = None, bars: int = BARS, parts: bool = False
) -> str:
    """Return the tune as ABC for people, words below: a line of music ends where a line of words does, after `bars` bar
    lines or more, and where a section does. With `parts` a P: line names each section where it begins."""
    lyrics = setting.lyrics
    given: dict[str, str | Sequence[str]] = {
        letter: lines for letter, lines in setting.score.fields.items() if letter not in _NOT_KEPT_FIELDS
    }
    given |= {"C": lyrics.artist} if lyrics.artist else {}
    text = laid_out(_unsung(setting.score), number=number, title=lyrics.title, fields={**given, **(fields or {})})
    head, _, music = text.partition("\nK:")
    key, _, music = music.partition("\n")
    lines = [*head.splitlines(), f"K:{key}"]
    starts = _section_lines(setting)
    named: set[int] = set()
    for system in _systems(music, setting, bars, starts):
        own = [label for label in system.labels if label is not None]
        begun = next((label.syllable.line for label in own if label.syllable.line in starts), None)
        if parts and begun is not None and begun not in named:
            lines.append(f"P:{starts[begun]}")
            named.add(begun)
        lines.append(system.music)
        if own:
            lines.append("w: " + words_line(system.labels))
    return "\n".join(lines) + "\n"


def _unsung(score: Score) -> Score:
    """Return the score without its own words, lines and parts: it has been written out, and its lines are those of the
    lyrics. Annotations, tempo changes and dynamics stay."""
    events: list[Event] = []
    for event in score.voices[0].events:
        if isinstance(event, Note):
            events.append(replace(event, syllables=()))
        elif isinstance(event, Bar):
            events.append(replace(event, line_end=False))
        elif not isinstance(event, PartMark) and not jump_signs(event):
            events.append(event)
    return replace(score, voices=[replace(score.voices[0], events=events)])


@dataclass(frozen=True)
class _System:
    """A line of music and what is sung on its notes."""

    music: str
    labels: list[Label | None]


def _systems(music: str, setting: Setting, bars: int, starts: Container[int]) -> Iterator[_System]:
    """Yield music cut behind the rest or bar line that follows the last note of a line of words, so a pick-up stands
    with its own line. `starts` are the lines of words that sections begin with, each of which begins a system."""
    labels = list(setting.labels)
    text, start, place, n_bars, is_open, ended, section_ended = "", 0, 0, 0, "", False, False
    for token in (token for line in music.splitlines() for token in abc_parser.lex(line)):
        if ended and not is_open and token.kind not in _TRAILING:
            if n_bars >= bars or section_ended:
                yield _System(text.strip(), labels[start:place])
                text, start, n_bars = "", place, 0
            ended = section_ended = False
        text += token.text
        if token.kind in ("grace_open", "chord_open"):
            is_open = token.kind
        elif token.kind == "bar":
            n_bars += place > start
            unsung = place > 0 and labels[place - 1] is None
            ended = ended or n_bars >= 2 * bars or (n_bars >= bars and unsung)
        if token.kind == "chord_close" or (token.kind == "note" and not is_open):
            label, after = labels[place], labels[place + 1] if place + 1 < len(labels) else None
            last_of = label.syllable.line if label is not None and label.syllable.ends_line else None
            ended = (ended or last_of is not None) and not (after and after.holds)
            section_ended = ended and (section_ended or (last_of is not None and last_of + 1 in starts))
            place += 1
        if token.kind in ("grace_close", "chord_close"):
            is_open = ""
    if text.strip():
        yield _System(text.strip(), labels[start:place])


def _section_lines(setting: Setting) -> dict[int, str]:
    """Map the number of each section's first line to its name."""
    found, line = {}, 0
    for section in setting.lyrics.sections:
        if section.lines:
            found[line] = section.label
        line += len(section.lines)
    return found


def words_line(labels: list[Label | None]) -> str:
    """Return the signs of one line of notes."""
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


def tempo_field(qpm: float, meter: Meter) -> str:
    """Return the value of a Q: field for a tempo in quarters a minute: in dotted quarters where the meter has them."""
    return f"3/8={qpm * 2 / 3:.10g}" if meter.is_compound and meter.denominator == 8 else f"1/4={qpm:g}"


def musicxml(setting: Setting, qpm: float | None = None, instrument: str = "", composer: str = "") -> str:
    """Return MusicXML 4.0 with a lyric under each note where a syllable begins, and tempo, part name and General MIDI
    instrument where they are given."""
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml

    fields = {**setting.score.fields, **({"Q": [tempo_field(qpm, setting.score.meter)]} if qpm is not None else {})}
    score = replace(setting.score, fields=fields)
    text = to_musicxml(score, title=setting.lyrics.title or "untitled", composer=composer or setting.lyrics.artist)
    head, _, _ = text.partition("<score-partwise")
    root = ElementTree.fromstring(text)
    if instrument:
        _name_part(root, instrument)
    for note in root.iter("note"):  # the setting's words stand in place of the tune's own
        for lyric in note.findall("lyric"):
            note.remove(lyric)
    notes = [e for e in setting.score.voices[0].events if isinstance(e, Note)]
    n_notes = Counter(label.number for label in setting.labels if label is not None)
    for label, elements in zip(setting.labels, _grouped(root, notes), strict=True):
        if label is not None and not label.holds:
            elements[0].append(_lyric(setting, label, is_held=n_notes[label.number] > 1))
    ElementTree.indent(root, "  ")
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def plain_words(setting: Setting) -> str:
    """Return what is sung, as one line a line: for comparison with what a reader finds."""
    lines: dict[int, str] = {}
    for s in setting.syllables:
        lines[s.line] = lines.get(s.line, "") + s.text + (" " if s.ends_word else "")
    return "\n".join(line.strip() for line in lines.values())


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("", text) or "*"


def _grouped(root: ElementTree.Element, notes: list[Note]) -> Iterator[list[ElementTree.Element]]:
    """Yield the <note> elements of each Note event: a length without a note value is written as several tied ones."""
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


def _name_part(root: ElementTree.Element, instrument: str) -> None:
    """Set the first part's name and its instrument; programs count from 1 in MusicXML."""
    from audio_bridge.render.instruments import PROGRAMS, program

    number = program(instrument)
    part = root.find("part-list/score-part")
    assert part is not None
    name = part.find("part-name")
    assert name is not None
    name.text = "Voice"
    sounding = ElementTree.SubElement(part, "score-instrument", id="P1-I1")
    ElementTree.SubElement(sounding, "instrument-name").text = PROGRAMS[number].capitalize()
    played = ElementTree.SubElement(part, "midi-instrument", id="P1-I1")
    ElementTree.SubElement(played, "midi-channel").text = "1"
    ElementTree.SubElement(played, "midi-program").text = str(number + 1)


def _lyric(setting: Setting, label: Label, is_held: bool) -> ElementTree.Element:
    lyric = ElementTree.Element("lyric", {"number": "1"})
    before = setting.syllables[label.number - 1] if label.number else None
    inside = before is not None and not before.ends_word
    ends = label.syllable.ends_word
    kind = {(False, True): "single", (False, False): "begin", (True, False): "middle", (True, True): "end"}
    ElementTree.SubElement(lyric, "syllabic").text = kind[inside, ends]
    ElementTree.SubElement(lyric, "text").text = label.syllable.text
    if is_held and ends:
        ElementTree.SubElement(lyric, "extend")
    return lyric
