"""Does a conditioned sound begin its notes when the score does? Hard melodies on a ready-made model.

    python -m experiments.onsets                    # a minute of a core
    python -m experiments.onsets --model FOLDER

Each kind of melody (steps, repeated notes, sixteenths at 140 a minute, rests, leaps, chromatic) is played by the model
under its exact chroma, in several keys. Onset F1 (50 ms) and chroma match are those of `audio_bridge adherence`, of
    rendered       the score played by the SoundFont: what the measure allows
    codec alone    that through the model's codec: what the model could reach
    model          the model's sound
    articulated    the same under `condition --articulate`
    shuffled       the model's sound against the notes in random order
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import result_file
from symbolic import command_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from audio_bridge.musicgen.melody_source import MelodySource
    from audio_bridge.sound.timed_note import TimedNote

RATE = 32_000
SECONDS = 8.0
TRANSPOSITIONS = (0, 5)
MEASURES = ("onset F1", "chroma match")
KINDS = {
    "steps": "M:4/4\nL:1/8\nQ:1/4=100\nK:C\nc2d2e2f2|g2a2g2e2|f2e2d2c2|e4g4|a2g2f2e2|d4c4|]",
    "repeated notes": "M:6/8\nL:1/8\nQ:3/8=80\nK:C\nggg ggg|c'3g3|eee eee|d3d3|fff aaa|g3e3|]",
    "sixteenths at 140": "M:2/4\nL:1/16\nQ:1/4=140\nK:C\ncdef gfgf|egc'e' d'fbd'|c'egc' bagf|edcB c4|"
    "baga gfed|cdef gabc'|c'gec' gege|fdbf c4|]",
    "rests": "M:4/4\nL:1/8\nQ:1/4=100\nK:C\nz2c2z2e2|z4g4|z2f2z2d2|c4z4|g2z2e2z2|c4z4|]",
    "leaps": "M:3/4\nL:1/4\nQ:1/4=110\nK:C\ncge|c'ed|fc'a|gce|aeb|gdc|ec'g|c3|]",
    "chromatic": "M:4/4\nL:1/8\nQ:1/4=90\nK:C\nc2^c2d2^d2|e4f2^f2|g2^f2=f2e2|_e2d2_d2c2|c'2b2_b2a2|_a2g2c4|]",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", default="ocarina", help="name or folder of a melody checkpoint (default: ocarina)")
    made.add_argument("--instrument", default="ocarina", help="of the rendered score (default: ocarina)")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "onsets.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Play every kind, measure it, write the result."""
    import torch

    from audio_bridge.musicgen import musicgen_model

    gen = musicgen_model.load(args.model, torch.device("cpu"), torch.float32)
    settings = {"model": args.model, "instrument": args.instrument, "seconds": SECONDS, "keys": len(TRANSPOSITIONS)}
    recorder = result_file.Recorder("onsets", args.seed, settings=settings)
    for kind in KINDS:
        rows = measured(gen, sources(kind), args.instrument, args.seed)
        for sound, values in rows.items():
            for measure in MEASURES:
                found = [round(one[measure], 4) for one in values]
                recorder.measured(found, measure, melody=kind, sound=sound)
        print(
            kind,
            {sound: round(np.mean([one["onset F1"] for one in rows[sound]]), 3) for sound in rows},
            file=sys.stderr,
        )
    recorder.write(args.output)
    return 0


def sources(kind: str) -> "list[MelodySource]":
    """A kind of melody in each key, as `condition` reads it."""
    import tempfile

    from audio_bridge.musicgen.melody_adherence import MelodyChoice
    from audio_bridge.musicgen.melody_source import MelodyRequest, read_sources

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "melody.abc"
        path.write_text(f"X:1\n{KINDS[kind]}\n", encoding="utf-8")
        requests = [MelodyRequest(MelodyChoice(transpose=n), seconds=SECONDS) for n in TRANSPOSITIONS]
        return [read_sources(path, request)[0] for request in requests]


def measured(
    gen: Any, melodies: "Sequence[MelodySource]", instrument: str, seed: int
) -> dict[str, list[dict[str, float]]]:
    """All measures of each way to a sound, one entry a melody."""
    from audio_bridge.musicgen import generation, melody_adherence
    from audio_bridge.musicgen.articulation import envelope

    lengths = [round(one.seconds * RATE) for one in melodies]
    n_frames = gen.n_frames(max(lengths) / RATE)
    seeds = [seed + i for i in range(len(melodies))]
    texts = [instrument] * len(melodies)
    codes, _ = generation.generate(
        gen, texts, lambda start, count: np.stack([one.classes(start, count) for one in melodies]), n_frames, seeds
    )
    rng = np.random.default_rng(seed)
    found: dict[str, list[dict[str, float]]] = {}
    for one, length, sound in zip(melodies, lengths, gen.decode(codes)[:, 0], strict=True):
        assert one.melody is not None
        played = sound[:length]
        rendered = melody_adherence.rendered_score(one.melody, instrument)[:length]
        coded = gen.decode(gen.encode(rendered[None]))[0, 0][:length]
        ways = {
            "rendered": (rendered, one.line), "codec alone": (coded, one.line), "model": (played, one.line),
            "articulated": (played * envelope(one.line, length, RATE), one.line),
            "shuffled": (played, melody_adherence.shuffled(one.line, rng)),
        }  # fmt: skip
        for name, (samples, line) in ways.items():
            found.setdefault(name, []).append(_scores(samples, line))
    return found


def _scores(samples: "NDArray[np.float32]", line: "Sequence[TimedNote]") -> dict[str, float]:
    """The two measures of a mono sound against a line."""
    import mir_eval

    from audio_bridge.musicgen import melody_adherence
    from audio_bridge.sound import analysis

    heard, starts = analysis.onsets(samples), np.array([note.onset for note in line])
    window = melody_adherence.ONSET_WINDOW_SECONDS
    f1 = mir_eval.onset.f_measure(starts, heard, window=window)[0] if heard.size else 0.0
    return {"onset F1": float(f1), "chroma match": melody_adherence.chroma_match(samples, line)}


if __name__ == "__main__":
    sys.exit(main())
