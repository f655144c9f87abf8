"""What a score holds and a format has no place for, counted: a conversion says what it leaves behind."""

import re
from collections import Counter
from fractions import Fraction

from symbolic.notation.performance import DYNAMICS
from symbolic.notation.play_order import jump_signs
from symbolic.notation.score import (
    Annotation,
    ChordSymbol,
    Direction,
    Grace,
    KeyChange,
    Note,
    PartMark,
    Rest,
    Score,
    TempoChange,
    Tuplet,
    Voice,
)

_SAID_BY_MIDI = "XTQMLKVIUP"  # header fields that are in the music, the title or the tempo


def lost_in_midi(score: Score) -> Counter[str]:
    """The kinds of signs that MIDI does not hold, with their number; repeats, D.C. and dynamics are played."""
    losses: Counter[str] = Counter()
    for event in (event for voice in score.voices for event in voice.events):
        match event:
            case Grace():
                losses["grace notes"] += len(event.pitches)
            case ChordSymbol():
                losses["chord symbols"] += 1
            case Note():
                losses["syllables of lyrics"] += sum(text not in ("", "_") for text in event.syllables)
                losses["decorations"] += sum(
                    mark.strip("!") not in DYNAMICS and mark not in "SO"
                    for mark in re.findall(r"![^!]+!|.", event.marks)
                )
            case Annotation():
                losses["annotations"] += not jump_signs(event)
            case Direction():
                losses["decorations"] += event.name not in DYNAMICS and not jump_signs(event)
    losses["notes of tuplets, rounded to 1/10,080 of a quarter note"] += sum(map(_n_rounded, score.voices))
    keys = [score.key, *(e.key for e in score.voices[0].events if isinstance(e, KeyChange))]
    losses["modes of keys, written as major"] += sum(key.mode not in ("", "m") for key in keys)
    losses["information fields"] += sum(
        len(lines) for letter, lines in score.fields.items() if letter not in _SAID_BY_MIDI
    )
    return +losses


def _n_rounded(voice: Voice) -> int:
    """The notes of tuplets (such as 11 in the time of 8) whose lengths are no whole number of ticks."""
    found = left = 0
    ratio = Fraction(1)
    for event in voice.events:
        if isinstance(event, Tuplet):
            ratio, left = Fraction(event.q, event.p), event.count
        elif isinstance(event, (Note, Rest)):
            is_rounded = left > 0 and (event.written * ratio).denominator > 1
            found, left = found + (is_rounded and isinstance(event, Note)), left - 1
    return found


def lost_in_bars(score: Score) -> Counter[str]:
    """The kinds of signs that ABC bar by bar (`--interleave`) does not hold, which is canonical text, with their
    number."""
    names = {Annotation: "annotations", Direction: "decorations beside the notes", TempoChange: "tempo changes"}
    losses: Counter[str] = Counter()
    for event in (event for voice in score.voices for event in voice.events):
        if isinstance(event, Note):
            losses["syllables of lyrics"] += sum(text not in ("", "_") for text in event.syllables)
        elif isinstance(event, (Annotation, Direction, TempoChange, PartMark)):
            losses[names.get(type(event), "part marks")] += 1
    losses["settings of voices (names and sounds)"] += sum(bool(v.title or v.program or v.drums) for v in score.voices)
    return +losses
