"""How much of a melody survives on its way to the model, and where each way breaks.

    python -m experiments.adherence                                             # the CPU part: no checkpoint needed
    python -m experiments.adherence --model facebook/musicgen-melody --device cuda    # and the model's own sounds

The chroma that MusicGen-melody would be given is compared with the score, frame by frame, along five ways: `exact`
(from the notes), `rendered` (the melody alone, synthesised), `re-synthesised` (that through a codec of 1.2 kbit/s),
`mixed` (with accompaniment, not separated) and `separated` (the mix through a high pass at middle C, the separation
that needs no weights; Demucs is not run). One of note length, register, tempo and polyphony changes at a time. For
`exact` every frame is right by construction; what breaks there is the grid, so the second measure is the share of notes
that own at least one frame.

With a checkpoint the same ways condition the model, and its sounds are measured (rows with quantity `generated`).
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from experiments import figures
from symbolic import command_line, machine
from symbolic.evaluate.report import palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audio_bridge.sound.timed_note import TimedNote

RATE = 32_000
SECONDS = 8.0
FRAME_SECONDS = 0.128
GAP_SECONDS = 1.0
WAYS = ("exact", "rendered", "re-synthesised", "mixed", "separated")
INKS = dict(zip(WAYS, ("gpt2", "mamba", "mamba2", "control", "human"), strict=True))
FACTORS: dict[str, tuple[float, ...]] = {
    "note length, seconds": (0.07, 0.1, 0.14, 0.2, 0.3, 0.5),
    "register, semitones": (-24, -12, 0, 12, 24),
    "tempo, times the tune's": (0.5, 1.0, 1.5, 2.0, 3.0),
    "voices below": (0, 1, 2, 3),
}
STANDARD_LENGTH, STANDARD_VOICES = 0.3, 2
MELODY, ACCOMPANIMENT = "violin", "piano"
LOWEST_NOTE, HIGHEST_NOTE = 28, 103


@dataclass(frozen=True)
class MelodyLine:
    """A melody with the chords below it, in seconds."""

    notes: "tuple[TimedNote, ...]"
    below: "tuple[TimedNote, ...]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--lines", type=int, default=6, help="melodies for each point (default 6)")
    made.add_argument("--model", help="a checkpoint: also measure what it plays")
    made.add_argument("--device", default="auto")
    made.add_argument("--dtype", default="auto")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "adherence.json")
    made.add_argument("--figure", type=Path, default=figures.FOLDER / "adherence.svg")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every point, write the result, draw it."""
    settings = {"lines": args.lines, "seconds": SECONDS, "melody": MELODY, "accompaniment": ACCOMPANIMENT}
    recorder = result_file.Recorder("adherence", args.seed, settings=settings | {"model": args.model})
    gen = _loaded(args)
    for factor, values in FACTORS.items():
        for value in values:
            lines = lines_of(factor, value, args.lines, args.seed)
            heard = ways(lines)
            _record_conditions(recorder, factor, value, lines, heard)
            _record_generated(recorder, factor, value, lines, heard, gen)
            print(f"{factor} {value:g}", file=sys.stderr)
    recorder.not_run("Demucs is no dependency of this project", way="separated by Demucs")
    figures.save(figure(recorder.result()), args.figure)
    recorder.write(args.output)
    return 0


def lines_of(factor: str, value: float, count: int, seed: int) -> list[MelodyLine]:
    """Melodies at a point: a walk over a scale for note length, voices and register; real tunes for tempo."""
    length = value if factor.startswith("note length") else STANDARD_LENGTH
    voices = round(value) if factor.startswith("voices") else STANDARD_VOICES
    moved = round(value) if factor.startswith("register") else 0
    rngs = [np.random.default_rng([seed, i]) for i in range(count)]
    if factor.startswith("tempo"):
        melodies = [_tune(i, value) for i in range(count)]
    else:
        melodies = [_walk(rng, length) for rng in rngs]
    lines = [MelodyLine(tuple(notes), _chords(notes, voices)) for notes in melodies]
    return [replace(one, notes=tuple(replace(n, midi=_placed(n.midi + moved)) for n in one.notes)) for one in lines]


def ways(lines: Sequence[MelodyLine]) -> dict[str, list[NDArray[np.int64]]]:
    """The chroma of every line along every way (frames of SECONDS)."""
    from audio_bridge.sound import analysis, chroma

    times = chroma.frame_times(0, chroma.n_frames(SECONDS))
    alone = _rendered([line.notes for line in lines], MELODY)
    below = _rendered([line.below for line in lines], ACCOMPANIMENT) if lines[0].below else [0 * x for x in alone]
    mixed = [melody + 0.7 * other for melody, other in zip(alone, below, strict=True)]
    return {
        "exact": [chroma.exact(line.notes, times) for line in lines],
        "rendered": [chroma.of_audio(sound) for sound in alone],
        "re-synthesised": [chroma.of_audio(sound) for sound in _through_codec(alone)],
        "mixed": [chroma.of_audio(sound) for sound in mixed],
        "separated": [chroma.of_audio(analysis.high_passed(sound)) for sound in mixed],
    }


def notes_heard(line: MelodyLine, classes: NDArray[np.int64]) -> float:
    """Share of the notes whose class some frame that they touch has."""
    hits = []
    for note in line.notes:
        first, last = math.ceil(note.onset / FRAME_SECONDS - 0.5), math.floor(note.end / FRAME_SECONDS + 0.5)
        hits.append(bool((classes[max(0, first) : last + 1] == note.midi % 12).any()))
    return float(np.mean(hits))


def figure(result: dict[str, Any]) -> "Figure":
    """A panel a factor: mean chroma match of every way, lowest to highest line as a band."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(figures.STYLE):
        drawn = Figure(figsize=(figures.WIDTH, 5.6), layout="constrained")
        axes = drawn.subplots(2, 2, sharey=True)
    for panel, factor in zip(axes.flat, FACTORS, strict=True):
        for way in WAYS:
            rows = result_file.select(result, factor=factor, way=way, quantity="chroma match")
            ink = palette.ink(INKS[way])
            dash: Any = (0, [float(n) / 1.5 for n in ink.dash.split()]) if ink.dash else "-"
            x, y = [row["value"] for row in rows], [np.mean(row["repeats"]) for row in rows]
            panel.plot(x, y, color=ink.light, linestyle=dash, marker="o", ms=3, lw=1.5, label=way)
            spreads = [result_file.spread(row["repeats"]) for row in rows]
            panel.fill_between(x, [s.low for s in spreads], [s.high for s in spreads], color=ink.light, alpha=0.1, lw=0)
        if factor.startswith("note length"):
            panel.set_xscale("log")
            panel.set_xticks(FACTORS[factor], [f"{value:g}" for value in FACTORS[factor]])
            panel.minorticks_off()
        panel.set_xlabel(factor)
        panel.set_ylim(0, 1.02)
        panel.axhline(1 / 12, color="#999999", lw=0.8, ls=":")
    for panel in axes[:, 0]:
        panel.set_ylabel("frames with the score's pitch class")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    return drawn


def _record_conditions(
    recorder: result_file.Recorder, factor: str, value: float, lines: Sequence[MelodyLine], heard: dict[str, Any]
) -> None:
    for way in WAYS:
        keys = {"factor": factor, "value": value, "way": way}
        pairs = list(zip(heard["exact"], heard[way], strict=True))
        matches = [float((one == other[: len(one)]).mean()) for one, other in pairs]
        recorder.measured(matches, "share of frames", quantity="chroma match", **keys)
        shares = [notes_heard(line, classes) for line, classes in zip(lines, heard[way], strict=True)]
        recorder.measured(shares, "share of notes", quantity="notes heard", **keys)


def _record_generated(
    recorder: result_file.Recorder,
    factor: str,
    value: float,
    lines: Sequence[MelodyLine],
    heard: dict[str, Any],
    gen: Any,
) -> None:
    """What the model plays under the chroma of every way, against the score."""
    from audio_bridge.musicgen import generation, melody_adherence
    from audio_bridge.sound import chroma

    for way in WAYS:
        keys = {"factor": factor, "value": value, "way": way, "quantity": "generated"}
        if gen is None:
            recorder.not_run("no checkpoint: run with --model", **keys)
            continue

        def at(start: float, count: int, way: str = way) -> NDArray[np.int64]:
            first = round(start / chroma.FRAME_SECONDS)
            return np.stack([chroma.tiled(classes, count, first) for classes in heard[way]])

        seeds = [recorder.seed + i for i in range(len(lines))]
        codes, _ = generation.generate(gen, ["solo melody"] * len(lines), at, gen.n_frames(SECONDS), seeds)
        sounds = gen.decode(codes).mean(axis=1)
        values = [melody_adherence.chroma_match(s, list(line.notes)) for s, line in zip(sounds, lines, strict=True)]
        recorder.measured(values, "chroma match", **keys)


def _loaded(args: argparse.Namespace) -> Any:
    from audio_bridge.musicgen import musicgen_model

    if args.model is None:
        return None
    device = machine.pick_device(args.device)
    return musicgen_model.load(args.model, device, musicgen_model.pick_dtype(args.dtype, device))


def _walk(rng: np.random.Generator, length: float) -> "list[TimedNote]":
    """Steps and small leaps over D major around D5, every note of one length; it begins anywhere in a frame."""
    from audio_bridge.sound.timed_note import TimedNote

    scale = [62 + 12 * octave + step for octave in (0, 1) for step in (0, 2, 4, 5, 7, 9, 11)]
    place, notes, start = 7, [], rng.uniform(0, FRAME_SECONDS)
    for i in range(int((SECONDS - start) / length)):
        place = int(np.clip(place + rng.choice([-3, -2, -1, -1, 1, 1, 2, 3]), 0, len(scale) - 1))
        notes.append(TimedNote(start + i * length, start + (i + 1) * length, scale[place]))
    return notes


def _tune(index: int, times: float) -> "list[TimedNote]":
    """The beginning of a bundled tune at so many times its tempo."""
    from audio_bridge.render import timed_melody
    from symbolic.files import read_jsonl
    from symbolic.formats import midi
    from symbolic.notation import abc_parser

    rows = list(read_jsonl(Path("data/folk/tunes/test.jsonl")))
    score = abc_parser.parse(rows[7 * index]["text"])
    line = timed_melody.line(timed_melody.of_score(score, tempo_qpm=midi.score_qpm(score) * times))
    return [note for note in line if note.end <= SECONDS]


def _chords(notes: "Sequence[TimedNote]", voices: int) -> "tuple[TimedNote, ...]":
    """Held notes below, changed every second: root, fifth, third of the melody's note at that time."""
    from audio_bridge.sound.timed_note import TimedNote

    made = []
    for second in range(int(SECONDS)):
        root = next((n.midi for n in notes if n.end > second), 62) % 12 + 48
        made += [TimedNote(second, second + 1.0, _placed(root + (0, 7, 4)[v])) for v in range(voices)]
    return tuple(made)


def _placed(midi: int) -> int:
    return int(np.clip(midi, LOWEST_NOTE, HIGHEST_NOTE))


def _rendered(parts: "Sequence[Sequence[TimedNote]]", instrument: str) -> list[NDArray[np.float32]]:
    """Mono sounds of SECONDS, all rendered in one go with silence between."""
    from audio_bridge.render import render
    from symbolic.notation.performance import Sound
    from symbolic.notation.theory import TICKS_PER_QUARTER

    step, rate = SECONDS + GAP_SECONDS, 2 * TICKS_PER_QUARTER  # ticks a second at 120 quarter notes a minute
    sounds = [
        Sound(0, round((n.onset + i * step) * rate), max(1, round((n.end - n.onset) * rate)), n.midi)
        for i, part in enumerate(parts)
        for n in part
    ]
    whole = render.render(sounds, sample_rate=RATE, instrument=instrument).samples.mean(axis=0)
    whole = np.pad(whole, (0, round(step * RATE)))
    starts = [round(i * step * RATE) for i in range(len(parts))]
    return [whole[start : start + round(SECONDS * RATE)].astype(np.float32) for start in starts]


_CODEC: list[Any] = []


def _through_codec(sounds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Coded and decoded by the codec of `audio_bridge.musicgen.mdct_codec`, its codebooks learnt on the first sounds it
    is given."""
    import torch
    from transformers import EncodecConfig, EncodecModel

    from audio_bridge.musicgen import mdct_codec, musicgen_model

    if not _CODEC:
        with musicgen_model.quiet():
            settings = EncodecConfig(sampling_rate=RATE, use_causal_conv=False, **mdct_codec.settings())
            model = EncodecModel(settings).eval()
        mdct_codec.set_transform(model)
        mdct_codec.learn_codebooks(model, sounds)
        _CODEC.append(model)
    with torch.inference_mode():
        batch = torch.from_numpy(np.stack(sounds))[:, None]
        codes = _CODEC[0].encode(batch).audio_codes
        return list(_CODEC[0].decode(codes, [None] * len(sounds)).audio_values[:, 0].numpy())


if __name__ == "__main__":
    sys.exit(main())
