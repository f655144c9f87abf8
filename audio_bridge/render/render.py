"""Render ABC tunes or a MIDI file to audio with a SoundFont.

    python -m audio_bridge render TUNE.abc -o OUT.wav
    python -m audio_bridge render TUNES.abc --tune 12 --instrument flute --tempo 160 -o OUT.flac
    python -m audio_bridge render DUET.abc --instrument violin,piano --count-in 1 --metronome -o OUT.mp3

A score becomes MIDI, MIDI becomes sound in a guarded child process (`synthesis`), and the sound is trimmed at its end,
resampled and brought to a loudness. Time zero of the audio is time zero of the score, or of its count-in. The same
input and options give the same samples.

A file of several tunes gives one file for each, OUT-1.wav, OUT-2.wav, ...; a tune is named by its X: number, or by its
place in the file where those numbers repeat. A tune's repeats and endings are played, its parts (P:), changes of tempo
and dynamics, too; its grace notes with --grace-notes.
"""

import argparse
import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from symbolic.command_line import choose_tune
from symbolic.errors import UsageError, UserError
from symbolic.files import sha256, write_json
from symbolic.progress import Console

if TYPE_CHECKING:
    import mido

    from audio_bridge.sound.audio import Audio
    from audio_bridge.sound.loudness import Levels
    from symbolic.notation.performance import Sound
    from symbolic.notation.score import Score

DEFAULT_INSTRUMENT = "violin"
DEFAULT_LOUDNESS_LUFS = -18.0  # ReplayGain 2's reference: leaves room for the peaks of a solo instrument
MAX_SECONDS = 20 * 60.0
MAX_TRANSPOSE = 127  # semitones, MIDI's whole range
MAX_ABC_BYTES = 64 * 2**20
TAIL_SECONDS = 3.0  # after the last event, for release and reverberation
_MIDI_SUFFIXES = (".mid", ".midi")
_CLIPPED = 32767 / 32768
_QUIETER = 0.5  # on the volume control, whose amplitude is its square: 12 dB a pass
_MAX_PASSES = 4


@dataclass(frozen=True)
class Recipe:
    """How to render. None: instrument and tempo as the music has them (violin for scores), loudness untouched."""

    sample_rate: int = 44_100
    instrument: str | int | None = None
    tempo_qpm: float | None = None
    transpose: int = 0
    loudness_lufs: float | None = DEFAULT_LOUDNESS_LUFS
    backend: str = "midirenderer"
    soundfont: Path | str | None = None
    repeats: bool = True
    sample_format: str | None = None
    count_in: int = 0  # bars of clicks before the music
    metronome: bool = False
    grace_notes: bool = False


@dataclass(frozen=True)
class Rendering:
    """One written file, and all that is needed to make it again. Levels are None for silence."""

    path: str
    tune: int | None
    title: str
    seconds: float
    score_seconds: float
    sample_rate: int
    loudness_lufs: float | None
    peak_dbtp: float | None
    gain_db: float
    limited_by_peak: bool
    instrument: str | None
    tempo_qpm: float
    backend: str
    soundfont: str
    soundfont_sha256: str
    soundfont_licence: str
    source: str
    source_sha256: str
    recipe: dict[str, str | int | float | bool | None]


def render(
    music: "Score | Sequence[Sound] | mido.MidiFile",
    *,
    sample_rate: int = 44_100,
    instrument: str | int | None = None,
    tempo_qpm: float | None = None,
    transpose: int = 0,
    loudness_lufs: float | None = DEFAULT_LOUDNESS_LUFS,
    backend: str = "midirenderer",
    soundfont: Path | str | None = None,
    repeats: bool = True,
    count_in: int = 0,
    metronome: bool = False,
    grace_notes: bool = False,
) -> "Audio":
    """The sound of a score, of sounds, or of a MIDI file in memory: stereo, float32 (2, samples).

    `instrument` may name several, one for each voice: `violin,piano`. `count_in` is bars of clicks before the music,
    `metronome` clicks on its beats; sounds have neither bars nor beats, so no clicks.
    """
    recipe = Recipe(sample_rate, instrument, tempo_qpm, transpose, loudness_lufs, backend, soundfont, repeats,
                    count_in=count_in, metronome=metronome, grace_notes=grace_notes)  # fmt: skip
    return _performed(midi_of(music, recipe), recipe)[0]


def render_file(
    source: Path | str, target: Path | str | None = None, *, tune: int | None = None, recipe: Recipe | None = None
) -> list[Rendering]:
    """Render a MIDI file, or one tune or all tunes of an ABC file. The first tune that fails raises its UserError.

    Without `target` the audio lies beside the source as .wav. A file of several tunes gives one numbered file each:
    OUT-01.wav, OUT-02.wav, ...
    """
    recipe = recipe or Recipe()
    pieces = pieces_of(Path(source), Path(target) if target else None, tune)
    _check(pieces[0].target, recipe)
    return [_rendered(piece, recipe) for piece in pieces]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("tune_file", metavar="TUNE", type=Path, help="ABC file of one or more tunes, or .mid file")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help=".wav, .flac or .mp3 (default: TUNE with .wav)"
    )
    parser.add_argument(
        "--tune", type=int, metavar="N", help="the tune X:N, else the N-th (default: all, to OUT-N.wav)"
    )
    parser.add_argument(
        "--instrument", metavar="NAMES",
        help="General MIDI name or 0..127; several, as violin,piano, are for one voice each, those left over double "
        "the first (default: violin; MIDI: its own)",
    )  # fmt: skip
    parser.add_argument("--list-instruments", action=_ListInstruments, help="print the instruments and end")
    parser.add_argument("--count-in", type=int, default=0, metavar="BARS", help="clicks before the music (default 0)")
    parser.add_argument("--metronome", action="store_true", help="clicks on the beats of the music")
    parser.add_argument("--grace-notes", action="store_true", help="play an ABC tune's grace notes, as thirty-seconds")
    parser.add_argument(
        "--tempo", type=float, metavar="QPM", help="quarter notes a minute (default: Q:, else by R: and M:)"
    )
    parser.add_argument("--transpose", type=int, default=0, metavar="N", help="semitones up, negative down")
    parser.add_argument("--no-repeats", action="store_true", help="play an ABC tune as written, without its repeats")
    parser.add_argument("--sample-rate", type=int, default=44_100, metavar="HZ", help="default %(default)s")
    parser.add_argument("--sample-format", choices=("pcm16", "pcm24", "float"), help="of WAV and FLAC (default: pcm16)")
    loudness_help = "integrated loudness in LUFS, or 'off' for the synthesiser's level (default: %(default)s)"
    parser.add_argument("--loudness", type=_loudness, default=DEFAULT_LOUDNESS_LUFS, metavar="LUFS", help=loudness_help)
    parser.add_argument(
        "--backend", default="midirenderer", metavar="NAME", help="midirenderer (default) or fluidsynth"
    )
    font_help = "a .sf2 file (default: that of ABC_SYMBOLIC_SOUNDFONT, else TimGM6mb of pretty_midi)"
    parser.add_argument("--soundfont", type=Path, metavar="FILE", help=font_help)
    parser.add_argument(
        "--record", action="store_true", help="write OUT.wav.json beside OUT.wav: levels, hashes, options"
    )
    parser.add_argument("--json", action="store_true", help="print the records as JSON in the last line")


def run(args: argparse.Namespace) -> int:
    """Render what was asked for; with several tunes, report the ones that fail and go on."""
    recipe = Recipe(
        sample_rate=args.sample_rate,
        instrument=args.instrument,
        tempo_qpm=args.tempo,
        transpose=args.transpose,
        loudness_lufs=args.loudness,
        backend=args.backend,
        soundfont=args.soundfont,
        repeats=not args.no_repeats,
        sample_format=args.sample_format,
        count_in=args.count_in,
        metronome=args.metronome,
        grace_notes=args.grace_notes,
    )
    pieces = pieces_of(args.tune_file, args.output, args.tune)
    _check(pieces[0].target, recipe)
    renderings, failures = [], []
    console = Console()
    for number, piece in enumerate(pieces, start=1):
        if len(pieces) > 1:
            console.working(f"rendering {number} of {len(pieces)}")
        try:
            rendering = _rendered(piece, recipe)
        except UserError as error:
            if len(pieces) == 1:
                raise
            failures.append({"tune": piece.number, "error": str(error)})
            print(f"error: {error}", file=sys.stderr)
            continue
        finally:
            console.close(wipe=True)
        renderings.append(rendering)
        _report(rendering, args.record)
    if args.json:
        print(json.dumps({"renderings": [asdict(r) for r in renderings], "failures": failures}, ensure_ascii=False))
    return 1 if failures else 0


class _ListInstruments(argparse.Action):
    """An option that prints the instruments and ends the program."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from audio_bridge.render.instruments import listing

        print(listing())
        parser.exit()


@dataclass(frozen=True)
class RenderJob:
    """Something to render: ABC text (None: the source is a MIDI file), its line and number in the source."""

    source: Path
    target: Path
    text: str | None = None
    line: int = 1
    number: int | None = None


def pieces_of(source: Path, target: Path | None, tune: int | None) -> list[RenderJob]:
    """List what of a source is to be rendered, and to which file: each tune of ABC, or the one piece of MIDI or
    MusicXML."""
    from symbolic.formats.convert import abc_text
    from symbolic.formats.documents import KINDS

    target = target or source.with_suffix(".wav")
    data = _source_bytes(source)
    if data[:4] == b"MThd" or source.suffix.lower() in _MIDI_SUFFIXES:
        if tune is not None:
            choose_tune([None], tune, source)
        return [RenderJob(source, target)]
    is_musicxml = KINDS.get(source.suffix.lower()) == "musicxml"
    pieces = _abc_pieces(source, target, abc_text(source) if is_musicxml else _text(source, data))
    if tune is None:
        return pieces
    place = choose_tune([piece.number for piece in pieces], tune, source)
    return [replace(pieces[place], target=target)]


def _abc_pieces(source: Path, target: Path, text: str) -> list[RenderJob]:
    from symbolic.notation.abc_parser import split_tunes

    tunes = list(split_tunes(text))
    if not tunes:
        raise UserError(
            f"{source} has no tune: a tune begins with a line such as X:1 and has a K: line, for example K:G."
        )
    if len(tunes) == 1:
        return [RenderJob(source, target, tunes[0].text, tunes[0].line, _numbers([tunes[0].text])[0])]
    numbers = _numbers([tune.text for tune in tunes])
    width = len(str(max(numbers)))
    names = [target.with_name(f"{target.stem}-{number:0{width}d}{target.suffix}") for number in numbers]
    return [RenderJob(source, name, t.text, t.line, n) for t, name, n in zip(tunes, names, numbers, strict=True)]


def _numbers(texts: list[str]) -> list[int]:
    """The X: numbers where every tune has one of its own, else 1, 2, 3, ..."""
    matches = [re.search(r"^X:\s*(\d{1,9})", text, re.MULTILINE) for text in texts]
    numbers = [int(match[1]) for match in matches if match]
    return numbers if len(set(numbers)) == len(texts) else list(range(1, len(texts) + 1))


def _source_bytes(source: Path) -> bytes:
    try:
        with open(source, "rb") as file:
            data = file.read(MAX_ABC_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror or error}.") from error
    if len(data) > MAX_ABC_BYTES:
        raise UserError(f"{source} is larger than {MAX_ABC_BYTES // 2**20} MiB; split it.")
    return data


def _text(source: Path, data: bytes) -> str:
    if b"\0" in data:
        raise UserError(f"{source} is a binary file; render takes ABC text (.abc) or MIDI (.mid).")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _check(target: Path, recipe: Recipe) -> None:
    """Fail before the work, not after it, on what holds for every tune."""
    from audio_bridge.render import instruments, soundfonts, synthesis
    from audio_bridge.render.metronome import MAX_COUNT_IN
    from audio_bridge.sound import audio
    from symbolic.formats.midi import MAX_QPM, MIN_QPM

    audio.check_format(target, recipe.sample_rate, recipe.sample_format)
    check_folder(target)
    soundfonts.find(recipe.soundfont)
    synthesis.available(recipe.backend)
    if recipe.instrument is not None:
        instruments.programs(recipe.instrument)
    if recipe.tempo_qpm is not None and not MIN_QPM <= recipe.tempo_qpm <= MAX_QPM:
        raise UsageError(f"--tempo {recipe.tempo_qpm:g} cannot be played; choose {MIN_QPM:g} to {MAX_QPM:g}.")
    if not 0 <= recipe.count_in <= MAX_COUNT_IN:
        raise UsageError(f"--count-in {recipe.count_in}: choose 0 to {MAX_COUNT_IN} bars.")
    if abs(recipe.transpose) > MAX_TRANSPOSE:
        raise UsageError(f"--transpose {recipe.transpose}: choose {-MAX_TRANSPOSE} to {MAX_TRANSPOSE} semitones.")


def check_folder(target: Path) -> None:
    """The folder may be made, but not through a file."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file such as {target / 'tune.wav'}.")
    folder = next((parent for parent in target.absolute().parents if parent.exists()), None)
    if folder is None or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {target}: {folder} is no folder that can be written. Choose another with -o.")


def _rendered(piece: RenderJob, recipe: Recipe) -> Rendering:
    from audio_bridge.render import soundfonts, synthesis
    from audio_bridge.sound import audio
    from symbolic.formats.midi import first_tempo, seconds

    with named(piece):
        midi, title = _load(piece, recipe)
        sound, levels = _performed(midi, recipe)
    audio.write_audio(sound, piece.target, recipe.sample_format)
    font = soundfonts.find(recipe.soundfont)
    return Rendering(
        path=str(piece.target),
        tune=piece.number,
        title=title,
        seconds=round(sound.seconds, 4),
        score_seconds=round(seconds(midi), 4),
        sample_rate=sound.sample_rate,
        loudness_lufs=_finite(levels.loudness_lufs),
        peak_dbtp=_finite(levels.peak_dbtp),
        gain_db=round(levels.gain_db, 2),
        limited_by_peak=levels.limited,
        instrument=_instrument(piece, recipe),
        tempo_qpm=round(60e6 / first_tempo(midi), 3),
        backend=synthesis.version(recipe.backend),
        soundfont=font.name,
        soundfont_sha256=font.sha256,
        soundfont_licence=font.licence,
        source=str(piece.source),
        source_sha256=sha256(piece.source),
        recipe=_plain(recipe),
    )


@contextlib.contextmanager
def named(piece: RenderJob) -> Iterator[None]:
    """Faults inside name the file and, in ABC, the tune and its line."""
    try:
        yield
    except UserError as error:
        if str(piece.source) in str(error):
            raise
        where = str(piece.source)
        if piece.text is not None:
            where += f", tune {piece.number}, line {getattr(error, 'line', None) or max(1, piece.line)}"
        message = str(error).removeprefix(f"line {getattr(error, 'line', None)}: ")
        raise (UsageError if isinstance(error, UsageError) else UserError)(f"{where}: {message}") from error


def _load(piece: RenderJob, recipe: Recipe) -> tuple["mido.MidiFile", str]:
    """The piece as MIDI with the recipe's edits, and its title."""
    from symbolic.formats import midi
    from symbolic.notation import abc_parser

    if piece.text is not None:
        score = abc_parser.parse(piece.text, piece.line)
        return midi_of(score, recipe), score.title
    if not recipe.repeats:
        raise UsageError(f"{piece.source}: a MIDI file has no repeats to leave out; drop --no-repeats.")
    return midi_of(midi.read_midi(piece.source), recipe), ""


def midi_of(music: "Score | Sequence[Sound] | mido.MidiFile", recipe: Recipe) -> "mido.MidiFile":
    """MIDI with instrument, tempo and transposition applied. A MIDI file keeps what the recipe leaves open."""
    import mido

    from audio_bridge.render.beats import midi_beats, score_beats
    from audio_bridge.render.grace_notes import with_played_graces
    from audio_bridge.render.instruments import program, programs
    from audio_bridge.render.metronome import with_clicks
    from audio_bridge.render.midi_edits import arranged, played_by
    from symbolic.formats import midi
    from symbolic.notation.score import Score

    if isinstance(music, mido.MidiFile):
        made = arranged(music, tempo_qpm=recipe.tempo_qpm, transpose=recipe.transpose)
    else:
        played = with_played_graces(music) if isinstance(music, Score) and recipe.grace_notes else music
        built = midi.build(
            played, tempo_qpm=recipe.tempo_qpm, program=program(DEFAULT_INSTRUMENT), repeats=recipe.repeats
        )
        made = arranged(built, transpose=recipe.transpose)
    if recipe.instrument is not None:
        made = played_by(made, programs(recipe.instrument))
    if recipe.count_in or recipe.metronome:
        beats = score_beats(music, recipe.repeats) if isinstance(music, Score) else midi_beats(made)
        made = with_clicks(made, beats, count_in=recipe.count_in, metronome=recipe.metronome)
    return made


def _performed(midi: "mido.MidiFile", recipe: Recipe) -> tuple["Audio", "Levels"]:
    """Synthesise, trim, resample, level."""
    from audio_bridge.sound import audio, loudness
    from symbolic.formats.midi import seconds

    score_seconds = seconds(midi)
    if score_seconds > MAX_SECONDS:
        limit = f"at most {MAX_SECONDS / 60:g} minutes are rendered"
        raise UserError(f"the music lasts {score_seconds / 60:,.1f} minutes; {limit}. Shorten it, or raise --tempo.")
    sound = audio.trimmed(_synthesised(midi, score_seconds, recipe), score_seconds)
    sound = audio.resampled(sound, recipe.sample_rate)
    if recipe.loudness_lufs is None:
        return sound, loudness.measured(sound)
    return loudness.normalised(sound, recipe.loudness_lufs)


def _synthesised(midi: "mido.MidiFile", score_seconds: float, recipe: Recipe) -> "Audio":
    """The synthesisers clip at full scale, so a clipped pass is thrown away and played again with less volume."""
    import numpy as np

    from audio_bridge.render import soundfonts, synthesis
    from audio_bridge.render.midi_edits import for_synthesis, tuned

    font = soundfonts.find(recipe.soundfont)
    midi = tuned(midi, font.replaced, font.cents)
    for turn in range(_MAX_PASSES):
        data = for_synthesis(midi, volume=_QUIETER**turn, tail_seconds=TAIL_SECONDS)
        sound = synthesis.synthesise(data, font.path, score_seconds + TAIL_SECONDS, recipe.backend)
        if np.abs(sound.samples).max(initial=0.0) < _CLIPPED:
            break
    return sound


def _report(rendering: Rendering, record: bool) -> None:
    loudness = "silent" if rendering.loudness_lufs is None else f"{rendering.loudness_lufs:.1f} LUFS"
    peak = "" if rendering.peak_dbtp is None else f", peak {rendering.peak_dbtp:.1f} dBTP"
    limited = " (the peak sets the level)" if rendering.limited_by_peak else ""
    print(f"{rendering.path}  {rendering.seconds:.1f} s, {loudness}{peak}{limited}  {rendering.title}".rstrip())
    if record:
        write_json(f"{rendering.path}.json", asdict(rendering))  # with its ending: OUT.mp3 and OUT.wav may both be


def _loudness(text: str) -> float | None:
    if text.lower() in ("off", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -70.0 <= value <= 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a loudness from -70 to 0 LUFS nor 'off'")
    return value


def _finite(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _instrument(piece: RenderJob, recipe: Recipe) -> str | None:
    """The names of the instruments that play; None where a MIDI file chooses."""
    from audio_bridge.render.instruments import PROGRAMS, programs

    if recipe.instrument is None and piece.text is None:
        return None
    chosen = programs(DEFAULT_INSTRUMENT if recipe.instrument is None else recipe.instrument)
    return ", ".join(PROGRAMS[number] for number in chosen)


def _plain(recipe: Recipe) -> dict[str, str | int | float | bool | None]:
    return asdict(recipe) | {"soundfont": None if recipe.soundfont is None else str(recipe.soundfont)}
