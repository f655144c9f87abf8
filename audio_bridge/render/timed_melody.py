"""A tune in seconds: its notes, one melody line out of them, and where bars and beats fall.

Times come from the MIDI file that is also rendered, so score, chroma, click and sound share one clock. Bars are those
of the notation, repeats unrolled and pick-ups kept; a MIDI file's are counted from its time signatures.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from audio_bridge.render.beats import midi_beats, score_beats, timed_messages
from audio_bridge.sound.timed_note import TimedNote, skyline
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    import mido

    from audio_bridge.render.render import RenderJob
    from symbolic.notation.score import Score


@dataclass(frozen=True)
class Melody:
    """A tune as it sounds. `bars` are the times of the bar lines, the first 0 and the last the end of the last bar;
    `beats` are (seconds, whether the beat opens a full bar)."""

    notes: tuple[TimedNote, ...]
    bars: tuple[float, ...]
    beats: tuple[tuple[float, bool], ...]
    qpm: float
    midi: "mido.MidiFile"
    title: str = ""
    abc: str | None = None

    @property
    def seconds(self) -> float:
        """The end of the last bar or of the last note, whichever is later."""
        return max(self.bars[-1], max(note.end for note in self.notes))


def load(piece: "RenderJob", *, tempo_qpm: float | None = None, transpose: int = 0, repeats: bool = True) -> Melody:
    """The melody of an ABC tune or a MIDI file, arranged as `render` does. UserError names file, tune and line."""
    from audio_bridge.render import render
    from audio_bridge.render.render import Recipe
    from symbolic.formats import midi
    from symbolic.notation import abc_parser

    recipe = Recipe(tempo_qpm=tempo_qpm, transpose=transpose, repeats=repeats)
    with render.named(piece):
        if piece.text is None:
            if not repeats:
                raise UsageError(f"{piece.source}: a MIDI file has no repeats to leave out; drop --no-repeats.")
            return of_midi(render.midi_of(midi.read_midi(piece.source), recipe))
        score = abc_parser.parse(piece.text, piece.line)
        return replace(of_score(score, recipe.tempo_qpm, transpose, repeats), abc=piece.text)


def of_score(score: "Score", tempo_qpm: float | None = None, transpose: int = 0, repeats: bool = True) -> Melody:
    """The melody of a parsed tune."""
    from audio_bridge.render import render
    from audio_bridge.render.render import Recipe

    made = render.midi_of(score, Recipe(tempo_qpm=tempo_qpm, transpose=transpose, repeats=repeats))
    clock = _Clock(made)
    lines, beats = score_beats(score, repeats)
    return _melody(made, clock, lines, beats, score.title)


def of_midi(made: "mido.MidiFile") -> Melody:
    """The melody of a MIDI file."""
    lines, beats = midi_beats(made)
    return _melody(made, _Clock(made), lines, beats, "")


def line(melody: Melody, voice: int | None = None) -> list[TimedNote]:
    """One note at a time: of one voice, or of all (None), the highest that sounds at each moment (the skyline).

    UsageError where the voice is not there.
    """
    voices = sorted({note.voice for note in melody.notes})
    if voice is not None and voice not in voices:
        there = ", ".join(str(v + 1) for v in voices)
        raise UsageError(f"the tune has no voice {voice + 1} with notes; it has {there}. Or choose `skyline`.")
    return skyline([note for note in melody.notes if voice is None or note.voice == voice])


def first_bars(melody: Melody, n_bars: int) -> float:
    """The time at which the n-th bar ends; a pick-up is no bar. UsageError where the tune is shorter."""
    full = _full_bar_ends(melody)
    if not 1 <= n_bars <= len(full):
        raise UsageError(f"--bars {n_bars}: the tune has {len(full)} bars.")
    return full[n_bars - 1]


def _full_bar_ends(melody: Melody) -> list[float]:
    lengths = [end - start for start, end in pairwise(melody.bars)]
    pickup = len(lengths) > 1 and lengths[0] < lengths[1] - 1e-6
    return list(melody.bars[2:] if pickup else melody.bars[1:])


def _melody(
    made: "mido.MidiFile", clock: "_Clock", lines: Sequence[int], beats: Sequence[tuple[int, bool]], title: str
) -> Melody:
    from symbolic.formats.midi import first_tempo

    notes = _notes(made, clock)
    if not notes:
        raise UserError("the music has no pitched notes, so there is no melody.")
    return Melody(
        notes=tuple(notes),
        bars=tuple(clock.seconds(tick) for tick in lines),
        beats=tuple((clock.seconds(tick), strong) for tick, strong in beats),
        qpm=60e6 / first_tempo(made),
        midi=made,
        title=title,
    )


class _Clock:
    """Ticks of a MIDI file to seconds, by its tempo changes."""

    def __init__(self, made: "mido.MidiFile") -> None:
        from symbolic.formats.midi import DEFAULT_TEMPO

        changes = [(0, DEFAULT_TEMPO), *timed_messages(made, "set_tempo")]
        self.ticks, self.starts, self.rates = [], [], []
        seconds, tick, rate = 0.0, 0, 0.0
        for change, value in changes:
            seconds += (change - tick) * rate
            tick, rate = change, (value if isinstance(value, int) else value.tempo) / 1e6 / made.ticks_per_beat
            self.ticks.append(tick)
            self.starts.append(seconds)
            self.rates.append(rate)

    def seconds(self, tick: int) -> float:
        """The time of a tick."""
        i = bisect_right(self.ticks, tick) - 1
        return self.starts[i] + (tick - self.ticks[i]) * self.rates[i]


def _notes(made: "mido.MidiFile", clock: _Clock) -> list[TimedNote]:
    from symbolic.formats.midi import DRUM_CHANNEL

    voices: dict[tuple[int, int], int] = {}
    notes: list[TimedNote] = []
    for index, track in enumerate(made.tracks):
        tick, sounding = 0, dict[tuple[int, int], list[int]]()
        for message in track:
            tick += message.time
            if message.type not in ("note_on", "note_off") or message.channel == DRUM_CHANNEL:
                continue
            starts = sounding.setdefault((message.channel, message.note), [])
            if message.type == "note_on" and message.velocity:
                starts.append(tick)
            elif starts and tick > starts[0]:
                voice = voices.setdefault((index, message.channel), len(voices))
                notes.append(TimedNote(clock.seconds(starts.pop(0)), clock.seconds(tick), message.note, voice))
            elif starts:
                starts.pop(0)
    return sorted(notes, key=lambda note: (note.onset, note.voice, note.midi))
