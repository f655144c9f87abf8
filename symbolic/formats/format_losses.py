"""What a score holds and a format has no place for, counted: a conversion says what it leaves behind."""

import re
from collections import Counter

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
    Score,
    TempoChange,
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
    keys = [score.key, *(e.key for e in score.voices[0].events if isinstance(e, KeyChange))]
    losses["modes of keys, written as major"] += sum(key.mode not in ("", "m") for key in keys)
    losses["information fields"] += sum(
        len(lines) for letter, lines in score.fields.items() if letter not in _SAID_BY_MIDI
    )
    return +losses


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
    losses["names and sounds of voices"] += sum(bool(v.title or v.program or v.drums) for v in score.voices)
    return +losses
