"""Is conditioning trained? A MusicGen-melody from random weights, on clips rendered from the bundled tunes.

    python -m experiments.melody_from_scratch                     # clips, model, training, measures: 15 min of a core
    python -m experiments.melody_from_scratch --ship NAME         # and copy the model to
    audio_bridge/musicgen/ready/NAME

The data are training and validation tunes of `data/folk`, one instrument, cut into clips by
`audio_bridge.musicgen.clips`; the model has the library's format (EnCodec at 50 Hz with 4 codebooks, T5, decoder), its
codec is `audio_bridge.musicgen.mdct_codec`, and it is trained by `audio_bridge.musicgen.finetune` as any checkpoint is.
Then, on *test* tunes of other families, sounds are made under the exact chroma of the score and measured: chroma match
under the own melody, under the melody of another tune (floor), of sounds made without melody, and of the clips' own
codes decoded (ceiling of the codec).
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.errors import UserError

RATE = 32_000
SECONDS = 15.0  # of each tune
GAP_SECONDS = 0.5
INSTRUMENT = "ocarina"  # nearly a sine: what a small codec can hold
SLOWER = (0.6, 0.9)  # of the tune's own tempo, drawn at random: notes of two frames and more
TUNES_A_RENDERING = 70
REPEATS = 20  # crops of a clip in an epoch
READY = result_file.ROOT / "audio_bridge" / "musicgen" / "ready"  # where `condition` looks
CONDITION_WORDS = INSTRUMENT
CARD = """# {name}

A MusicGen-melody of {millions:.2f} million parameters (transformers' `MusicgenMelodyForConditionalGeneration`), trained
from random weights on one CPU core to play a melody that it is given on one instrument, the {instrument}. The offline
default of `python -m audio_bridge condition`: a demonstration of the whole path, no replacement of the published
checkpoints. It has learnt no texts. It hears {seconds:g} s at a time; longer sounds slide that window.

Chroma match on {tunes} test tunes of other families than the training tunes (chance 0.083; one seed; guidance 3 where a
melody is given):

| sound | own score | another tune's score |
|---|---:|---:|
{rows}

Made by `{command}`; `experiments/results/melody_from_scratch.json`.
Tunes: Aird, O'Neill and Ryan, public domain, encodings by permission (`symbolic/corpus/corpora.py`), rendered with
TimGM6mb (GPL-2; the font is no part of the weights). Weights: MIT, as the code. EnCodec's convolutions are a cosine
transform set by `audio_bridge/musicgen/mdct_codec.py`, its codebooks k-means.
"""


@dataclass(frozen=True)
class RenderedTune:
    """The first seconds of a tune as sound and as notes."""

    name: str
    samples: NDArray[np.float32]
    line: list[Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("--folder", type=Path, default=Path("runs/melody-from-scratch"))
    made.add_argument("--tunes", type=int, default=60, help="training tunes (default 60)")
    made.add_argument("--held-out", type=int, default=12, help="validation tunes, and as many test tunes (default 12)")
    made.add_argument("--hidden", type=int, default=96)
    made.add_argument("--layers", type=int, default=3)
    made.add_argument("--clip-seconds", type=float, default=2.56)
    made.add_argument("--steps", type=int, default=3000)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--ship", metavar="NAME", help="copy the trained model to audio_bridge/musicgen/ready/NAME")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "melody_from_scratch.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Make the clips, train, measure, write the result."""
    import torch

    from audio_bridge.musicgen import finetune, musicgen_model

    clips = args.folder / "clips"
    test = make_clips(args.data, clips, args.tunes, args.held_out, args.seed)
    start = args.folder / "start"
    if not start.is_dir():
        training = [_read(path) for path in sorted((clips / "train").glob("*.wav"))[:16]]
        make_model(start, training, args.hidden, args.layers, args.clip_seconds)
    config = configuration(clips, start, args)
    trained = args.folder / "run"
    if not (trained / "export").is_dir():
        finetune.finetune(config, trained, resume=trained.is_dir())
    gen = musicgen_model.load(str(trained / "export"), torch.device("cpu"), torch.float32)
    summary = files.read_json(trained / "run.json")["summary"]
    settings = {"test tunes": len(test), "training": {key: summary[key] for key in ("steps", "seconds", "best_loss")}}
    recorder = result_file.Recorder("melody_from_scratch", args.seed, settings=asdict(config) | settings)
    recorder.data_digest = result_file.data_digest(args.data)
    measure(gen, test, args.clip_seconds, recorder)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    if args.ship:
        shutil.copytree(trained / "export", READY / args.ship, dirs_exist_ok=True)
        files.write_whole(READY / args.ship / "README.md", card(args.ship, result_file.read(args.output), gen))
    return 0


def card(name: str, result: dict[str, Any], gen: Any) -> str:
    """What the shipped model is, can and cannot do."""

    def mean(sound: str, against: str, **keys: Any) -> float:
        row = result_file.find(result, sound=sound, against=against, **keys)
        assert row is not None
        return float(np.mean(row["repeats"]))

    s, n = result["settings"], sum(p.numel() for p in gen.model.parameters()) / 1e6
    rows = [
        ("this model, given the exact melody", "own melody", {"guidance": 3.0}),
        ("this model, given no melody", "no melody", {}),
        ("its codec alone (ceiling)", "codec alone", {}),
    ]
    cells = [
        f"| {label} | {mean(sound, 'own', **keys):.3f} | {mean(sound, 'another tune', **keys):.3f} |"
        for label, sound, keys in rows
    ]
    return CARD.format(
        name=name, millions=n, instrument=INSTRUMENT, seconds=s["clip_seconds"], tunes=s["test tunes"],
        rows="\n".join(cells), command=result["command"],
    )  # fmt: skip


def configuration(clips: Path, start: Path, args: argparse.Namespace) -> Any:
    """The fine-tuning run: all weights, frames of the decoder's input blanked so that the melody is read."""
    from audio_bridge.musicgen.finetune import FinetuneConfig

    n_clips = len(list((clips / "train").glob("*.wav")))
    batch = 8
    epochs = max(1, round(args.steps / -(-n_clips * REPEATS // batch)))
    return FinetuneConfig(
        name="melody-from-scratch", data=str(clips), model=str(start), method="full", clip_seconds=args.clip_seconds,
        epochs=epochs, repeats=REPEATS, batch_size=batch, accumulation=1, learning_rate=2e-3, warmup_steps=50,
        weight_decay=0.1, drop_both=0.1, drop_melody=0.1, drop_codes=0.9, gradient_checkpointing=False, patience=epochs,
        save_every=100, samples=0, seed=args.seed, device="cpu", dtype="float32",
    )  # fmt: skip


def make_clips(data: Path, folder: Path, n_train: int, n_held: int, seed: int) -> list[RenderedTune]:
    """Write train/ and valid/ where they are not there yet; return the test tunes. Splits are the corpus's own."""
    test = rendered_tunes(data, "test", n_held, seed)
    if not folder.is_dir():
        with files.whole_folder(folder) as temporary:
            for split, count in (("train", n_train), ("valid", n_held)):
                for tune in rendered_tunes(data, split, count, seed):
                    _write(tune, temporary / split)
    return test


def rendered_tunes(data: Path, split: str, count: int, seed: int) -> list[RenderedTune]:
    """The beginnings of tunes drawn at random; many are rendered in one go, with silence between."""
    from audio_bridge.sound.timed_note import TimedNote

    chosen = _beginnings(data, split, count, seed)
    tunes = []
    for start in range(0, len(chosen), TUNES_A_RENDERING):
        part = chosen[start : start + TUNES_A_RENDERING]
        whole = _render([sounds for _, sounds in part])
        for i, (name, sounds) in enumerate(part):
            begin = round(i * (SECONDS + GAP_SECONDS) * RATE)
            line = [TimedNote(_seconds(s.onset_ticks), _seconds(s.onset_ticks + s.ticks), s.midi) for s in sounds]
            tunes.append(RenderedTune(name, whole[begin : begin + round(SECONDS * RATE)], line))
    return tunes


def make_model(folder: Path, sounds: Sequence[NDArray[np.float32]], hidden: int, layers: int, seconds: float) -> None:
    """A MusicGen-melody with a random decoder and a codec that knows the sounds."""
    from transformers import MusicgenMelodyForConditionalGeneration

    from audio_bridge.musicgen import mdct_codec, musicgen_model
    from audio_bridge.sound import chroma

    length = round(seconds / chroma.FRAME_SECONDS) + 1
    config = musicgen_model.tiny_config(
        hidden=hidden, layers=layers, heads=4, codec=mdct_codec.settings(), chroma_length=length
    )
    gen = musicgen_model.random_model(MusicgenMelodyForConditionalGeneration, config)
    mdct_codec.set_transform(gen.model.audio_encoder)
    mdct_codec.learn_codebooks(gen.model.audio_encoder, sounds)
    with files.whole_folder(folder) as temporary, musicgen_model.quiet():
        gen.model.save_pretrained(temporary)
        gen.tokenizer.save_pretrained(temporary)


def measure(gen: Any, test: Sequence[RenderedTune], seconds: float, recorder: result_file.Recorder) -> None:
    """Rows of chroma match, one repeat a tune."""
    from audio_bridge.musicgen import generation
    from audio_bridge.musicgen.generation import MusicGenSampling

    lines = [tune.line for tune in test]
    others = lines[1:] + lines[:1]
    codec = [gen.decode(gen.encode(tune.samples[None]))[0, 0] for tune in test]
    _add(recorder, "rendered", [tune.samples for tune in test], lines, others)
    _add(recorder, "codec alone", codec, lines, others)
    n_frames = gen.n_frames(SECONDS)
    for name, guidance, heard in (("own melody", 3.0, True), ("own melody", 1.0, True), ("no melody", 1.0, False)):
        at = _chroma_at(lines) if heard else None
        texts, seeds = [CONDITION_WORDS] * len(test), [recorder.seed + i for i in range(len(test))]
        codes, _ = generation.generate(gen, texts, at, n_frames, seeds, MusicGenSampling(guidance))
        _add(recorder, name, list(gen.decode(codes)[:, 0]), lines, others, guidance=guidance)


def _chroma_at(lines: Sequence[Any]) -> Any:
    from audio_bridge.sound import chroma

    def at(start: float, count: int) -> NDArray[np.int64]:
        times = (start + chroma.frame_times(0, count)) % SECONDS
        return np.stack([chroma.exact(line, times) for line in lines])

    return at


def _add(recorder: result_file.Recorder, name: str, sounds: Any, lines: Any, others: Any, **keys: Any) -> None:
    from audio_bridge.musicgen import melody_adherence

    for against, chosen in (("own", lines), ("another tune", others)):
        values = [melody_adherence.chroma_match(sound, line) for sound, line in zip(sounds, chosen, strict=True)]
        recorder.measured(values, "chroma match", sound=name, against=against, **keys)


def table(result: dict[str, Any]) -> str:
    """Means over tunes."""
    lines = [f"{'sound':14} {'guidance':>8}  {'own score':>9}  {'another tune':>12}"]
    for row in result_file.select(result, against="own"):
        keys = {key: row[key] for key in ("sound", "guidance") if key in row}
        other = result_file.find(result, against="another tune", **keys)
        values = [np.mean(one["repeats"]) for one in (row, other) if one]
        lines.append(f"{row['sound']:14} {row.get('guidance', ''):>8}  {values[0]:9.3f}  {values[1]:12.3f}")
    return "\n".join(lines)


def _beginnings(data: Path, split: str, count: int, seed: int) -> list[tuple[str, list[Any]]]:
    from symbolic.formats import midi
    from symbolic.notation import abc_parser
    from symbolic.notation.performance import performance

    rows = list(files.read_jsonl(data / "tunes" / f"{split}.jsonl"))
    rng = np.random.default_rng(seed)
    rng.shuffle(rows)
    chosen: list[tuple[str, list[Any]]] = []
    for row in rows:
        score = abc_parser.parse(row["text"])
        stretch = 120 / (midi.score_qpm(score) * rng.uniform(*SLOWER))
        sounds = [
            replace(s, voice=0, onset_ticks=round(s.onset_ticks * stretch), ticks=max(1, round(s.ticks * stretch)))
            for s in performance(score)
        ]
        sounds = [s for s in sounds if _seconds(s.onset_ticks + s.ticks) <= SECONDS]
        if len(sounds) >= 8 and _seconds(sounds[-1].onset_ticks) > 0.8 * SECONDS:
            chosen.append((row["id"], sounds))
        if len(chosen) == count:
            return chosen
    raise UserError(f"{data} has {len(chosen)} {split} tunes that are long enough, {count} are wanted: lower --tunes.")


def _seconds(ticks: int) -> float:
    """At 120 quarter notes a minute."""
    from symbolic.notation.theory import TICKS_PER_QUARTER

    return ticks / TICKS_PER_QUARTER / 2


def _render(parts: Sequence[Any]) -> NDArray[np.float32]:
    from audio_bridge.render import render
    from symbolic.notation.theory import TICKS_PER_QUARTER

    step = round((SECONDS + GAP_SECONDS) * 2 * TICKS_PER_QUARTER)
    sounds = [replace(s, onset_ticks=s.onset_ticks + i * step) for i, part in enumerate(parts) for s in part]
    audio = render.render(sounds, sample_rate=RATE, instrument=INSTRUMENT)
    whole = audio.samples.mean(axis=0)
    return np.pad(whole, (0, RATE * 20)).astype(np.float32)


def _write(tune: RenderedTune, folder: Path) -> None:
    from audio_bridge.sound.audio import Audio, write_audio

    name = tune.name.replace("/", "-").replace(":", "-")
    write_audio(Audio(tune.samples[None], RATE), folder / f"{name}.wav")
    files.write_whole(folder / f"{name}.txt", CONDITION_WORDS + "\n")


def _read(path: Path) -> NDArray[np.float32]:
    from audio_bridge.sound.audio import read_wav

    return read_wav(path).samples[0]


if __name__ == "__main__":
    sys.exit(main())
