"""ABC against MIDI tokens on the same pieces: bits, training time, generation time, validity, for each model.

    python -m experiments.abc_vs_midi                          # two small models, 400 steps: about 20 minutes on a core
    python -m experiments.abc_vs_midi --configs configs/gpt2-6m.yaml configs/mamba2-6m.yaml --steps 20000

The tunes of a prepared folder are written as MIDI pieces (symbolic.data.pieces) with the same split, so that both
notations hold the same training, validation and test tunes; --repeats plays repeats out, as a MIDI file would, else
both hold the tune as it is written. Everything else is equal: shape, schedule, tokens a step, steps, transpositions.

What a token or a byte is differs, so neither is a unit to compare in. A tune is the same in both, and so are its
written notes and the time that it lasts: test bits are divided by those. MIDI tokens do not carry spelling, key, bar
lines' kinds, slurs, graces, chord symbols and decorations, and, written without --repeats, no repeats; ABC pays for
all of them, and for MIDI's tempo nothing. So --bare takes from the ABC what MIDI cannot say as well.
Validity is the share of sampled pieces that can be read as music whose every bar fits its metre: ABC as `evaluate` has
it; MIDI, which cannot overfill a bar, as pieces whose tokens all stand where they may.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments import results
from symbolic import config as configuration
from symbolic import files, runs, verbs
from symbolic.config import Config
from symbolic.data import notation, pieces
from symbolic.data.score import Bar, Note, Rest, Score, Tuplet, Voice
from symbolic.errors import UserError

KINDS = ("grammar", "remi", "tsd-bytepair")
FOLDER = runs.ROOT / "abc_vs_midi"
KEPT = (Bar, Note, Rest, Tuplet)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return verbs.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = [Path("configs/quickstart-gpt2.yaml"), Path("configs/quickstart-mamba2.yaml")]
    made.add_argument("--configs", nargs="+", type=Path, default=models, help="models and training")
    made.add_argument("--kinds", nargs="+", default=list(KINDS), help="tokenizers (default: %(default)s)")
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="a folder of ABC by `prepare`")
    made.add_argument("--steps", type=int, default=400)
    made.add_argument("--vocab-size", type=int, default=768)
    made.add_argument("--repeats", action="store_true", help="MIDI with repeats played out")
    made.add_argument("--bare", action="store_true", help="ABC without what MIDI cannot say")
    made.add_argument("--pieces", type=int, default=32, help="sampled for speed and validity (default 32)")
    made.add_argument("--test-tunes", type=int, default=0, help="test tunes to score (default: all)")
    made.add_argument("-o", "--output", type=Path, default=results.EXPERIMENTS / "abc_vs_midi.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Write both folders, train every model on each vocabulary, score, sample, write."""
    from symbolic import train

    folders = {name: FOLDER / f"data-{name}{_suffix(args, name)}" for name in ("abc", "midi")}
    for name, folder in folders.items():
        write_folder(args.data, folder, name, repeats=args.repeats, bare=args.bare)
    settings = {key: str(value) for key, value in vars(args).items()}
    recorder = results.Recorder("abc_vs_midi", settings=settings, data_digest=results.data_digest(args.data))
    test = list(files.read_jsonl(folders["abc"] / "tunes" / "test.jsonl"))[: args.test_tunes or None]
    for path in args.configs:
        for kind in args.kinds:
            is_midi = kind in configuration.MIDI_KINDS
            config = make_config(path, kind, folders["midi" if is_midi else "abc"], args)
            recorder.config_digests[config.name] = configuration.digest(config)
            summary = train.train(config, FOLDER / config.name, resume=True)
            _record(recorder, config, path.stem, summary, test, args)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def write_folder(data: Path, folder: Path, name: str, *, repeats: bool, bare: bool) -> None:
    """A prepared folder with the tunes of `data` in one notation, whole; one that is there is kept."""
    if (folder / "sources.json").is_file():
        return
    with files.whole_folder(folder) as temporary:
        for split in ("train", "valid", "test"):
            rows = (_row(row, name, repeats, bare) for row in files.read_jsonl(data / "tunes" / f"{split}.jsonl"))
            files.write_jsonl(temporary / "tunes" / f"{split}.jsonl", rows)
        files.write_json(temporary / "sources.json", files.read_json(data / "sources.json"))


def make_config(path: Path, kind: str, folder: Path, args: argparse.Namespace) -> Config:
    """The configuration of one run: only tokenizer, data and name differ within a model."""
    changes = {
        "name": f"{path.stem}-{kind}-{args.steps}{_suffix(args, 'midi')}{_suffix(args, 'abc')}",
        "tokenizer.kind": kind,
        "tokenizer.vocab_size": args.vocab_size,
        "model.vocab_size": args.vocab_size,
        "data.folder": folder.as_posix(),
        "train.steps": args.steps,
        "train.warmup_steps": max(1, args.steps // 20),
        "train.evaluate_every": args.steps,
        "train.checkpoint_every": args.steps,
    }
    return configuration.load(path, [(key, str(value)) for key, value in changes.items()])


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    quantities = list(dict.fromkeys(row["quantity"] for row in result["rows"]))
    lines = [f"{'model':22} {'tokens':14}" + "".join(f"{name:>27}" for name in quantities)]
    for model, kind in dict.fromkeys((row["model"], row["kind"]) for row in result["rows"]):
        rows = [results.find(result, model=model, kind=kind, quantity=name) for name in quantities]
        lines.append(f"{model:22} {kind:14}" + "".join(f"{results.row_text(row, 3):>27}" for row in rows))
    return "\n".join(lines)


def bare_score(score: Score) -> Score:
    """Notes, rests, bar lines and repeats alone: no graces, slurs, chord symbols, decorations."""
    voices = [Voice(v.name, v.clef, [_plain(e) for e in v.events if isinstance(e, KEPT)]) for v in score.voices]
    return Score(score.fields, score.meter, score.key, voices)


def _plain(event: Any) -> Any:
    return Note(event.pitches, event.ticks, event.written, event.tie) if isinstance(event, Note) else event


def _row(row: dict[str, Any], name: str, repeats: bool, bare: bool) -> dict[str, Any]:
    """The row in one notation, with the seconds that the tune lasts as `repeats` has it."""
    score = notation.parse(row["text"])
    score.fields = row["fields"]
    piece = pieces.from_score(score, repeats=repeats)
    has_changes = "[K:" in row["text"] or "[M:" in row["text"]
    abc = notation.canonical(bare_score(score)) if bare and not has_changes else row["text"]
    text = abc if name == "abc" else pieces.canonical(piece)
    return {**row, "text": text, "bytes": len(text.encode()), "seconds": piece.seconds}


def _suffix(args: argparse.Namespace, name: str) -> str:
    return "-repeats" * (args.repeats and name == "midi") + "-bare" * (args.bare and name == "abc")


def _record(
    recorder: results.Recorder,
    config: Config,
    model: str,
    summary: dict[str, Any],
    test: list[dict[str, Any]],
    args: argparse.Namespace,
) -> None:
    """The rows of one run."""
    keys = {"model": model, "kind": config.tokenizer.kind}
    bits, n_tokens = _bits(config, test)
    n_notes, seconds = sum(row["n_notes"] for row in test), sum(row["seconds"] for row in test)
    recorder.measured([bits / n_notes], "bits/note", quantity="bits per note", **keys)
    recorder.measured([bits / seconds], "bits/s", quantity="bits per second", **keys)
    recorder.measured([n_tokens / n_notes], "tokens/note", quantity="tokens per note", **keys)
    recorder.measured([summary["seconds"]], "s", quantity="seconds to train", **keys)
    sampled, music, valid = _sampled(config, args.pieces)
    if music:
        recorder.measured([60 * sampled / music], "s", quantity="seconds per minute of music", **keys)
    else:
        recorder.not_run("no piece could be read", quantity="seconds per minute of music", **keys)
    recorder.measured([valid], "share", quantity="valid", **keys)


def _bits(config: Config, test: list[dict[str, Any]]) -> tuple[float, int]:
    """Bits of the test tunes under the best checkpoint, and their tokens."""
    import math

    from symbolic import likelihood
    from symbolic.decode.generate import load_source

    source = load_source(str(FOLDER / config.name), config.device)
    wanted = {row["id"] for row in test}
    rows = files.read_jsonl(Path(config.data.folder) / "tunes" / "test.jsonl")
    texts = [row["text"] for row in rows if row["id"] in wanted]
    ids = source.tokenizer.encode_many(texts)
    scores = likelihood.score(source.model, ids, [len(text) for text in texts], context=config.data.context)
    return sum(one.nats for one in scores) / math.log(2), sum(one.n_tokens for one in scores)


def _sampled(config: Config, n: int) -> tuple[float, float, float]:
    """Seconds to sample n pieces, the seconds of music in them, and the share that is valid."""
    from symbolic.decode.generate import load_source
    from symbolic.decode.pieces import draw
    from symbolic.decode.sampling import Sampling

    source = load_source(str(FOLDER / config.name), config.device, threads=1, step="auto")
    began = time.perf_counter()
    drawn = draw(source, Sampling(), n=n, max_tokens=config.data.context - 1)
    sampled = time.perf_counter() - began
    judged = [_judged(source.tokenizer, tokens, ending) for tokens, ending in drawn]
    return sampled, sum(seconds for seconds, _ in judged), sum(valid for _, valid in judged) / n


def _judged(tokenizer: Any, tokens: list[int], ending: str) -> tuple[float, bool]:
    """(seconds of music, whether it is valid and ended) of one sample."""
    from symbolic.evaluate import validity

    text = tokenizer.decode(tokens)
    try:
        if tokenizer.notation == "midi":
            return pieces.parse(text).seconds, ending == "eos" and tokenizer.errors(tokens) == 0
        score = notation.parse(text)
        seconds = pieces.from_score(score, repeats=False).seconds
        return seconds, ending == "eos" and bool(validity.check_score(score).is_right)
    except UserError:
        return 0.0, False


if __name__ == "__main__":
    sys.exit(main())
