"""Planned sections as one piece: ABC with tempo, key, dynamics and accompaniment for each, and MIDI with dynamics.

The ABC has two voices. Tempo and key stand as inline fields where a section begins, dynamics as !p! to !ff!, staccato
as dots; the MIDI file is made from the ABC, so that both are one piece. Inside a phrase of four bars the MIDI's
velocities rise and fall by SWELL.
"""

import io
import math
from collections.abc import Sequence
from itertools import groupby

import mido

from symbolic.affect.composing.arrangement import Controls, SectionBar, accompaniment_of, melody_of, section_bars
from symbolic.affect.composing.score_plan import MoodPlan
from symbolic.affect.hearing.note_table import Played, played_abc
from symbolic.formats.engraving import spelled
from symbolic.notation import abc_parser
from symbolic.notation.theory import TICKS_PER_QUARTER, Key, length_text, pitch_name

SWELL = 6  # velocity steps up and down in a phrase
PHRASE_BARS = 4
PROGRAMS = (0, 0)  # General MIDI: piano for both voices
_SIGNS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}


def piece_text(plans: Sequence[MoodPlan], title: str, words: Sequence[str] = ()) -> str:
    """The ABC of all sections; `words` are short notes written above the sections."""
    first = abc_parser.parse(plans[0].line.in_mode(plans[0].controls.mode))
    head = [
        "X:1",
        f"T:{title}",
        f"M:{first.meter.text}",
        "L:1/8",
        f"Q:1/4={plans[0].controls.qpm}",
        "V:1 clef=treble",
        "V:2 clef=bass",
        f"K:{first.key.text}",
    ]
    sections = []
    for number, plan in enumerate(plans):
        note = " ".join(words[number].split()).replace('"', "'")[:60] if number < len(words) else ""
        sections += _section_lines(plan, is_first=number == 0, is_last=number == len(plans) - 1, note=note)
    return "\n".join([*head, *sections]) + "\n"


def piece_midi(text: str, programs: Sequence[int] = PROGRAMS) -> bytes:
    """A type 1 MIDI file of an ABC piece with its tempos and dynamics."""
    music = played_abc(text)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER)
    file.tracks.append(_conductor(music))
    for voice, notes in enumerate(music.voices):
        program = programs[voice] if voice < len(programs) else 0
        events = [(0, 0, mido.Message("program_change", channel=voice % 9, program=program))]
        for note in notes:
            velocity = min(127, max(1, note.velocity + _swell(note.onset, music.bar_ticks)))
            on = mido.Message("note_on", channel=voice % 9, note=note.pitch, velocity=velocity)
            events.append((note.onset, 2, on))
            events.append((note.onset + note.ticks, 1, _release(on)))
        file.tracks.append(_timed_track(events))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _section_lines(plan: MoodPlan, *, is_first: bool, is_last: bool, note: str) -> list[str]:
    text = plan.line.in_mode(plan.controls.mode)
    score = abc_parser.parse(text)
    bars = section_bars(text)
    opening = "" if is_first else f"[K:{score.key.text}][Q:1/4={plan.controls.qpm}]"
    label = f'"^{note}"' if note else ""
    dynamics = f"!{plan.controls.dynamics}!"
    softer = f"!{_softer(plan.controls.dynamics)}!"
    end = "|]" if is_last else "||"
    melody = _melody_text(bars, plan.controls, score.key)
    lower = _accompaniment_text(bars, plan.controls, score.key)
    opening_low = "" if is_first else f"[K:{score.key.text}]"
    return [
        "V:1", f"{opening}{label}{dynamics}{melody}{end}", "V:2", f"{opening_low}{softer}{lower}{end}"
    ]  # fmt: skip


def _melody_text(bars: Sequence[SectionBar], controls: Controls, key: Key) -> str:
    dot = "." if controls.staccato else ""
    texts = []
    for bar in bars:
        signs: dict[str, int] = {}
        texts.append(
            "".join(
                dot + _spelled(pitch, key, signs) + length_text(ticks) if pitch else "z" + length_text(ticks)
                for pitch, ticks in melody_of(bar, controls)
            )
        )
    return "|".join(texts)


def _accompaniment_text(bars: Sequence[SectionBar], controls: Controls, key: Key) -> str:
    texts = []
    for bar in bars:
        signs: dict[str, int] = {}
        parts = []
        for _, ticks, pitches in accompaniment_of(bar, controls):
            chord = "".join(_spelled(pitch, key, signs) for pitch in pitches)
            dot = "." if controls.staccato and pitches else ""
            parts.append(dot + (f"[{chord}]" if len(pitches) > 1 else chord or "z") + length_text(ticks))
        texts.append("".join(parts))
    return "|".join(texts)


def _spelled(pitch: int, key: Key, signs: dict[str, int]) -> str:
    """ABC of a pitch: a sign where the key and the bar so far do not give it (accidentals hold in all octaves)."""
    letter, octave, alter = spelled(pitch, key)
    sign = "" if signs.get(letter, key.accidentals[letter]) == alter else _SIGNS[alter]
    signs[letter] = alter
    return sign + pitch_name(letter, octave)


def _softer(dynamics: str) -> str:
    names = ("ppp", "pp", "p", "mp", "mf", "f", "ff")
    return names[max(0, names.index(dynamics) - 1)]


def _swell(tick: int, bar_ticks: Sequence[int]) -> int:
    """Velocity to add at a place of its phrase."""
    bar = max(i for i, start in enumerate(bar_ticks) if start <= tick) if tick < bar_ticks[-1] else len(bar_ticks) - 2
    place = (bar % PHRASE_BARS + (tick - bar_ticks[bar]) / max(1, bar_ticks[bar + 1] - bar_ticks[bar])) / PHRASE_BARS
    return round(SWELL * math.sin(math.pi * place))


def _conductor(music: Played) -> mido.MidiTrack:
    meter = music.score.meter
    events = [(tick, 0, mido.MetaMessage("set_tempo", tempo=round(60e6 / qpm))) for tick, qpm in music.tempos]
    if music.score.title:
        events.append(
            (
                0,
                0,
                mido.MetaMessage("track_name", name=music.score.title.encode("latin-1", "replace").decode("latin-1")),
            )
        )
    signature = mido.MetaMessage(
        "time_signature", numerator=meter.numerator or 4, denominator=meter.denominator if meter.numerator else 4
    )
    return _timed_track([*events, (0, 0, signature)])


def _release(on: mido.Message) -> mido.Message:
    return mido.Message("note_off", channel=on.channel, note=on.note, velocity=0)


def _timed_track(events: Sequence[tuple[int, int, mido.Message]]) -> mido.MidiTrack:
    """Messages with delta times, by (tick, rank): releases before beginnings."""
    track, last = mido.MidiTrack(), 0
    for (tick, _), group in groupby(sorted(events, key=lambda e: e[:2]), key=lambda e: e[:2]):
        for _, _, message in group:
            track.append(message.copy(time=tick - last))
            last = tick
    return track
