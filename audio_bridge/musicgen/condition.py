"""Sound from a melody and a text with MusicGen-melody: the model is handed the exact melody, not one heard in audio.

    python -m audio_bridge condition TUNE.abc --text "fiddle and accordion, lively" -o OUT.wav
    python -m audio_bridge condition A.abc B.mid C.wav --text "string quartet" --takes 4 --stems -o OUT.flac
    python -m audio_bridge condition TUNE.abc --text anything --model debug -o OUT.wav     # noise, in seconds

The melody of an ABC tune or a MIDI file goes to the model as it is written (--chroma exact); `rendered` and any audio
file go through the extractor that the model was trained with. Several tunes and texts make every pair of them. Beside
each sound lies a .json with all that is needed to make it again, and how closely the sound follows the score.
"""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.musicgen.melody_adherence import voice_of
from symbolic.errors import UsageError, UserError
from symbolic.files import sha256, write_json
from symbolic.training.metrics_log import Console, clock

if TYPE_CHECKING:
    import torch

    from audio_bridge.musicgen.generation import MusicGenSampling
    from audio_bridge.musicgen.musicgen_model import MusicGen
    from audio_bridge.render.timed_melody import Melody
    from audio_bridge.sound.audio import Audio
    from audio_bridge.sound.timed_note import TimedNote

MODES = ("exact", "rendered", "audio")
MAX_SECONDS = 300.0
SILENCE = 1e-3  # of full scale
MOST_SOUNDS = 256
LOOP_FADE_SECONDS = 0.5
DEFAULT_LOUDNESS_LUFS = -16.0
_SMALL = (
    "{wanted} is not on this machine, so the small model {small} plays: an ocarina, whatever the text says. "
    "--model {wanted} fetches the other."
)
_NOISE = "the debug model has random weights: what it plays is noise."


@dataclass(frozen=True)
class MelodySource:
    """A melody to follow: pitch classes at any time of a length in seconds; `melody` and `line` of a score."""

    path: Path
    tune: int | None
    mode: str
    seconds: float
    pitch_classes: NDArray[np.int64]  # (frames,) of an audio file or a rendering; empty where exact
    melody: "Melody | None" = None
    line: "tuple[TimedNote, ...]" = ()

    def classes(self, start: float, count: int) -> NDArray[np.int64]:
        """(count,) frames from a time on; after its end the melody begins again."""
        from audio_bridge.sound import chroma

        if self.mode == "exact":
            return chroma.exact(self.line, (start + chroma.frame_times(0, count)) % self.seconds)
        return chroma.tiled(self.pitch_classes, count, round(start / chroma.FRAME_SECONDS))


@dataclass(frozen=True)
class Job:
    """One sound to make."""

    source: MelodySource
    text: str
    target: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    from audio_bridge.musicgen.melody_adherence import add_score_arguments

    parser.add_argument("sources", nargs="+", type=Path, metavar="TUNE", help="ABC, MIDI or audio files")
    parser.add_argument("--text", action="append", metavar="TEXT", help="what it shall sound like; may be repeated")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".wav, .flac or .mp3")
    melody = parser.add_argument_group("melody")
    melody.add_argument("--chroma", choices=("exact", "rendered"), default="exact", help="of a score (default: exact)")
    melody.add_argument("--instrument", default="violin", help="of the rendered melody (default: %(default)s)")
    add_score_arguments(melody)  # type: ignore[arg-type]
    melody.add_argument("--bars", type=int, metavar="N", help="the first N bars (default: all)")
    melody.add_argument("--seconds", type=float, metavar="S", help="so long at most (default: the whole melody)")
    melody.add_argument("--loop", action="store_true", help="a sound that repeats without a seam")
    model = parser.add_argument_group("model")
    default = "facebook/musicgen-melody if it was fetched, else the small `ocarina`"
    model.add_argument("--model", metavar="NAME", help=f"name, folder or `debug` (default: {default})")
    model.add_argument("--device", default="auto", metavar="D", help="auto (default), cpu or cuda")
    model.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    model.add_argument("--seed", type=int, default=0, help="of the first take; the next takes count up")
    model.add_argument("--takes", type=int, default=1, metavar="N", help="make N, keep the one nearest to the melody")
    model.add_argument("--guidance", type=float, default=3.0, metavar="G", help="1 is none (default: %(default)s)")
    model.add_argument("--temperature", type=float, default=1.0, help="default %(default)s; 0 takes the likeliest")
    model.add_argument("--top-k", type=int, default=250, help="default %(default)s")
    model.add_argument("--stride", type=float, metavar="S", help="of windows, beyond 30 s (default: 18)")
    model.add_argument("--batch", type=int, default=4, metavar="N", help="sounds at once (default: %(default)s)")
    out = parser.add_argument_group("output")
    out.add_argument("--stems", action="store_true", help="also OUT-conditioned, OUT-melody, OUT-click, OUT-mix")
    out.add_argument("--keep-takes", action="store_true", help="write every take, as OUT-takeN")
    out.add_argument(
        "--loudness", type=float, default=DEFAULT_LOUDNESS_LUFS, metavar="LUFS", help="default %(default)s"
    )
    out.add_argument("--sample-format", choices=("pcm16", "pcm24", "float"), help="of WAV and FLAC (default: pcm16)")
    out.add_argument("--plan", action="store_true", help="say what it would cost, and stop")


def run(args: argparse.Namespace) -> int:
    """Check everything, tell the cost, make the sounds."""
    from audio_bridge.musicgen import musicgen_model
    from symbolic import machine

    jobs = _jobs(args)
    if args.model is None:
        args.model = musicgen_model.default()
        if args.model == musicgen_model.SMALL:
            print(_SMALL.format(small=musicgen_model.SMALL, wanted=musicgen_model.DEFAULT), file=sys.stderr)
    device = machine.pick_device(args.device)
    is_small = args.model in (musicgen_model.SMALL, musicgen_model.DEBUG)
    dtype = musicgen_model.pick_dtype("float32" if is_small and args.dtype == "auto" else args.dtype, device)
    _tell_cost(jobs, args, device, dtype)
    if args.plan:
        return 0
    gen = musicgen_model.load(args.model, device, dtype)
    if not gen.hears_melody:
        raise UserError(f"{args.model} takes a text alone: name a melody checkpoint, such as facebook/musicgen-melody.")
    for text in {job.text for job in jobs}:
        if args.model != musicgen_model.SMALL and gen.truncated(text):
            print(
                f"the text has more than {gen.prompt_tokens} tokens; what follows is not read: {text}", file=sys.stderr
            )
    rows = [(job, take) for job in jobs for take in range(args.takes)]
    takes: dict[Path, list[tuple[int, Audio, list[int]]]] = {job.target: [] for job in jobs}
    for start in range(0, len(rows), args.batch):
        part = rows[start : start + args.batch]
        label = f"{start + 1}-{start + len(part)} of {len(rows)}" if len(rows) > 1 else "sound"
        for (job, take), made in zip(part, _made(gen, part, args, label), strict=True):
            takes[job.target].append((args.seed + take, *made))
    for job in jobs:
        _write(job, takes[job.target], gen, args, str(dtype).removeprefix("torch."))
    if args.model == musicgen_model.DEBUG:
        print(_NOISE, file=sys.stderr)
    return 0


def _jobs(args: argparse.Namespace) -> list[Job]:
    """Every tune with every text; faults of the command line are found here, before anything is loaded."""
    from audio_bridge.render import instruments
    from audio_bridge.render.render import check_folder
    from audio_bridge.sound import audio

    instruments.program(args.instrument)
    audio.check_format(args.output, 32_000, args.sample_format)
    check_folder(args.output)
    _check_numbers(args)
    if any(path.resolve() == args.output.resolve() for path in args.sources):
        raise UsageError(f"-o {args.output} is what is to be followed: name another file.")
    sources = [source for path in args.sources for source in _sources(path, args)]
    pairs = list(itertools.product(sources, args.text or [""]))
    if len(pairs) * args.takes > MOST_SOUNDS:
        raise UsageError(f"{len(pairs)} sounds of {args.takes} takes: at most {MOST_SOUNDS} in one call.")
    width = len(str(len(pairs)))
    out = args.output
    names = [out.with_name(f"{out.stem}-{i + 1:0{width}d}{out.suffix}") for i in range(len(pairs))]
    return [
        Job(source, text, name if len(pairs) > 1 else out) for (source, text), name in zip(pairs, names, strict=True)
    ]


def _check_numbers(args: argparse.Namespace) -> None:
    """Refuse numbers that mean nothing, NaN among them."""
    bounds = {
        "takes": (1, MOST_SOUNDS), "batch": (1, MOST_SOUNDS), "guidance": (1.0, 100.0), "temperature": (0.0, 100.0),
        "top_k": (0, 1_000_000), "seed": (0, 2**62), "stride": (1.0, 29.0), "bars": (1, 100_000),
        "seconds": (1.0, math.inf), "loudness": (-70.0, 0.0),
    }  # fmt: skip
    for name, (low, high) in bounds.items():
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            upper = f" to {high:g}" if high < 2**62 else " or more"
            raise UsageError(f"--{name.replace('_', '-')} {value}: give {low:g}{upper}.")


def _sources(path: Path, args: argparse.Namespace) -> list[MelodySource]:
    from audio_bridge.render import render, timed_melody
    from audio_bridge.sound import chroma, recordings

    if path.suffix.lower() in recordings.SUFFIXES:
        _no_score_options(path, args)
        sound = recordings.mono(recordings.read(path).audio)
        if sound.seconds < 1.0:
            raise UserError(f"{path} lasts {sound.seconds:.2f} s: a melody to follow takes 1 s or more.")
        if np.abs(sound.samples).max() < SILENCE:
            print(f"{path} is silent: there is no melody in it to follow.", file=sys.stderr)
        return [
            MelodySource(path, None, "audio", _length(path, sound.seconds, args), chroma.of_audio(sound.samples[0]))
        ]
    made = []
    for piece in render.pieces_of(path, None, args.tune):
        whole = timed_melody.load(piece, tempo_qpm=args.tempo, transpose=args.transpose, repeats=not args.no_repeats)
        seconds = timed_melody.first_bars(whole, args.bars) if args.bars else whole.seconds
        seconds = _length(path, seconds, args)
        line = tuple(note for note in timed_melody.line(whole, voice_of(args.voice)) if note.onset < seconds)
        if not line:
            raise UserError(f"{path}: the melody has no note in its first {seconds:.1f} s; make it longer.")
        heard = np.zeros(0, dtype=np.int64)
        if args.chroma == "rendered":
            heard = chroma.of_audio(_rendered(whole, args, seconds).samples.mean(axis=0))
        made.append(MelodySource(path, piece.number, args.chroma, seconds, heard, whole, line))
    return made


def _no_score_options(path: Path, args: argparse.Namespace) -> None:
    given = [name for name in ("tune", "tempo", "bars") if getattr(args, name)]
    given += ["transpose"] if args.transpose else []
    if given:
        raise UsageError(f"{path} is audio, which has no notes to count or move: leave --{given[0]} out.")
    if args.chroma == "rendered":
        raise UsageError(f"{path} is audio: leave --chroma out, its melody is heard as it is.")


def _length(path: Path, seconds: float, args: argparse.Namespace) -> float:
    if args.seconds is not None:
        seconds = min(seconds, args.seconds)
    if seconds > MAX_SECONDS:
        raise UserError(
            f"{path} lasts {seconds:.0f} s; at most {MAX_SECONDS:.0f} s are made. Choose --bars or --seconds."
        )
    return seconds


def _tell_cost(jobs: Sequence[Job], args: argparse.Namespace, device: "torch.device", dtype: "torch.dtype") -> None:
    """Memory and time before the weights are loaded."""
    from audio_bridge.musicgen import musicgen_model

    batches = -(-len(jobs) * args.takes // args.batch)
    longest = max(job.source.seconds for job in jobs)
    stride = args.stride or 18.0
    windows = longest + max(0, -(-(longest - 30) // stride)) * (30 - stride)
    rows = min(args.batch, len(jobs) * args.takes)
    cost = musicgen_model.cost(args.model, device, dtype, rows, min(30.0, longest), batches * windows)
    count = f"{len(jobs)} sound{'s' if len(jobs) > 1 else ''} of up to {longest:.1f} s"
    print(f"{args.model}: {cost.text()} for {count} on {device}.", file=sys.stderr)
    total = machine_memory_bytes()
    if device.type == "cpu" and total and cost.memory_bytes > total:
        print(f"this machine has {total / 2**30:.1f} GiB: lower --batch, or choose --dtype bfloat16.", file=sys.stderr)


def machine_memory_bytes() -> float | None:
    """Memory of this machine."""
    from symbolic import machine

    size = machine.memory_gib()
    return None if size is None else size * 2**30


def _made(
    gen: "MusicGen", rows: "Sequence[tuple[Job, int]]", args: argparse.Namespace, label: str
) -> "list[tuple[Audio, list[int]]]":
    """One batch: sounds of the length of each job, and the samples at which windows begin to add."""
    from audio_bridge.musicgen import generation
    from audio_bridge.sound import stems
    from audio_bridge.sound.audio import Audio

    fade = LOOP_FADE_SECONDS if args.loop else 0.0
    lengths = [round(job.source.seconds * gen.sample_rate) for job, _ in rows]
    n_frames = gen.n_frames(max(lengths) / gen.sample_rate + fade)

    def chroma_at(start: float, count: int) -> NDArray[np.int64]:
        return np.stack([job.source.classes(start, count) for job, _ in rows])

    seeds = [args.seed + take for _, take in rows]
    texts = [job.text for job, _ in rows]
    bar = _Bar(label)
    codes, seams = generation.generate(
        gen, texts, chroma_at, n_frames, seeds, sampling_of(args), stride_seconds=args.stride, progress=bar.show
    )
    bar.close()
    sounds = gen.decode(codes)
    made = []
    for sound, length in zip(sounds, lengths, strict=True):
        audio = Audio(sound, gen.sample_rate)
        if args.loop:
            audio = Audio(sound[:, : length + round(fade * gen.sample_rate)], gen.sample_rate)
            audio = stems.looped(audio, length)
        places = [frame * gen.frame_samples for frame in seams if frame * gen.frame_samples < length]
        made.append((stems.fitted(audio, length), places))
    return made


def sampling_of(args: argparse.Namespace) -> "MusicGenSampling":
    """How codes are drawn, as the options say."""
    from audio_bridge.musicgen.generation import MusicGenSampling

    return MusicGenSampling(args.guidance, args.temperature, args.top_k)


class _Bar:
    """Share done and time left, on stderr."""

    def __init__(self, label: str) -> None:
        self.label, self.began, self.console = label, time.perf_counter(), Console()

    def show(self, done: int, total: int) -> None:
        left = (time.perf_counter() - self.began) / max(1, done) * (total - done)
        filled = 20 * done // total
        self.console.working(f"{self.label} [{'#' * filled}{'.' * (20 - filled)}] {clock(left)} left")

    def close(self) -> None:
        self.console.close()


def _write(
    job: Job, takes: "list[tuple[int, Audio, list[int]]]", gen: "MusicGen", args: argparse.Namespace, dtype: str
) -> None:
    """The best take, its stems, and the record beside them."""
    matches = [_match(job.source, audio) for _, audio, _ in takes]
    best = int(np.argmax(matches))
    seed, audio, seams = takes[best]
    levelled = _levelled(audio, args.loudness)
    files = _stem_files(job, levelled, args) if args.stems else {}
    if args.keep_takes:
        for i, (_, other, _) in enumerate(takes):
            name = job.target.with_name(f"{job.target.stem}-take{i + 1}{job.target.suffix}")
            _save(_levelled(other, args.loudness), name, args)
    _save(levelled, job.target, args)
    record = _record(job, gen, args, dtype, seed, [round(m, 4) for m in matches]) | {"stems": files}
    record["seams"] = [
        {"seconds": round(place / audio.sample_rate, 3), "rank": round(_seam(audio, place), 3)} for place in seams
    ]
    record["adherence"] = _adherence(job.source, audio)
    write_json(f"{job.target}.json", record)
    print(f"{job.target}  {audio.seconds:.2f} s  chroma match {matches[best]:.1%}  seed {seed}  {job.text}".rstrip())


def _record(
    job: Job, gen: "MusicGen", args: argparse.Namespace, dtype: str, seed: int, matches: list[float]
) -> dict[str, Any]:
    from symbolic import machine

    source, options = job.source, vars(args)
    chosen = ("voice", "tempo", "transpose", "no_repeats", "bars", "loop", "stride", "batch", "loudness", "instrument")
    return {
        "path": str(job.target),
        "source": str(source.path),
        "source_sha256": sha256(source.path),
        "tune": source.tune,
        "score": source.melody.abc if source.melody else None,
        "chroma": source.mode,
        "seconds": source.seconds,
        "text": job.text,
        "model": args.model,
        "parameters": sum(p.numel() for p in gen.model.parameters()),
        "dtype": dtype,
        "device": gen.device.type,
        "seed": seed,
        "chroma_match_of_takes": matches,
        "sampling": asdict(sampling_of(args)),
        "options": {name: options[name] for name in chosen},
        "versions": {name: machine.version(name) for name in ("torch", "transformers")},
    }


def _match(source: MelodySource, audio: "Audio") -> float:
    from audio_bridge.musicgen import melody_adherence
    from audio_bridge.sound import chroma

    sound = _mono32(audio)
    if source.line:
        return melody_adherence.chroma_match(sound, source.line)
    heard = chroma.of_audio(sound)
    return float((heard == source.classes(0.0, len(heard))).mean())


def _adherence(source: MelodySource, audio: "Audio") -> dict[str, Any] | None:
    """All measures with ceiling and floor, where there is a score to compare with."""
    from audio_bridge.musicgen import melody_adherence

    if source.melody is None:
        return None
    ceiling = melody_adherence.rendered(source.melody, "violin")
    return melody_adherence.plain(melody_adherence.measured(_mono32(audio), source.melody, source.line, ceiling))


def _seam(audio: "Audio", place: int) -> float:
    from audio_bridge.sound import stems

    return stems.seam(audio.samples.mean(axis=0), place, audio.sample_rate)


def _mono32(audio: "Audio") -> NDArray[np.float32]:
    from audio_bridge.sound import recordings

    return recordings.mono(audio).samples[0]


def _rendered(melody: "Melody", args: argparse.Namespace, seconds: float) -> "Audio":
    from audio_bridge.render import render
    from audio_bridge.sound import stems

    audio = render.render(melody.midi, sample_rate=32_000, instrument=args.instrument, loudness_lufs=None)
    return stems.fitted(audio, round(seconds * 32_000))


def _stem_files(job: Job, conditioned: "Audio", args: argparse.Namespace) -> dict[str, str]:
    """Conditioned sound, rendered melody, click and their mix, of equal length from the score's time zero."""
    from audio_bridge.sound import stems
    from audio_bridge.sound.audio import resampled

    melody = job.source.melody
    if melody is None:
        raise UsageError("--stems need a score: an audio file has no melody to render and no beats.")
    rate, length = conditioned.sample_rate, conditioned.samples.shape[1]
    parts = {
        "conditioned": conditioned,
        "melody": _levelled(
            stems.fitted(resampled(_rendered(melody, args, job.source.seconds), rate), length), args.loudness
        ),
        "click": stems.click([beat for beat in melody.beats if beat[0] < job.source.seconds], length, rate),
    }
    parts["mix"] = _levelled(stems.mixed(parts), args.loudness)
    names = {name: job.target.with_name(f"{job.target.stem}-{name}{job.target.suffix}") for name in parts}
    for name, part in parts.items():
        _save(part, names[name], args)
    return {name: str(path) for name, path in names.items()}


def _levelled(audio: "Audio", lufs: float) -> "Audio":
    from audio_bridge.sound import loudness

    return loudness.normalised(audio, lufs)[0]


def _save(audio: "Audio", path: Path, args: argparse.Namespace) -> None:
    from audio_bridge.sound.audio import write_audio

    write_audio(audio, path, args.sample_format)
