"""How closely a sound follows a score, each measure beside its ceiling and its floor.

    python -m audio_bridge adherence OUT.wav --score TUNE.abc

The ceiling is the score itself, rendered and measured in the same way: what a perfect follower could reach. The floor
is the same sound measured against the tune's notes in random order (for tempo and key: against random ones). Time
zero of the sound is time zero of the score.

  chroma match     share of frames (0.128 s) whose loudest pitch class is the score's; chance 1/12
                   (audiocraft's chroma cosine with arg max; published: 0.44 for musicgen-melody, 0.66 in its paper)
  melody accuracy  the same above middle C (a high pass at 261.2 Hz, as in Stable Audio's ControlNet)
  raw pitch        share of melody time whose pitch is within 50 cents (mir_eval.melody); raw chroma: octaves forgiven
  onset F1         notes that begin within 50 ms of the score's (mir_eval.onset)
  tempo            1 if the strongest pulse is the score's within 4 %, or half, twice, a third, three times it
  key              mir_eval's weighted score: 1 the same key, 0.5 a fifth away, 0.3 relative, 0.2 parallel
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import MUSICGEN_RATE
from symbolic.errors import UserError
from symbolic.files import write_json

if TYPE_CHECKING:
    from audio_bridge.render.timed_melody import Melody
    from audio_bridge.sound.analysis import Track
    from audio_bridge.sound.timed_note import TimedNote

MEASURES = (
    *("chroma match", "melody accuracy", "raw pitch accuracy", "raw chroma accuracy"),
    *("onset F1", "tempo agreement", "key agreement"),
)
CHANCE = {"chroma match": 1 / 12, "melody accuracy": 1 / 12}
N_SHUFFLES = 20
DEFAULT_INSTRUMENT = "violin"  # of the ceiling
FAD_SECONDS = 5.0  # of sound in one embedding
ONSET_WINDOW_SECONDS = 0.05
TEMPO_TOLERANCE = 0.04
TEMPO_LEVELS = (1.0, 2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)  # a jig is felt in two or in six
Scores = dict[str, float]


@dataclass(frozen=True)
class MelodyChoice:
    """What is played of a score, and how: a tune X:N of several; a voice from 1, or the skyline; quarter notes a minute
    (None: the tune's own); semitones up; whether repeats are played."""

    tune: int | None = None
    voice: str = "skyline"
    tempo: float | None = None
    transpose: int = 0
    repeats: bool = True


@dataclass(frozen=True)
class PerceptualNetworks:
    """Names or folders of weights on this machine for measures by neural networks; None leaves a measure out."""

    clap: str | None = None
    text: str | None = None
    reference: Path | None = None
    tagger: str | None = None
    aesthetics: bool = False


@dataclass(frozen=True)
class Heard:
    """What was measured in a sound, once, before it is compared with any score."""

    seconds: float
    classes: NDArray[np.int64]
    high_classes: NDArray[np.int64]
    pitch: "Track"
    onsets: NDArray[np.float64]
    bpm: float | None
    key: str


@dataclass(frozen=True)
class Adherence:
    """Scores of a sound, the same for the rendered score (None: not made), and for the sound against random tunes."""

    scores: Scores
    ceiling: Scores | None
    floor: Scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("audio", type=Path, metavar="AUDIO", help="any audio file")
    parser.add_argument("--score", type=Path, required=True, metavar="TUNE", help="ABC or MIDI file")
    add_score_arguments(parser)
    parser.add_argument("--instrument", default=DEFAULT_INSTRUMENT, help="of the ceiling (default: %(default)s)")
    parser.add_argument("--no-ceiling", action="store_true", help="do not render the score")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffled tunes")
    networks = parser.add_argument_group("networks", "names or folders of weights that are on this machine")
    networks.add_argument("--clap", metavar="NAME", help="CLAP: with --text its cosine, with --reference FAD")
    networks.add_argument("--text", help="what the sound was meant to be")
    networks.add_argument("--reference", type=Path, metavar="FOLDER", help="recordings that FAD compares with")
    networks.add_argument("--tagger", metavar="NAME", help="AST: KL divergence from the rendered score")
    networks.add_argument("--aesthetics", action="store_true", help="Audiobox aesthetics")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.json", help="write the scores")
    parser.add_argument("--json", action="store_true", help="end with the scores as one line of JSON")


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """What is played of a score, and how fast: the options that all verbs with a melody share."""
    parser.add_argument("--tune", type=int, metavar="N", help="the tune X:N of a file of several, else the N-th")
    parser.add_argument("--voice", default="skyline", metavar="N", help="a voice from 1, or skyline (default)")
    parser.add_argument("--tempo", type=float, metavar="QPM", help="quarter notes a minute (default: the tune's)")
    parser.add_argument("--transpose", type=int, default=0, metavar="N", help="semitones up, negative down")
    parser.add_argument("--no-repeats", action="store_true", help="an ABC tune as written, without its repeats")


def choice_of(args: argparse.Namespace) -> MelodyChoice:
    """The shared score options as a value."""
    return MelodyChoice(args.tune, args.voice, args.tempo, args.transpose, not args.no_repeats)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the scores."""
    from symbolic.evaluate.report.tables import console

    networks = PerceptualNetworks(args.clap, args.text, args.reference, args.tagger, args.aesthetics)
    instrument = None if args.no_ceiling else args.instrument
    result, perceived_scores = adherence(
        args.audio, args.score, choice_of(args), instrument=instrument, seed=args.seed, networks=networks
    )
    print(console(table(result, f"{args.audio} against {args.score}")), end="")
    record: dict[str, Any] = {"audio": str(args.audio), "score": str(args.score), **plain(result)}
    record["perceived"] = perceived_scores
    for name, value in perceived_scores.items():
        print(f"{name}  {value:.3f}")
    if args.output:
        write_json(args.output, record)
    if args.json:
        print(json.dumps(record))
    return 0


def adherence(
    audio: Path | str,
    score: Path | str,
    choice: MelodyChoice = MelodyChoice(),
    *,
    instrument: str | None = DEFAULT_INSTRUMENT,
    seed: int = 0,
    networks: PerceptualNetworks = PerceptualNetworks(),
) -> tuple[Adherence, dict[str, float]]:
    """Measure how closely a recording follows a score: MEASURES with ceiling and floor, and what the networks say.

    `instrument` plays the ceiling, None leaves it out; `seed` draws the shuffled tunes of the floor. Raises UserError
    for files that cannot be read.
    """
    from audio_bridge.sound import recordings

    audio, score = Path(audio), Path(score)
    melody, line = score_of(score, choice)
    sound = recordings.mono(recordings.read(audio).audio).samples[0]
    ceiling = None if instrument is None else rendered_score(melody, instrument)
    result = compare(sound, melody, line, ceiling, seed=seed)
    return result, perceptual_scores(sound, ceiling, audio, networks)


def perceptual_scores(
    sound: NDArray[np.float32], ceiling: NDArray[np.float32] | None, path: Path, networks: PerceptualNetworks
) -> dict[str, float]:
    """Scores by the networks that are named: CLAP cosine, FAD, KL divergence, aesthetics; empty where none is.

    `sound` and `ceiling` are mono at 32 kHz; `path` is the file of `sound`.
    """
    from audio_bridge.musicgen import perceptual

    values: dict[str, float] = {}
    if networks.clap and networks.text:
        cosines = perceptual.clap(networks.clap, _windows(sound) or [sound], networks.text)[1]
        values["CLAP cosine"] = 0.0 if cosines is None else float(cosines.mean())
    if networks.clap and networks.reference:
        values["FAD"] = _frechet_audio_distance(networks.clap, sound, path, networks.reference)
    if networks.tagger and ceiling is not None:
        values["KL"] = perceptual.divergence(*(perceptual.labels(networks.tagger, [one]) for one in (ceiling, sound)))
    if networks.aesthetics:
        values |= perceptual.aesthetics(path)
    return values


def _frechet_audio_distance(clap: str, sound: NDArray[np.float32], path: Path, folder: Path) -> float:
    """Fréchet distance between CLAP embeddings of a sound's windows and those of a folder's recordings."""
    from audio_bridge.musicgen import perceptual
    from audio_bridge.sound import recordings

    others = [recordings.mono(recordings.read(other).audio).samples[0] for other in recordings.find(folder)]
    own, theirs = ([part for one in sounds for part in _windows(one)] for sounds in ([sound], others))
    if len(own) < 2 or len(theirs) < 2:
        raise UserError(f"FAD compares sets: {path} and {folder} need {2 * FAD_SECONDS:g} s each.")
    return perceptual.frechet(*(perceptual.clap(clap, parts)[0] for parts in (own, theirs)))


def _windows(sound: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    length = round(FAD_SECONDS * MUSICGEN_RATE)
    return [sound[start : start + length] for start in range(0, sound.size - length + 1, length)]


def score_of(path: Path, choice: MelodyChoice) -> "tuple[Melody, list[TimedNote]]":
    """The chosen melody of an ABC or MIDI file, and its line. UserError where several tunes leave it open."""
    from audio_bridge.render import render, timed_melody

    pieces = render.pieces_of(path, None, choice.tune)
    if len(pieces) > 1:
        numbers = ", ".join(str(piece.number) for piece in pieces[:8])
        raise UserError(f"{path} has {len(pieces)} tunes ({numbers}, ...): choose one with --tune N.")
    whole = timed_melody.load(pieces[0], tempo_qpm=choice.tempo, transpose=choice.transpose, repeats=choice.repeats)
    return whole, timed_melody.line(whole, voice_of(choice.voice))


def voice_of(text: str) -> int | None:
    """A voice counted from 0, None for the skyline."""
    if text == "skyline":
        return None
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"--voice {text!r}: give a voice from 1, or skyline.")
    return int(text) - 1


def compare(
    sound: NDArray[np.float32],
    melody: "Melody",
    line: "Sequence[TimedNote]",
    ceiling: NDArray[np.float32] | None = None,
    *,
    seed: int = 0,
) -> Adherence:
    """Compare a mono sound at 32 kHz with a score by all measures; `ceiling` is the rendered score, mono at 32 kHz."""
    heard = hear(sound)
    top = None if ceiling is None else scores(hear(ceiling[: sound.size]), line, melody.qpm)
    return Adherence(scores(heard, line, melody.qpm), top, floor(heard, line, seed))


def rendered_score(melody: "Melody", instrument: str) -> NDArray[np.float32]:
    """The score as mono sound at 32 kHz."""
    from audio_bridge.render import render
    from audio_bridge.sound import recordings

    return recordings.mono(render.render(melody.midi, sample_rate=MUSICGEN_RATE, instrument=instrument)).samples[0]


def hear(sound: NDArray[np.float32]) -> Heard:
    """Everything that the measures need of a sound."""
    from audio_bridge.sound import analysis, chroma

    return Heard(
        seconds=sound.size / analysis.SAMPLE_RATE,
        classes=chroma.of_audio(sound),
        high_classes=chroma.of_audio(analysis.high_passed(sound)),
        pitch=analysis.pitch(sound),
        onsets=analysis.onsets(sound),
        bpm=analysis.tempo(sound),
        key=analysis.key(analysis.pitch_class_weights(sound)),
    )


def scores(heard: Heard, line: "Sequence[TimedNote]", qpm: float) -> Scores:
    """Every measure of a sound against a line, over the time that both last."""
    import mir_eval

    own = [note for note in line if note.onset < heard.seconds]
    assert own, "the sound ends before the first note"
    wanted, known = _classes(own, heard)
    starts = np.array(_starts(own))
    f1 = mir_eval.onset.f_measure(starts, heard.onsets, window=ONSET_WINDOW_SECONDS)[0] if heard.onsets.size else 0.0
    raw_pitch, raw_chroma = _raw_accuracies(own, heard)
    return {
        "chroma match": _share(heard.classes, wanted, known),
        "melody accuracy": _share(heard.high_classes, wanted, known),
        "raw pitch accuracy": raw_pitch,
        "raw chroma accuracy": raw_chroma,
        "onset F1": float(f1),
        "tempo agreement": float(heard.bpm is not None and same_tempo(heard.bpm, qpm)),
        "key agreement": float(mir_eval.key.weighted_score(key_of(own), heard.key)),
    }


def chroma_match(sound: NDArray[np.float32], line: "Sequence[TimedNote]") -> float:
    """The first measure alone, for choosing among takes."""
    from audio_bridge.sound import chroma

    classes = chroma.of_audio(sound)
    times = chroma.frame_times(0, len(classes))
    return _share(classes, chroma.exact(line, times), chroma.sounding(line, times))


def floor(heard: Heard, line: "Sequence[TimedNote]", seed: int = 0) -> Scores:
    """The mean of each measure against shuffled tunes; tempo and key against random ones."""
    from audio_bridge.sound import analysis

    rng = np.random.default_rng(seed)
    runs = [scores(heard, shuffled(line, rng), _random_tempo(rng)) for _ in range(N_SHUFFLES)]
    means = {name: float(np.mean([run[name] for run in runs])) for name in MEASURES}
    import mir_eval

    keys = [f"{tonic} {mode}" for tonic in analysis.KEYS for mode in ("major", "minor")]
    means["key agreement"] = float(np.mean([mir_eval.key.weighted_score(key, heard.key) for key in keys]))
    return means


def shuffled(line: "Sequence[TimedNote]", rng: np.random.Generator) -> "list[TimedNote]":
    """The notes with the rests after them, in random order."""
    from audio_bridge.sound.timed_note import TimedNote

    ends = [note.onset for note in line[1:]] + [line[-1].end]
    slots = [(end - note.onset, note.end - note.onset, note.midi) for note, end in zip(line, ends, strict=True)]
    clock, out = line[0].onset, []
    for i in rng.permutation(len(slots)):
        room, length, midi = slots[i]
        out.append(TimedNote(clock, clock + length, midi))
        clock += room
    return out


def same_tempo(bpm: float, qpm: float) -> bool:
    """Whether a pulse is the score's quarter note or another metrical level of it."""
    return any(abs(bpm / (qpm * level) - 1) <= TEMPO_TOLERANCE for level in TEMPO_LEVELS)


def key_of(line: "Sequence[TimedNote]") -> str:
    """The key of a line by the same profiles as a sound's, weighted by time."""
    from audio_bridge.sound import analysis

    weights = np.zeros(12)
    for note in line:
        weights[note.midi % 12] += note.end - note.onset
    return analysis.key(weights)


def table(result: Adherence, title: str):  # type: ignore[no-untyped-def]
    """The scores as a table."""
    from symbolic.evaluate.report.tables import Share, Table

    def cell(values: Mapping[str, float] | None, name: str) -> Share | None:
        return Share(values[name]) if values and name in values else None

    rows = [
        [name, cell(result.scores, name), cell(result.ceiling, name), cell(result.floor, name), cell(CHANCE, name)]
        for name in MEASURES
    ]
    ceiling = "" if result.ceiling is None else "ceiling: the score rendered; "
    note = f"{ceiling}floor: mean against {N_SHUFFLES} shuffled tunes (tempo, key: random ones)"
    return Table(title, ["measure", "sound", "ceiling", "floor", "chance"], rows, note)


def plain(result: Adherence) -> dict[str, Scores | None]:
    """For JSON."""
    return {"scores": _rounded(result.scores), "ceiling": _rounded(result.ceiling), "floor": _rounded(result.floor)}


def _rounded(values: Scores | None) -> Scores | None:
    return None if values is None else {name: round(value, 4) for name, value in values.items()}


def _classes(line: "Sequence[TimedNote]", heard: Heard) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    from audio_bridge.sound import chroma

    times = chroma.frame_times(0, len(heard.classes))
    return chroma.exact(line, times), chroma.sounding(line, times)


def _share(heard: NDArray[np.int64], wanted: NDArray[np.int64], known: NDArray[np.bool_]) -> float:
    return float((heard == wanted)[known].mean()) if known.any() else 0.0


def _starts(line: "Sequence[TimedNote]") -> list[float]:
    return sorted({note.onset for note in line})


def _raw_accuracies(line: "Sequence[TimedNote]", heard: Heard) -> tuple[float, float]:
    """Raw pitch and raw chroma accuracy on the times of the pitch track."""
    import mir_eval

    times = heard.pitch.seconds
    starts, ends = np.array([n.onset for n in line]), np.array([n.end for n in line])
    hz = 440.0 * 2 ** ((np.array([n.midi for n in line]) - 69) / 12)
    last = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
    reference = np.where((times >= starts[last]) & (times < ends[last]), hz[last], 0.0)
    if not (reference.any() and heard.pitch.hz.any()):
        return 0.0, 0.0  # mir_eval says so, too, with a warning
    tracks = mir_eval.melody.to_cent_voicing(times, reference, times, heard.pitch.hz)
    return (
        float(mir_eval.melody.raw_pitch_accuracy(*tracks)),
        float(mir_eval.melody.raw_chroma_accuracy(*tracks)),
    )


def _random_tempo(rng: np.random.Generator) -> float:
    from audio_bridge.sound.analysis import TEMPO_RANGE

    return float(np.exp(rng.uniform(*np.log(TEMPO_RANGE))))
