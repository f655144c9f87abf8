"""ABC against MIDI tokens on the same pieces: bits, training time, generation time, validity, for each model.

    python -m experiments.abc_vs_midi                                   # four runs, together about 20 minutes of a core
    python -m experiments.abc_vs_midi --kinds grammar remi --passes 20  # the notations without byte pairs

The tunes of a prepared folder are written as MIDI pieces (symbolic.formats.midi_text) with the same split, so that both
notations hold the same training, validation and test tunes; --repeats plays repeats out, as a MIDI file would, else
both hold the tune as it is written. Every run makes the same number of passes over the same pieces, in rows of whole
tunes and in the keys that they stand in, with the same tokens a step; so the number of steps follows from how many
tokens a notation needs. With byte pairs of one vocabulary size, the default, ABC and MIDI need nearly equally many.

What a token or a byte is differs, so neither is a unit to compare in. A tune is the same in both, and so are its
written notes and the time that it lasts: test bits are divided by those. MIDI tokens do not carry spelling, key, bar
lines' kinds, slurs, graces, chord symbols and decorations, and, written without --repeats, no repeats; ABC pays for
all of them, and for MIDI's tempo nothing. So the ABC is stripped of what MIDI cannot say as well, unless --full.

Training is timed in seconds of the processor, since the clock of a busy machine tells little: those of the median step,
times the steps. Validity is asked in two ways. Each notation's own: ABC that parses and whose every bar fits its metre;
MIDI, which cannot overfill a bar, whose tokens all stand where they may. And one for both, on the notes alone: the
piece ended by itself and no note sounds across a bar line; how many human test tunes pass stands beside it.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic import config as configuration
from symbolic.config import Config
from symbolic.errors import UserError
from symbolic.evaluate.midi_evaluation import in_bars
from symbolic.formats import midi_text
from symbolic.notation import abc_parser
from symbolic.notation.score import Bar, Note, Rest, Score, Tuplet, Voice
from symbolic.training import metrics_log

KINDS = ("bytepair", "tsd-bytepair")
CONFIGS = ("configs/gpt2-6m-folk.yaml", "configs/mamba2-6m-folk.yaml")
FOLDER = runs.ROOT / "abc_vs_midi"
KEPT = (Bar, Note, Rest, Tuplet)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--configs", nargs="+", type=Path, default=[*map(Path, CONFIGS)], help="models and training")
    made.add_argument("--kinds", nargs="+", default=list(KINDS), help="tokenizers (default: %(default)s)")
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="a folder of ABC by `prepare`")
    made.add_argument("--passes", type=float, default=3, help="over the training pieces (default 3)")
    made.add_argument("--batch-size", type=int, default=2, help="rows a step (default 2)")
    made.add_argument("--vocab-size", type=int, default=768)
    made.add_argument("--repeats", action="store_true", help="MIDI with repeats played out")
    made.add_argument("--full", action="store_true", help="ABC with what MIDI cannot say")
    made.add_argument("--pieces", type=int, default=32, help="sampled for speed and validity (default 32)")
    made.add_argument("--test-tunes", type=int, default=0, help="test tunes to score (default: all)")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "abc_vs_midi.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Write both folders, train every model on each vocabulary, score, sample, write."""
    folders = {name: FOLDER / f"data-{name}{_suffix(args, name)}" for name in ("abc", "midi")}
    for name, folder in folders.items():
        write_folder(args.data, folder, name, repeats=args.repeats, bare=not args.full)
    settings = {key: str(value) for key, value in vars(args).items() if key != "output"}
    recorder = result_file.Recorder("abc_vs_midi", settings=settings, data_digest=result_file.data_digest(args.data))
    test = list(files.read_jsonl(folders["abc"] / "tunes" / "test.jsonl"))[: args.test_tunes or None]
    for kind in args.kinds:
        folder = folders["midi" if kind in configuration.MIDI_KINDS else "abc"]
        n_steps = 0
        for path in args.configs:
            config = make_config(path, kind, folder, n_steps, args)
            n_steps = n_steps or steps(config, args.passes)
            config = make_config(path, kind, folder, n_steps, args)
            recorder.config_digests[config.name] = configuration.digest(config)
            _record(recorder, config, path.stem, train(config), test, args.pieces)
    _record_human(recorder, folders, {row["id"] for row in test})
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


def make_config(path: Path, kind: str, folder: Path, n_steps: int, args: argparse.Namespace) -> Config:
    """The configuration of one run: only tokenizer, data, steps and name differ within a model."""
    n_steps = max(1, n_steps)
    changes = {
        "name": f"{path.stem}-{kind}-{n_steps}{_suffix(args, 'midi')}{_suffix(args, 'abc')}",
        "tokenizer.kind": kind,
        "tokenizer.vocab_size": args.vocab_size,
        "model.vocab_size": args.vocab_size,
        "data.folder": folder.as_posix(),
        "data.transpose_low": 0,
        "data.transpose_high": 0,
        "train.steps": n_steps,
        "train.batch_size": args.batch_size,
        "train.warmup_steps": max(1, n_steps // 20),
        "train.evaluate_every": n_steps,
        "train.checkpoint_every": n_steps,
        "train.evaluate_tunes": 50,
    }
    return configuration.load(path, [(key, str(value)) for key, value in changes.items()])


def steps(config: Config, passes: float) -> int:
    """Steps that make so many passes over the training pieces, in rows as the loader packs them."""
    from symbolic import tokens
    from symbolic.data import loader, shards

    texts = [row["text"] for row in files.read_jsonl(Path(config.data.folder) / "tunes" / "train.jsonl")]
    tokenizer = tokens.build(config.tokenizer.kind, config.tokenizer.vocab_size, texts, [])
    shard = shards.load(shards.build(config.data.folder, tokenizer, [0]), "train", tokenizer.digest)
    data, t = config.data, config.train
    batches = loader.Batches(shard, t.batch_size * t.accumulation, data.context, config.seed, data.packing)
    return round(passes * batches.batches_per_epoch)


def train(config: Config) -> dict[str, Any]:
    """Train, or go on; the summary, with the processor's seconds a step as each status line found them."""
    from symbolic.training import train as training

    folder, seen = FOLDER / config.name, [(0, time.process_time())]

    def on_status(status: metrics_log.Status) -> None:
        seen.append((status.step, time.process_time()))
        print(f"{status.line()}", file=sys.stderr, flush=True)

    summary = training.train(config, folder, resume=True, on_status=on_status)
    rates = [(later - sooner) / (b - a) for (a, sooner), (b, later) in itertools.pairwise(seen[1:]) if b > a]
    if rates:
        files.write_json(folder / "processor.json", {"seconds_per_step": rates})
    return {**summary, **files.read_json(folder / "processor.json")}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    quantities = list(dict.fromkeys(row["quantity"] for row in result["rows"]))
    lines = [f"{'model':22} {'tokens':14}" + "".join(f"{name:>27}" for name in quantities)]
    for model, kind in dict.fromkeys((row["model"], row["kind"]) for row in result["rows"]):
        rows = [result_file.find(result, model=model, kind=kind, quantity=name) for name in quantities]
        lines.append(f"{model:22} {kind:14}" + "".join(f"{result_file.row_text(row, 3):>27}" for row in rows))
    return "\n".join(lines)


def bare_score(score: Score) -> Score:
    """Notes, rests, bar lines and repeats alone: no graces, slurs, chord symbols, decorations."""
    voices = [Voice(v.name, v.clef, [_plain(e) for e in v.events if isinstance(e, KEPT)]) for v in score.voices]
    return Score(score.fields, score.meter, score.key, voices)


def _plain(event: Any) -> Any:
    return Note(event.pitches, event.ticks, event.written, event.tie) if isinstance(event, Note) else event


def _row(row: dict[str, Any], name: str, repeats: bool, bare: bool) -> dict[str, Any]:
    """The row in one notation, with the seconds that the tune lasts as `repeats` has it."""
    score = abc_parser.parse(row["text"])
    score.fields = row["fields"]
    piece = midi_text.from_score(score, repeats=repeats)
    has_changes = "[K:" in row["text"] or "[M:" in row["text"]
    abc = abc_parser.canonical(bare_score(score)) if bare and not has_changes else row["text"]
    text = abc if name == "abc" else midi_text.canonical(piece)
    return {**row, "text": text, "bytes": len(text.encode()), "seconds": piece.seconds}


def _suffix(args: argparse.Namespace, name: str) -> str:
    return "-repeats" * (args.repeats and name == "midi") + "-full" * (args.full and name == "abc")


def _record(
    recorder: result_file.Recorder,
    config: Config,
    model: str,
    summary: dict[str, Any],
    test: list[dict[str, Any]],
    n_pieces: int,
) -> None:
    """The rows of one run."""
    keys = {"model": model, "family": config.model.family, "kind": config.tokenizer.kind}
    bits, n_tokens = _bits(config, test)
    n_notes, seconds = sum(row["n_notes"] for row in test), sum(row["seconds"] for row in test)
    t = config.train
    recorder.measured([t.steps * t.batch_size * config.data.context], "tokens", quantity="tokens read", **keys)
    recorder.measured([bits / n_notes], "bits/note", quantity="bits per note", **keys)
    recorder.measured([bits / seconds], "bits/s", quantity="bits per second", **keys)
    recorder.measured([n_tokens / n_notes], "tokens/note", quantity="tokens per note", **keys)
    rate = statistics.median(summary["seconds_per_step"])
    recorder.measured([t.steps * rate], "s", quantity="seconds to train", **keys)
    sampled, judged = _sampled(config, n_pieces)
    music = sum(one["seconds"] for one in judged)
    if music:
        recorder.measured([60 * sampled / music], "s", quantity="seconds per minute of music", **keys)
    else:
        recorder.not_run("no piece could be read", quantity="seconds per minute of music", **keys)
    for quantity in ("ended", "valid", "in bars"):
        share = statistics.mean(one[quantity] for one in judged)
        recorder.measured([share], "share", quantity=quantity, n=n_pieces, **keys)


def _record_human(recorder: result_file.Recorder, folders: dict[str, Path], wanted: set[str]) -> None:
    """How many test tunes pass what sampled pieces are asked."""
    for name, kind in (("abc", "ABC"), ("midi", "MIDI")):
        rows = files.read_jsonl(folders[name] / "tunes" / "test.jsonl")
        passed = [in_bars(_piece(row["text"], name)) for row in rows if row["id"] in wanted]
        keys = {"model": "human, held out", "family": "human", "kind": kind}
        recorder.measured([statistics.mean(passed)], "share", quantity="in bars", n=len(passed), **keys)


def _bits(config: Config, test: list[dict[str, Any]]) -> tuple[float, int]:
    """Bits of the test tunes under the best checkpoint, and their tokens."""
    import math

    from symbolic.decode.loaded_model import load_source
    from symbolic.training import likelihood

    source = load_source(str(FOLDER / config.name), config.device)
    wanted = {row["id"] for row in test}
    rows = files.read_jsonl(Path(config.data.folder) / "tunes" / "test.jsonl")
    texts = [row["text"] for row in rows if row["id"] in wanted]
    ids = source.tokenizer.encode_many(texts)
    scores = likelihood.score(source.model, ids, [len(text) for text in texts], context=config.data.context)
    return sum(one.nats for one in scores) / math.log(2), sum(one.n_tokens for one in scores)


def _sampled(config: Config, n: int) -> tuple[float, list[dict[str, float]]]:
    """The processor's seconds to sample n pieces, and what is found of each."""
    from symbolic.decode.engine.sampling import Sampling
    from symbolic.decode.generate_midi import draw
    from symbolic.decode.loaded_model import load_source

    source = load_source(str(FOLDER / config.name), config.device, threads=1, step="auto")
    began = time.process_time()
    drawn = draw(source, Sampling(), n=n, max_tokens=config.data.context - 1)
    sampled = time.process_time() - began
    return sampled, [_judged(source.tokenizer, tokens, ending) for tokens, ending in drawn]


def _judged(tokenizer: Any, tokens: list[int], ending: str) -> dict[str, float]:
    """Seconds of music of one sample; whether it ended, is valid in its notation, keeps to its bars (1 or 0)."""
    from symbolic.notation import validity

    text, ended = tokenizer.decode(tokens), ending == "eos"
    try:
        piece = _piece(text, tokenizer.notation)
        if tokenizer.notation == "midi":
            valid = tokenizer.errors(tokens) == 0
        else:
            valid = bool(validity.check_score(abc_parser.parse(text)).is_right)
    except UserError:
        return {"seconds": 0.0, "ended": ended, "valid": 0, "in bars": 0}
    return {"seconds": piece.seconds, "ended": ended, "valid": ended and valid, "in bars": ended and in_bars(piece)}


def _piece(text: str, name: str) -> midi_text.MidiPiece:
    return midi_text.parse(text) if name == "midi" else midi_text.from_score(abc_parser.parse(text), repeats=False)


if __name__ == "__main__":
    sys.exit(main())
