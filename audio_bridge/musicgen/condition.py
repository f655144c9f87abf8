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
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.musicgen.melody_adherence import choice_of
from audio_bridge.musicgen.melody_source import (
    MelodyRequest,
    MelodySource,
    condition_losses,
    read_sources,
    rendered_melody,
)
from symbolic.errors import UsageError, UserError
from symbolic.files import sha256, write_json
from symbolic.progress import Console, clock

if TYPE_CHECKING:
    import torch

    from audio_bridge.musicgen.generation import MusicGenSampling
    from audio_bridge.musicgen.musicgen_model import MusicGen
    from audio_bridge.sound.audio import Audio

MAX_SOUNDS = 256
LOOP_FADE_SECONDS = 0.5
DEFAULT_LOUDNESS_LUFS = -16.0
_HUB_MELODY = "facebook/musicgen-melody"
_SMALL = (
    "{wanted} is not on this machine, so the small model {small} plays: an ocarina, whatever the text says. "
    "--model {wanted} fetches the other."
)
_NOISE = "the debug model has random weights: what it plays is noise."


@dataclass(frozen=True)
class ConditionOptions:
    """How sounds are made. `texts` describe the sound; `model` None is `default()` of musicgen_model; of `takes` sounds
    the one nearest to its melody is kept; `stride` is that of the windows beyond 30 s, in seconds; `articulate` puts
    the score's rests and note beginnings onto the sound."""

    melody: MelodyRequest = field(default_factory=MelodyRequest)
    texts: tuple[str, ...] = ("",)
    model: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    takes: int = 1
    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = 250
    stride: float | None = None
    batch: int = 4
    loop: bool = False
    articulate: bool = False
    stems: bool = False
    keep_takes: bool = False
    loudness: float = DEFAULT_LOUDNESS_LUFS
    sample_format: str | None = None

    @property
    def sampling(self) -> "MusicGenSampling":
        """How codes are drawn."""
        from audio_bridge.musicgen.generation import MusicGenSampling

        return MusicGenSampling(self.guidance, self.temperature, self.top_k)


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
    melody.add_argument(
        "--articulate", action="store_true", help="put the score's rests and note beginnings onto the sound"
    )
    model = parser.add_argument_group("model")
    default = "facebook/musicgen-melody if it was fetched, else the small `ocarina`"
    model.add_argument("--model", metavar="NAME", help=f"name, folder or `debug` (default: {default})")
    model.add_argument("--device", default="auto", metavar="D", help="auto (default), cpu or cuda")
    model.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="number type (default: auto)",
    )
    model.add_argument("--seed", type=int, default=0, help="of the first take; the next takes count up")
    model.add_argument("--takes", type=int, default=1, metavar="N", help="make N, keep the one nearest to the melody")
    model.add_argument("--guidance", type=float, default=3.0, metavar="G", help="1 is none (default: %(default)s)")
    model.add_argument("--temperature", type=float, default=1.0, help="default %(default)s; 0 takes the likeliest")
    model.add_argument("--top-k", type=int, default=250, help="default %(default)s")
    model.add_argument("--stride", type=float, metavar="S", help="of windows, beyond 30 s (default: 18)")
    model.add_argument(
        "--batch-size", dest="batch", type=int, default=4, metavar="N", help="sounds at once (default: %(default)s)"
    )
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
    melody = MelodyRequest(choice_of(args), args.chroma, args.instrument, args.bars, args.seconds)
    names = [f.name for f in fields(ConditionOptions) if f.name not in ("melody", "texts")]
    options = ConditionOptions(melody, tuple(args.text or [""]), **{name: getattr(args, name) for name in names})
    condition(args.sources, args.output, options, plan_only=args.plan)
    return 0


def condition(
    sources: Path | str | Sequence[Path | str],
    target: Path | str,
    options: ConditionOptions = ConditionOptions(),
    *,
    plan_only: bool = False,
) -> list[dict[str, Any]]:
    """Make a sound for every melody of `sources` with every text, and return the record of each.

    sources: files of ABC, MIDI or audio, or a single one. One sound is written to `target`, several to numbered names
    beside it; each with its record as .json. With `plan_only` the cost is told and nothing made. Raises UsageError for
    options that mean nothing, UserError for files and models that cannot be read.
    """
    from audio_bridge.musicgen import musicgen_model
    from symbolic import machine

    named = [sources] if isinstance(sources, Path | str) else sources
    jobs = _jobs([Path(source) for source in named], Path(target), options)
    if options.model is None:
        options = replace(options, model=musicgen_model.default())
        if options.model == musicgen_model.SMALL:
            print(_SMALL.format(small=musicgen_model.SMALL, wanted=musicgen_model.DEFAULT), file=sys.stderr)
    assert options.model is not None
    device = machine.pick_device(options.device)
    is_small = options.model in (musicgen_model.SMALL, musicgen_model.DEBUG)
    dtype = musicgen_model.pick_dtype("float32" if is_small and options.dtype == "auto" else options.dtype, device)
    _tell_cost(jobs, options, device, dtype)
    _tell_losses(jobs, options.articulate)
    if plan_only:
        return []
    gen = musicgen_model.load(options.model, device, dtype)
    _check_model(gen, jobs, options)
    takes = _make_all(gen, jobs, options)
    records = [_write(job, takes[job.target], gen, options, str(dtype).removeprefix("torch.")) for job in jobs]
    if options.model == musicgen_model.DEBUG:
        print(_NOISE, file=sys.stderr)
    return records


def _check_model(gen: "MusicGen", jobs: Sequence[Job], options: ConditionOptions) -> None:
    """Refuse a model without a melody input; tell of texts that it reads only the beginning of."""
    from audio_bridge.musicgen import musicgen_model

    if not gen.hears_melody:
        raise UserError(f"{options.model} takes a text alone: name a melody checkpoint, such as {_HUB_MELODY}.")
    for text in {job.text for job in jobs}:
        if options.model != musicgen_model.SMALL and gen.truncated(text):
            print(
                f"the text has more than {gen.prompt_tokens} tokens; what follows is not read: {text}", file=sys.stderr
            )


def _make_all(
    gen: "MusicGen", jobs: Sequence[Job], options: ConditionOptions
) -> "dict[Path, list[tuple[int, Audio, list[int]]]]":
    """Every take of every job, in batches: seed, sound, samples at which windows begin to add; by the job's target."""
    rows = [(job, take) for job in jobs for take in range(options.takes)]
    takes: dict[Path, list[tuple[int, Audio, list[int]]]] = {job.target: [] for job in jobs}
    for start in range(0, len(rows), options.batch):
        part = rows[start : start + options.batch]
        label = f"{start + 1}-{start + len(part)} of {len(rows)}" if len(rows) > 1 else "sound"
        for (job, take), made in zip(part, _make_batch(gen, part, options, label), strict=True):
            takes[job.target].append((options.seed + take, *made))
    return takes


def _tell_losses(jobs: Sequence[Job], articulate: bool) -> None:
    """Say what of each melody the condition cannot carry."""
    for source in {id(job.source): job.source for job in jobs}.values():
        losses = condition_losses(source.line)
        if losses:
            name = source.path if source.tune is None else f"{source.path}, tune {source.tune}"
            told = f"the melody condition is a pitch class a frame; it cannot tell {', '.join(losses)}"
            mend = "" if articulate else " (--articulate puts rests and note beginnings onto the sound)"
            print(f"note: {name}: {told}{mend}.", file=sys.stderr)


def _jobs(sources: Sequence[Path], target: Path, options: ConditionOptions) -> list[Job]:
    """Every tune with every text; faults of the request are found here, before anything is loaded."""
    from audio_bridge.render import instruments
    from audio_bridge.render.render import check_folder
    from audio_bridge.sound import audio

    instruments.program(options.melody.instrument)
    audio.check_format(target, audio.MUSICGEN_RATE, options.sample_format)
    check_folder(target)
    _check_numbers(options)
    if any(path.resolve() == target.resolve() for path in sources):
        raise UsageError(f"-o {target} is what is to be followed: name another file.")
    melodies = [source for path in sources for source in read_sources(path, options.melody)]
    unwritten = next((source.path for source in melodies if not source.line), None)
    if options.articulate and unwritten is not None:
        raise UsageError(f"{unwritten} is audio, which has no notes to begin: leave --articulate out.")
    pairs = list(itertools.product(melodies, options.texts))
    if len(pairs) * options.takes > MAX_SOUNDS:
        raise UsageError(f"{len(pairs)} sounds of {options.takes} takes: at most {MAX_SOUNDS} in one call.")
    width = len(str(len(pairs)))
    names = [target.with_name(f"{target.stem}-{i + 1:0{width}d}{target.suffix}") for i in range(len(pairs))]
    return [
        Job(source, text, name if len(pairs) > 1 else target) for (source, text), name in zip(pairs, names, strict=True)
    ]


def _check_numbers(options: ConditionOptions) -> None:
    """Refuse numbers that mean nothing, NaN among them."""
    bounds = {
        "takes": (1, MAX_SOUNDS), "batch": (1, MAX_SOUNDS), "guidance": (1.0, 100.0), "temperature": (0.0, 100.0),
        "top_k": (0, 1_000_000), "seed": (0, 2**62), "stride": (1.0, 29.0), "bars": (1, 100_000),
        "seconds": (1.0, math.inf), "loudness": (-70.0, 0.0),
    }  # fmt: skip
    for name, (low, high) in bounds.items():
        value = getattr(options.melody if name in ("bars", "seconds") else options, name)
        if value is not None and not low <= value <= high:
            upper = f" to {high:g}" if high < 2**62 else " or more"
            raise UsageError(f"--{name.replace('_', '-')} {value}: give {low:g}{upper}.")


def _tell_cost(jobs: Sequence[Job], options: ConditionOptions, device: "torch.device", dtype: "torch.dtype") -> None:
    """Memory and time before the weights are loaded."""
    from audio_bridge.musicgen import musicgen_model

    batches = -(-len(jobs) * options.takes // options.batch)
    longest = max(job.source.seconds for job in jobs)
    stride = options.stride or 18.0
    windows = longest + max(0, -(-(longest - 30) // stride)) * (30 - stride)
    rows = min(options.batch, len(jobs) * options.takes)
    assert options.model is not None
    cost = musicgen_model.cost(options.model, device, dtype, rows, min(30.0, longest), batches * windows)
    count = f"{len(jobs)} sound{'s' if len(jobs) > 1 else ''} of up to {longest:.1f} s"
    print(f"{options.model}: {cost.text()} for {count} on {device}.", file=sys.stderr)
    total = machine_memory_bytes()
    if device.type == "cpu" and total and cost.memory_bytes > total:
        print(
            f"this machine has {total / 2**30:.1f} GiB: lower --batch-size, or choose --dtype bfloat16.",
            file=sys.stderr,
        )


def machine_memory_bytes() -> float | None:
    """Memory of this machine."""
    from symbolic import machine

    size = machine.memory_gib()
    return None if size is None else size * 2**30


def _make_batch(
    gen: "MusicGen", rows: "Sequence[tuple[Job, int]]", options: ConditionOptions, label: str
) -> "list[tuple[Audio, list[int]]]":
    """One batch: sounds of the length of each job, and the samples at which windows begin to add."""
    from audio_bridge.musicgen import generation
    from audio_bridge.musicgen.articulation import articulated
    from audio_bridge.sound import stems
    from audio_bridge.sound.audio import Audio

    fade = LOOP_FADE_SECONDS if options.loop else 0.0
    lengths = [round(job.source.seconds * gen.sample_rate) for job, _ in rows]
    n_frames = gen.n_frames(max(lengths) / gen.sample_rate + fade)

    def chroma_at(start: float, count: int) -> NDArray[np.int64]:
        return np.stack([job.source.classes(start, count) for job, _ in rows])

    seeds = [options.seed + take for _, take in rows]
    texts = [job.text for job, _ in rows]
    bar = _Bar(label)
    codes, seams = generation.generate(
        gen, texts, chroma_at, n_frames, seeds, options.sampling, stride_seconds=options.stride, progress=bar.show
    )
    bar.close()
    sounds = gen.decode(codes)
    made = []
    for (job, _), sound, length in zip(rows, sounds, lengths, strict=True):
        audio = Audio(sound, gen.sample_rate)
        if options.loop:
            audio = Audio(sound[:, : length + round(fade * gen.sample_rate)], gen.sample_rate)
            audio = stems.looped(audio, length)
        places = [frame * gen.frame_samples for frame in seams if frame * gen.frame_samples < length]
        audio = stems.fitted(audio, length)
        made.append((articulated(audio, job.source.line) if options.articulate else audio, places))
    return made


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
    job: Job, takes: "list[tuple[int, Audio, list[int]]]", gen: "MusicGen", options: ConditionOptions, dtype: str
) -> dict[str, Any]:
    """Write the best take, its stems, and the record beside them; return the record."""
    matches = [_match(job.source, audio) for _, audio, _ in takes]
    best = int(np.argmax(matches))
    seed, audio, seams = takes[best]
    levelled = _levelled(audio, options.loudness)
    files = _stem_files(job, levelled, options) if options.stems else {}
    if options.keep_takes:
        for i, (_, other, _) in enumerate(takes):
            name = job.target.with_name(f"{job.target.stem}-take{i + 1}{job.target.suffix}")
            _save(_levelled(other, options.loudness), name, options)
    _save(levelled, job.target, options)
    record = _record(job, gen, options, dtype, seed, [round(m, 4) for m in matches]) | {"stems": files}
    record["seams"] = [
        {"seconds": round(place / audio.sample_rate, 3), "rank": round(_seam(audio, place), 3)} for place in seams
    ]
    record["adherence"] = _adherence(job.source, audio)
    write_json(f"{job.target}.json", record)
    print(f"{job.target}  {audio.seconds:.2f} s  chroma match {matches[best]:.1%}  seed {seed}  {job.text}".rstrip())
    return record


def _record(
    job: Job, gen: "MusicGen", options: ConditionOptions, dtype: str, seed: int, matches: list[float]
) -> dict[str, Any]:
    from symbolic import machine

    source, melody = job.source, options.melody
    chosen = ("loop", "articulate", "stride", "batch", "loudness")
    return {
        "path": str(job.target),
        "source": str(source.path),
        "source_sha256": sha256(source.path),
        "tune": source.tune,
        "score": source.melody.abc if source.melody else None,
        "chroma": source.mode,
        "seconds": source.seconds,
        "text": job.text,
        "model": options.model,
        "parameters": sum(p.numel() for p in gen.model.parameters()),
        "dtype": dtype,
        "device": gen.device.type,
        "seed": seed,
        "chroma_match_of_takes": matches,
        "sampling": asdict(options.sampling),
        "options": {
            **{name: getattr(options, name) for name in chosen},
            **{name: getattr(melody.choice, name) for name in ("voice", "tempo", "transpose", "repeats")},
            "bars": melody.bars,
            "instrument": melody.instrument,
        },
        "condition_cannot_tell": condition_losses(source.line),
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
    ceiling = melody_adherence.rendered_score(source.melody, melody_adherence.DEFAULT_INSTRUMENT)
    return melody_adherence.plain(melody_adherence.compare(_mono32(audio), source.melody, source.line, ceiling))


def _seam(audio: "Audio", place: int) -> float:
    from audio_bridge.sound import stems

    return stems.seam(audio.samples.mean(axis=0), place, audio.sample_rate)


def _mono32(audio: "Audio") -> NDArray[np.float32]:
    from audio_bridge.sound import recordings

    return recordings.mono(audio).samples[0]


def _stem_files(job: Job, conditioned: "Audio", options: ConditionOptions) -> dict[str, str]:
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
            stems.fitted(
                resampled(rendered_melody(melody, options.melody.instrument, job.source.seconds), rate), length
            ),
            options.loudness,
        ),
        "click": stems.click([beat for beat in melody.beats if beat[0] < job.source.seconds], length, rate),
    }
    parts["mix"] = _levelled(stems.mixed(parts), options.loudness)
    names = {name: job.target.with_name(f"{job.target.stem}-{name}{job.target.suffix}") for name in parts}
    for name, part in parts.items():
        _save(part, names[name], options)
    return {name: str(path) for name, path in names.items()}


def _levelled(audio: "Audio", lufs: float) -> "Audio":
    from audio_bridge.sound import loudness

    return loudness.normalised(audio, lufs)[0]


def _save(audio: "Audio", path: Path, options: ConditionOptions) -> None:
    from audio_bridge.sound.audio import write_audio

    write_audio(audio, path, options.sample_format)
