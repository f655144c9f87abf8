"""A setting in time: LRC and enhanced LRC, UltraStar, MIDI with lyric events.

LRC gives a line its start, `[01:02.34]`; the enhanced form gives each syllable its own, `<01:02.34>`, and the line's
end. UltraStar counts quarters of a beat: `: start length pitch text`, pitch 0 = middle C, `~` for a syllable that goes
on, `-` between two notes for a new line (usdx.eu/format). MIDI has a lyric event for each syllable on the melody's
track, a space behind a word and a carriage return behind a line (MIDI Manufacturers Association, RP-017).
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from audio_bridge.lyrics.setting.word_setting import Setting, Timed, labelled_notes, timed
from symbolic.notation.theory import TICKS_PER_WHOLE

if TYPE_CHECKING:
    import mido

_ULTRASTAR_LANGUAGES = {"en": "English", "pt": "Portuguese", "es": "Spanish"}
LINE_GAP = 2  # units between the last note of a line and the next, in which the line break stands
_FINEST = 12  # twelfths of a sixteenth note are as fine as UltraStar's tempo is made


def lrc(setting: Setting, qpm: float) -> str:
    """Return one time a line."""
    lines = _by_line(timed(setting, qpm))
    return _tags(setting) + "".join(f"[{clock(line[0].start)}]{_text(line)}\n" for line in lines)


def enhanced_lrc(setting: Setting, qpm: float) -> str:
    """Return a time for each syllable, and one where the line ends."""
    out = _tags(setting)
    for line in _by_line(timed(setting, qpm)):
        body = "".join(f"<{clock(s.start)}>{_untimed(s.text)}{' ' if s.ends_word else ''}" for s in line)
        out += f"[{clock(line[0].start)}]{body.rstrip()}<{clock(line[-1].end)}>\n"
    return out


def ultrastar(setting: Setting, qpm: float, audio: str = "song.mp3") -> str:
    """Return an UltraStar song; `audio` is the file that it plays."""
    lyrics, scale = setting.lyrics, _scale(setting)
    unit = TICKS_PER_WHOLE // 16
    head = [f"#TITLE:{lyrics.title or 'untitled'}", f"#ARTIST:{lyrics.artist or 'unknown'}"]
    head += [f"#LANGUAGE:{_ULTRASTAR_LANGUAGES[lyrics.language]}"] if lyrics.language in _ULTRASTAR_LANGUAGES else []
    head += [f"#GENRE:{lyrics.genre}"] if lyrics.genre else []
    head += [f"#MP3:{audio}", f"#BPM:{qpm * scale:g}", "#GAP:0"]
    rows: list[str] = []
    notes = [note for note in labelled_notes(setting) if note[0] is not None]
    for i, (label, midi, onset, ticks) in enumerate(notes):
        assert label is not None
        start, length = onset * scale // unit, max(1, ticks * scale // unit)
        following = notes[i + 1] if i + 1 < len(notes) else None
        breaks = following is not None and label.syllable.ends_line and not following[0].holds  # type: ignore[union-attr]
        after = following[2] * scale // unit if following is not None else start + length
        if breaks and length > 1:
            length = max(1, min(length, after - start - LINE_GAP))
        text = "~" if label.holds else label.syllable.text
        space = " " if label.syllable.ends_word and not label.holds else ""
        rows.append(f": {start} {length} {midi - 60} {text}{space}")
        if breaks:
            rows.append(f"- {start + length + (after - start - length) // 2}")
    return "\n".join([*head, *rows, "E"]) + "\n"


def midi_with_lyrics(setting: Setting, qpm: float, arranged: "mido.MidiFile | None" = None) -> "mido.MidiFile":
    """Return the melody with its words as lyric events; `arranged` is the song as MIDI whose second track is the
    melody."""
    import mido

    from symbolic.formats import midi

    built = arranged or midi.build(setting.score, tempo_qpm=qpm)
    track = built.tracks[1]
    events: list[tuple[int, int, mido.MetaMessage | mido.Message]] = []
    tick = 0
    for order, message in enumerate(track, start=2):  # a lyric stands before the note of its tick
        tick += message.time
        events.append((tick, order, message))
    for label, _, onset, _ in labelled_notes(setting):
        if label is not None and not label.holds:
            s = label.syllable
            text = s.text + ("\r" if s.ends_line else " " if s.ends_word else "")
            events.append((onset, 1, mido.MetaMessage("lyrics", text=text)))
    last = 0
    merged = mido.MidiTrack()
    for at, _, message in sorted(events, key=lambda e: (e[0], e[1])):
        merged.append(message.copy(time=at - last))
        last = at
    built.tracks[1] = merged
    return built


def clock(seconds: float) -> str:
    """Write a time as mm:ss.xx, as LRC has it."""
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000:02d}:{hundredths % 6000 // 100:02d}.{hundredths % 100:02d}"


def _by_line(syllables: Sequence[Timed]) -> list[list[Timed]]:
    lines: list[list[Timed]] = []
    for s in syllables:
        if not lines or lines[-1][0].line != s.line:
            lines.append([])
        lines[-1].append(s)
    return lines


def _text(line: Sequence[Timed]) -> str:
    return _untimed("".join(s.text + (" " if s.ends_word else "") for s in line).strip())


def _tags(setting: Setting) -> str:
    lyrics = setting.lyrics
    named = (("ti", lyrics.title), ("ar", lyrics.artist), ("la", lyrics.language))
    return "".join(f"[{tag}:{re.sub(r'[][]', '', value)}]\n" for tag, value in named if value)


def _untimed(text: str) -> str:
    """Return words as they are, but for brackets that LRC would read as a time, `[1:02]`."""
    return re.sub(r"\[(\s*\d+\s*:[^]]*)\]?", r"(\1)", text)


def _scale(setting: Setting) -> int:
    """Return how many of UltraStar's units a sixteenth needs so that every onset is a whole number of them."""
    unit = TICKS_PER_WHOLE // 16
    for scale in range(1, _FINEST + 1):
        if all(Fraction(onset * scale, unit).denominator == 1 for _, _, onset, _ in labelled_notes(setting)):
            return scale
    return _FINEST
