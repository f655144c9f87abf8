"""Words and tune as one: a score whose every note knows what is sung on it, and when that sounds.

A `Setting` is what all exports read. Its score has one voice without repeats; `labels` has one entry for each Note
event of that voice, in order. Lines and sections are numbered as in its lyrics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from audio_bridge.lyrics.lyric_text import Lyrics
from audio_bridge.lyrics.prosody.stress import Syllable, sung
from audio_bridge.lyrics.setting import syllable_alignment as aligner
from audio_bridge.lyrics.setting.sung_melody import SungNote, respelled, seconds_per_tick, sung_notes, written_out
from audio_bridge.lyrics.setting.syllable_alignment import DEFAULT, AlignmentCosts, Placement
from symbolic.errors import UsageError, UserError
from symbolic.notation.abc_parser import canonical
from symbolic.notation.score import Bar, Event, KeyChange, MeterChange, Note, Rest, Score, Voice
from symbolic.notation.theory import Meter

MOST_PASSES = 64
MANY_NOTES = 1.8  # a syllable, above which a tune's repeats are left out


@dataclass(frozen=True, slots=True)
class Label:
    """What is sung on a note: a syllable begins (`holds` False) or goes on; None stands for neither."""

    syllable: Syllable
    number: int  # which syllable of the song
    holds: bool


@dataclass(frozen=True)
class Setting:
    """A tune with its words."""

    score: Score
    labels: tuple[Label | None, ...]
    lyrics: Lyrics
    syllables: tuple[Syllable, ...]

    @property
    def text(self) -> str:
        """The tune in canonical ABC, without words."""
        return canonical(self.score)


@dataclass(frozen=True, slots=True)
class Timed:
    """A syllable in time. `notes` are (MIDI pitch, start, end) in seconds."""

    text: str
    start: float
    end: float
    line: int
    ends_word: bool
    ends_line: bool
    stress: int
    notes: tuple[tuple[int, float, float], ...]


def set_words(score: Score, lyrics: Lyrics, *, passes: int | None = None, weights: AlignmentCosts = DEFAULT) -> Setting:
    """Set words to a tune, which is sung as often as its phrases need (`passes` says how often)."""
    if passes is not None and not 1 <= passes <= MOST_PASSES:
        raise UsageError(f"--passes {passes}: a tune is sung 1 to {MOST_PASSES} times.")
    syllables = sung(lyrics.lines, lyrics.language)
    tune = written_out(score)
    if passes is None and MANY_NOTES * len(syllables) < len(sung_notes(tune)) and not _has_endings(score):
        tune = written_out(score, repeats=False)  # few words: each strain is sung once
    if passes is None:
        passes = _passes(sung_notes(tune), syllables, len(lyrics.lines))
    if passes > MOST_PASSES:
        raise UserError(f"the tune would have to be sung {passes} times; at most {MOST_PASSES}. Shorten the words.")
    if passes > 1:
        tune = written_out(score, passes)
    placements = aligner.align(syllables, sung_notes(tune), weights)
    return placed(tune, syllables, placements, lyrics)


def set_lines(score: Score, lyrics: Lyrics, notes_a_line: Sequence[int]) -> Setting:
    """Set words to a tune that was written for them, which has so many notes for each line: a line with as many
    syllables has one on each note, another is aligned within its notes. A tune with other notes is set as any is."""
    tune = written_out(score)
    notes, syllables = sung_notes(tune), sung(lyrics.lines, lyrics.language)
    if sum(notes_a_line) != len(notes) or len(notes_a_line) < len(lyrics.lines):
        return set_words(score, lyrics, passes=1)
    placements: list[Placement] = []
    start = 0
    for line, n in enumerate(notes_a_line[: len(lyrics.lines)]):
        own = [syllable for syllable in syllables if syllable.line == line]
        found = [Placement(i, i) for i in range(n)] if len(own) == n else aligner.align(own, notes[start : start + n])
        placements += [replace(one, first=one.first + start, last=one.last + start) for one in found]
        start += n
    return placed(tune, syllables, placements, lyrics)


def placed(score: Score, syllables: Sequence[Syllable], placements: Sequence[Placement], lyrics: Lyrics) -> Setting:
    """Return a setting from placements on `sung_notes(score)`; notes that several syllables share are divided."""
    notes = sung_notes(score)
    on_event: dict[int, list[Label]] = {}
    for number, (syllable, place) in enumerate(zip(syllables, placements, strict=True)):
        for index in range(place.first, place.last + 1):
            for k, event in enumerate(notes[index].events):
                starts = index == place.first and k == 0
                on_event.setdefault(event, []).append(Label(syllable, number, not starts))
    events: list[Event] = []
    labels: list[Label | None] = []
    for i, one in enumerate(score.voices[0].events):
        if not isinstance(one, Note):
            events.append(one)
            continue
        found = on_event.get(i, [])
        events += _divided(one, max(1, len(found)))
        labels += found or [None]
    return Setting(_with_events(score, events), tuple(labels), lyrics, tuple(syllables))


def joined(settings: Sequence[Setting], lyrics: Lyrics) -> Setting:
    """Return settings one after the other, as sections of one song; all have the first one's key and metre unless they
    say another."""
    events: list[Event] = []
    labels: list[Label | None] = []
    syllables: list[Syllable] = []
    key, meter, line = settings[0].score.key, settings[0].score.meter, 0
    for one in settings:
        if one.score.key != key:
            key = one.score.key
            events.append(KeyChange(key))
        if one.score.meter != meter:
            meter = one.score.meter
            events.append(MeterChange(meter))
        moved = [replace(s, line=s.line + line) for s in one.syllables]
        labels += [
            label and Label(moved[label.number], label.number + len(syllables), label.holds) for label in one.labels
        ]
        syllables += moved
        line += len(one.lyrics.lines)
        events += one.score.voices[0].events
    whole = written_out(_with_events(settings[0].score, events))
    whole.voices[0].events = _joined_rests(_without_opening_rests(whole.voices[0].events, whole.meter))
    return Setting(whole, tuple(labels), lyrics, tuple(syllables))


def timed(setting: Setting, qpm: float) -> list[Timed]:
    """Return every syllable with its times at a tempo in quarter notes a minute."""
    unit = seconds_per_tick(qpm)
    spans: dict[int, list[tuple[int, float, float]]] = {}
    for label, midi, onset, ticks in labelled_notes(setting):
        if label is None:
            continue
        own = spans.setdefault(label.number, [])
        if label.holds and own and own[-1][0] == midi and abs(own[-1][2] - onset * unit) < 1e-9 and _is_tie(label):
            own[-1] = (midi, own[-1][1], (onset + ticks) * unit)
        else:
            own.append((midi, onset * unit, (onset + ticks) * unit))
    return [
        Timed(s.text, own[0][1], own[-1][2], s.line, s.ends_word, s.ends_line, s.stress, tuple(own))
        for number, own in sorted(spans.items())
        for s in [setting.syllables[number]]
    ]


def labelled_notes(setting: Setting) -> Iterator[tuple[Label | None, int, int, int]]:
    """Yield (label, MIDI pitch, onset, ticks) of each Note event."""
    onset, labels = 0, iter(setting.labels)
    for event in setting.score.voices[0].events:
        if isinstance(event, Note):
            yield next(labels), max(p.midi for p in event.pitches), onset, event.ticks
        if isinstance(event, (Note, Rest)):
            onset += event.ticks


def placements_of(setting: Setting) -> list[list[int]]:
    """Return for each syllable the indices of its notes among the Note events."""
    found: list[list[int]] = [[] for _ in setting.syllables]
    for index, label in enumerate(setting.labels):
        if label is not None:
            found[label.number].append(index)
    return found


def _without_opening_rests(events: list[Event], meter: Meter) -> list[Event]:
    """Return the events without the rests that a short first bar begins with, which stand in the last bar instead."""
    bar = next((i for i, e in enumerate(events) if isinstance(e, Bar)), len(events))
    first = next((i for i, e in enumerate(events) if isinstance(e, Note)), len(events))
    head = events[:bar]
    if meter.is_free or sum(e.ticks for e in head if isinstance(e, (Note, Rest))) >= meter.ticks:
        return events
    silence = sum(e.ticks for e in head[:first] if isinstance(e, Rest))
    rest = [e for e in events[: min(bar, first)] if not isinstance(e, Rest)] + events[min(bar + 1, first) :]
    return [*rest[:-1], Rest(silence, silence), rest[-1]] if silence else events


def _joined_rests(events: Sequence[Event]) -> list[Event]:
    """Return the events with rests that follow each other in a bar as one."""
    out: list[Event] = []
    for event in events:
        before = out[-1] if out else None
        if isinstance(event, Rest) and isinstance(before, Rest):
            out[-1] = Rest(before.ticks + event.ticks, before.written + event.written)
        else:
            out.append(event)
    return out


def _has_endings(score: Score) -> bool:
    return any(isinstance(e, Bar) and e.ending for e in score.voices[0].events)


def _is_tie(label: Label) -> bool:
    return label.holds


def _passes(notes: Sequence[SungNote], syllables: Sequence[Syllable], n_lines: int) -> int:
    """Choose how often the tune is sung: so that lines and phrases, and syllables and notes, come closest together and
    all syllables are carried; in a tune with slurs so often, up to a pass a line, that none need be parted, with whole
    lines to a pass if one more does."""
    n_phrases = max(1, sum(note.boundary == 1.0 for note in notes))
    wanted = max(1, round((n_lines / n_phrases + len(syllables) / len(notes)) / 2))
    while wanted * aligner.capacity(notes) < len(syllables):
        wanted += 1
    n_sung = sum(not note.slurred for note in notes)
    if n_sung == len(notes):
        return wanted
    wanted = max(wanted, min(n_lines, -(-len(syllables) // n_sung)))
    return next((n for n in (wanted, wanted + 1) if n <= n_lines and n_lines % n == 0), wanted)


def _divided(note: Note, parts: int) -> list[Event]:
    """Return a note cut into equal parts of the same pitch; only the last keeps a tie, the first keeps the marks."""
    if parts == 1:
        return [note]
    pieces = [
        replace(note, ticks=note.ticks // parts, written=note.written // parts, tie=False, marks="")
        for _ in range(parts)
    ]
    pieces[0].marks, pieces[-1].tie = note.marks, note.tie
    return list(pieces)


def _with_events(score: Score, events: list[Event]) -> Score:
    """Return a copy of the score with other events, spelled so that it reads back."""
    fields = {name: list(values) for name, values in score.fields.items()}
    fresh = [replace(e) if isinstance(e, Note) else e for e in events]
    return respelled(Score(fields, score.meter, score.key, [Voice("", "", fresh)]))
