"""Pieces of a model of MIDI tokens, written as MIDI files: `generate` with a model that learnt from MIDI.

    python -m symbolic generate runs/gpt2-6m-midi -n 4 -o pieces.mid      # pieces-1.mid ... pieces-4.mid

A piece that holds no note is counted and not written. Prompts and rules of ABC do not apply.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.loaded_model import LoadedModel
from symbolic.decode.tune_writer import GenerationRequest
from symbolic.formats import midi_text

if TYPE_CHECKING:
    from symbolic.decode.engine.engine import Generated


@dataclass(frozen=True)
class GeneratedPieces:
    """Pieces as MIDI text (symbolic.formats.midi_text), how each ended, and what they took."""

    model: LoadedModel
    seed: int
    texts: list[str]
    finished: list[str]
    n_tokens: int
    seconds: float


def generate_pieces(model: LoadedModel, request: GenerationRequest) -> GeneratedPieces:
    """Draw request.n pieces with a model of MIDI."""
    started = time.monotonic()
    drawn = _generate(
        model, request.sampling, request.n, request.seed, max_tokens=request.max_tokens, batch_size=request.batch_size
    )
    return GeneratedPieces(
        model,
        request.seed,
        [model.tokenizer.decode(piece.tokens) for piece in drawn],
        [piece.finished for piece in drawn],
        sum(len(piece.tokens) + (piece.finished == "eos") for piece in drawn),
        time.monotonic() - started,
    )


def draw(
    source: LoadedModel, rules: Sampling, *, n: int, seed: int = 0, max_tokens: int = 1024, batch_size: int = 32
) -> list[tuple[list[int], str]]:
    """Return (tokens, how it ended) of n pieces."""
    drawn = _generate(source, rules, n, seed, max_tokens=max_tokens, batch_size=batch_size)
    return [(piece.tokens, piece.finished) for piece in drawn]


def write_pieces(made: GeneratedPieces, target: Path) -> dict[str, Any]:
    """Write one MIDI file for each piece that holds notes; return a record of what was made."""
    return {
        "model": made.model.name,
        "seed": made.seed,
        "pieces": len(made.texts),
        "unfinished": sum(ending != "eos" for ending in made.finished),
        "empty": made.texts.count(""),
        "tokens": made.n_tokens,
        "seconds": round(made.seconds, 3),
        "seconds_of_music": round(sum(midi_text.parse(text).seconds for text in made.texts if text), 1),
        "files": [str(path) for path in _write_files(target, made.texts)],
    }


def summary(record: dict[str, Any]) -> str:
    """Return one line on the record of `write_pieces`."""
    rate = record["tokens"] / record["seconds"] if record["seconds"] else 0.0
    where = f"; {record['files'][0]} ..." if record["files"] else ""
    return (
        f"{record['pieces']} pieces by {record['model']}: {record['unfinished']} unfinished, {record['empty']} empty; "
        f"{record['seconds_of_music']:,.0f} s of music, {record['tokens']:,} tokens in {record['seconds']:.1f} s, "
        f"{rate:,.0f} tokens/s{where}"
    )


def _generate(
    model: LoadedModel, sampling: Sampling, n: int, seed: int, *, max_tokens: int, batch_size: int
) -> list["Generated"]:
    from symbolic.decode.engine import engine

    tokenizer = model.tokenizer
    return engine.generate(
        model.model,
        [[tokenizer.bos]] * n,
        max_new_tokens=max_tokens,
        n_tokens=tokenizer.n_tokens,
        eos=tokenizer.eos,
        sampling=sampling,
        seed=seed,
        batch_size=batch_size,
    )


def _write_files(target: Path, texts: list[str]) -> list[Path]:
    """Write one file for each piece that holds notes, numbered where there are several."""
    written = []
    for number, text in enumerate(texts, start=1):
        if text:
            path = target if len(texts) == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")
            files.write_whole(path, midi_text.to_midi(midi_text.parse(text)))
            written.append(path)
    return written
