"""One tune as wav, mp3, MIDI and ABC: bytes on disk and length of the sequence that a model would read.

    python -m experiments.representations                     # 100 tunes
    python -m experiments.representations --tunes 0           # the whole corpus

Every tune is rendered as `python -m audio_bridge render` does (violin, repeats played): 16-bit stereo wav at 44.1 kHz,
mp3 of the same by libsndfile, the MIDI file that was played, and the canonical ABC. Sequence lengths: samples a channel
for wav and mp3 (what a decoder of the file gives), REMI tokens (miditok, its defaults) for MIDI, and for ABC the
tokens of each of our vocabularies. The reference study's figures, of one tune of its own, stand beside them.
"""

import argparse
import io
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.errors import UserError

SAMPLE_RATE = 44_100
SECONDS_A_TUNE = 0.8  # to expect, on one core
# The reference study: bytes on disk and elements of the sequence.
REFERENCE = {
    "wav": (3_971_116, 992_768),
    "mp3": (360_951, 992_768),
    "midi": (1_638, 740),
    "abc": (953, 562),
}
FORMS = ("wav", "mp3", "midi", "abc")
KINDS = ("characters", "grammar", "bytepair")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tunes", type=int, default=100, help="how many, drawn at random (default 100; 0: all)")
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "representations.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure a sample or all and write the result."""
    texts = sample(args.data, args.tunes, args.seed)
    print(f"this takes about {max(1, round(len(texts) * SECONDS_A_TUNE / 60))} min on an idle core", file=sys.stderr)
    settings = {"tunes": len(texts), "sample_rate": SAMPLE_RATE, "instrument": "violin"}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("representations", seed=args.seed, settings=settings, data_digest=digest)
    measured, skipped = _measure(texts, _tokenizers(args.data))
    if not measured:
        raise UserError("no tune could be rendered; the first reason stands above.")
    recorder.settings["skipped"] = skipped
    for form in FORMS:
        keys = {"form": form, "reference": REFERENCE[form][0]}
        recorder.measured([one[form]["bytes"] for one in measured], "bytes", quantity="bytes", **keys)
        for name in measured[0][form]["lengths"]:
            values = [one[form]["lengths"][name] for one in measured]
            keys = {"form": form, "sequence": name, "reference": REFERENCE[form][1]}
            recorder.measured(values, "elements", quantity="length", **keys)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def sample(data: Path, n: int, seed: int) -> list[str]:
    """n canonical texts of the corpus, all splits; 0 is all of them."""
    texts = [
        row["text"]
        for split in ("train", "valid", "test")
        for row in files.read_jsonl(data / "tunes" / f"{split}.jsonl")
    ]
    return random.Random(seed).sample(texts, n) if 0 < n < len(texts) else texts


def table(result: dict[str, Any]) -> str:
    """The result for people: medians over tunes."""
    lines = [f"{'form':6} {'quantity':30} {'median':>12} {'lowest':>12} {'highest':>12} {'reference tune':>15}"]
    for row in result["rows"]:
        values = result_file.spread(row["repeats"])
        name = "bytes on disk" if row["quantity"] == "bytes" else row["sequence"]
        numbers = f"{values.median:12,.0f} {values.low:12,.0f} {values.high:12,.0f} {row['reference']:15,}"
        lines.append(f"{row['form']:6} {name:30} {numbers}")
    return "\n".join(lines)


def _tokenizers(data: Path) -> dict[str, Any]:
    from symbolic import tokens

    texts = [row["text"] for row in files.read_jsonl(data / "tunes" / "train.jsonl")]
    return {kind: tokens.build(kind, tokens.VOCAB_SIZE, texts) for kind in KINDS}


def _measure(texts: Sequence[str], tokenizers: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Sizes and lengths of every tune that can be rendered, and how many could not."""
    from symbolic.notation import abc_parser

    measured = []
    for number, text in enumerate(texts, start=1):
        try:
            score = abc_parser.parse(text)
            measured.append({**_sound(score), "midi": _midi(score), "abc": _abc(text, tokenizers)})
        except UserError as error:
            print(f"tune {number}: {error}", file=sys.stderr)
        if number % 50 == 0:
            print(f"{number} of {len(texts)} tunes", file=sys.stderr)
    return measured, len(texts) - len(measured)


def _sound(score: Any) -> dict[str, Any]:
    from audio_bridge.render import render
    from audio_bridge.sound import audio

    sound = render.render(score, sample_rate=SAMPLE_RATE, instrument="violin")
    wav, mp3 = (audio.encoded(sound, Path(f"tune.{suffix}")) for suffix in ("wav", "mp3"))
    return {
        "wav": {"bytes": len(wav), "lengths": {"samples a channel": _n_samples(wav)}},
        "mp3": {"bytes": len(mp3), "lengths": {"samples a channel": _n_samples(mp3)}},
    }


def _n_samples(data: bytes) -> int:
    import soundfile

    return int(soundfile.info(io.BytesIO(data)).frames)


def _midi(score: Any) -> dict[str, Any]:
    from symbolic.formats import midi

    data = midi.to_bytes(midi.build(score))
    return {"bytes": len(data), "lengths": {"REMI tokens": _n_remi_tokens(data)}}


def _n_remi_tokens(data: bytes) -> int:
    import miditok

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tune.mid"
        path.write_bytes(data)
        sequences: Any = miditok.REMI()(path)
    return sum(len(sequence) for sequence in (sequences if isinstance(sequences, list) else [sequences]))


def _abc(text: str, tokenizers: dict[str, Any]) -> dict[str, Any]:
    lengths = {f"{kind} tokens": len(tokenizer.encode(text)) for kind, tokenizer in tokenizers.items()}
    return {"bytes": len(text.encode("utf-8")), "lengths": lengths}


if __name__ == "__main__":
    sys.exit(main())
