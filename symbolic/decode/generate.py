"""Write tunes with a trained model.

    python -m symbolic generate runs/gpt2-6m -n 10 --seed 17 -o tunes.abc
    python -m symbolic generate gpt2-6m --metre 6/8 --key Dmix --midi -o jigs.abc

RUN_OR_CHECKPOINT is a run's name or directory (its best model is taken), a checkpoint, or a Hugging Face directory.
The file begins with comment lines that name model, seed, settings and the terms of the training data. A tune whose
text does not parse is written too, with its text as it is after a line `% unparseable`, and counted. --midi and
--musicxml write one file a tune into the folders FILE_midi and FILE_musicxml beside FILE.abc. Without -o the tunes go
to standard output.

With --constrain every tune parses and every bar is full, as `evaluate` counts bars; a tune that nears --max-tokens is
led to an end. Tunes then have one voice and a metre, and symbolic.decode.automaton lists what else they leave out.

The same seed gives the same tunes whatever the batch size, and the first n of a larger number, in float32.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files, runs
from symbolic.data import notation
from symbolic.data.notation import NotationError
from symbolic.data.score import Score
from symbolic.decode import prompt as prompts
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.decode.automaton import Automaton
    from symbolic.decode.engine import Generated
    from symbolic.decode.sampling import Sampling
    from symbolic.tokens import Tokenizer

MAX_TOKENS = 1024  # of a tune, after its prompt
PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Source:
    """The model that writes: where it is, what it is called, what it learnt from."""

    folder: Path
    name: str
    terms: list[str]
    model: Any
    tokenizer: "Tokenizer"


@dataclass(frozen=True)
class Tune:
    """One tune: its text as drawn, its score or the reason why there is none, and how it ended."""

    number: int
    title: str
    text: str
    score: Score | None
    fault: str
    finished: str


@dataclass(frozen=True)
class Summary:
    """What a run of the verb produced. Tokens are those drawn by the model, ends of tunes included."""

    tunes: int
    unfinished: int
    unparseable: int
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("model", metavar="RUN_OR_CHECKPOINT")
    parser.add_argument("-n", type=int, default=10, metavar="N", help="number of tunes (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default 0)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.abc", help="default: standard output")
    parser.add_argument("--midi", action="store_true", help="also MIDI files, in the folder FILE_midi")
    parser.add_argument("--musicxml", action="store_true", help="also MusicXML files, in the folder FILE_musicxml")
    parser.add_argument("--json", action="store_true", help="end with a summary in one line of JSON")
    _add_prompt_arguments(parser.add_argument_group("what the tunes begin with"))
    _add_sampling_arguments(parser.add_argument_group("how tokens are drawn"))
    _add_machine_arguments(parser.add_argument_group("machine"))


def _add_prompt_arguments(group: Any) -> None:
    group.add_argument("--prompt", metavar="TEXT", help="ABC: fields, then first bars, as 'M:6/8 K:Dmix |:AFD DFA|'")
    group.add_argument("--metre", metavar="M", help="as 6/8, C|, none")
    group.add_argument("--key", metavar="K", help="as G, Em, Dmix, Ador")
    group.add_argument("--first-bars", metavar="ABC", help="with L:1/8, best ended by a bar line")


def _add_sampling_arguments(group: Any) -> None:
    group.add_argument("--temperature", type=float, default=1.0, help="0 is greedy (default 1)")
    group.add_argument("--top-k", type=int, default=0, help="the k likeliest tokens (default 0: off)")
    group.add_argument("--top-p", type=float, default=1.0, help="the likeliest tokens of mass p (default 1: off)")
    group.add_argument("--min-p", type=float, default=0.0, help="tokens p times as likely as the best (default 0: off)")
    group.add_argument("--constrain", action="store_true", help="only what parses and fills its bars")
    group.add_argument("--max-tokens", type=int, default=MAX_TOKENS, help=f"of one tune (default {MAX_TOKENS})")


def _add_machine_arguments(group: Any) -> None:
    group.add_argument("--batch-size", type=int, default=32, help="tunes at a time (default 32)")
    group.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    group.add_argument("--dtype", default="float32", help="float32, bfloat16 or auto (default float32)")
    group.add_argument("--threads", type=int, default=1, help="CPU threads (default 1: steadiest; 0: PyTorch's choice)")


def run(args: argparse.Namespace) -> int:
    """Generate, write, report; returns the exit status."""
    _check(args)
    prompt = _prompt(args)
    automaton = _automaton(prompt) if args.constrain else None
    from symbolic.decode.sampling import Sampling

    rules = Sampling(args.temperature, args.top_k, args.top_p, args.min_p)
    source = load_source(args.model, args.device, args.dtype, args.threads)
    started = time.monotonic()
    generated, n_tokens = generate_tunes(
        source,
        prompt,
        rules,
        n=args.n,
        seed=args.seed,
        max_tokens=args.max_tokens,
        batch_size=args.batch_size,
        automaton=automaton,
    )
    seconds = time.monotonic() - started
    tunes = [_tune(source.tokenizer, tune, f"{source.name} {args.seed}") for tune in generated]
    summary = Summary(
        tunes=len(tunes),
        unfinished=sum(tune.finished != "eos" for tune in tunes),
        unparseable=sum(tune.score is None for tune in tunes),
        tokens=n_tokens,
        seconds=seconds,
    )
    _write(args, tunes, abc_file(tunes, source, prompt, args))
    _report(args, source, summary)
    return 0


def load_source(target: str, device: str = "auto", dtype: str = "float32", threads: int = 0) -> Source:
    """The model and tokenizer that `target` names. UserError when a file is absent, cut or changed."""
    import torch

    from symbolic import checkpoint, machine, models, tokens

    if threads > 0:
        torch.set_num_threads(threads)
    folder = runs.resolve(target)
    record = checkpoint.verify(folder) if (folder / checkpoint.RECORD).exists() else {}
    where = machine.pick_device(device)
    tokenizer = tokens.load(folder)
    model, _ = models.load(folder, device=where, dtype=machine.pick_dtype(dtype, where))
    if model.config.vocab_size < tokenizer.n_tokens:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.n_tokens} ids and the model {model.config.vocab_size}. "
            "They are not of one run: copy both from it again."
        )
    name = folder.name if folder in runs.ready_made() else str(record.get("config", {}).get("name") or folder.name)
    return Source(folder, name, [_term(term) for term in record.get("terms", [])], model.eval(), tokenizer)


def generate_tunes(
    source: Source,
    prompt: prompts.Prompt,
    rules: "Sampling",
    *,
    n: int,
    seed: int = 0,
    max_tokens: int = MAX_TOKENS,
    batch_size: int = 32,
    automaton: "Automaton | None" = None,
) -> tuple[list["Generated"], int]:
    """n tunes that begin with the prompt, and how many tokens were drawn for them, header lines included; with an
    automaton, tunes that it accepts."""
    from symbolic.decode import constraint, engine

    tokenizer = source.tokenizer
    vocab_size = source.model.config.vocab_size
    mask = constraint.Constraint(tokenizer, automaton, vocab_size=vocab_size) if automaton else None
    progress = _Progress(n)
    settings: dict[str, Any] = {
        "sampling": rules,
        "seed": seed,
        "eos": tokenizer.eos,
        "n_tokens": tokenizer.n_tokens,
        "batch_size": batch_size,
        "on_block": progress.add_tokens,
        "mask": mask,
    }
    line_ends = {id for id in range(tokenizer.n_tokens) if b"\n" in tokenizer.token_bytes(id)}

    def draw_line(beginnings: list[str], number: int) -> list[str]:
        drawn = engine.generate(
            source.model,
            _encoded(tokenizer, beginnings),
            max_new_tokens=prompts.MOST_LINE_TOKENS,
            stream=number,
            on_token=lambda _, token: token in line_ends,
            **settings,
        )
        return [prompts.line_of(tokenizer, tune.tokens) for tune in drawn]

    beginnings = prompts.prefixes(prompt, n, draw_line)
    if mask is not None:
        mask.limit(max_tokens, engine.context_limit(source.model))
    tunes = engine.generate(
        source.model,
        _encoded(tokenizer, beginnings),
        max_new_tokens=max_tokens,
        on_tune=lambda _: progress.add_tune(),
        **settings,
    )
    progress.close()
    return tunes, progress.n_tokens


def abc_file(tunes: list[Tune], source: Source, prompt: prompts.Prompt, args: argparse.Namespace) -> str:
    """The whole .abc file: comment lines on what made it, then each tune after an empty line."""
    settings = (
        f"temperature {args.temperature:g}, top-k {args.top_k}, top-p {args.top_p:g}, min-p {args.min_p:g}, "
        f"at most {args.max_tokens} tokens, {args.dtype}" + (", constrained" if args.constrain else "")
    )
    head = [f"model {source.name}", f"seed {args.seed}, {settings}"]
    head += [f"prompt {prompt.text}"] if prompt.text else []
    head += [f"data {term}" for term in source.terms or ["of unknown terms"]]
    comments = "".join(f"% {_one_line(line)}\n" for line in head)
    return comments + "".join("\n" + _tune_text(tune) for tune in tunes)


def _check(args: argparse.Namespace) -> None:
    for name, value in (("-n", args.n), ("--max-tokens", args.max_tokens), ("--batch-size", args.batch_size)):
        if value < 1:
            raise UsageError(f"{name} is {value}; it must be 1 or more.")
    if not 0 <= args.seed < 2**64:
        raise UsageError(f"--seed is {args.seed}; it must be 0 or more and below 2**64.")
    if args.threads < 0:
        raise UsageError(f"--threads is {args.threads}; it must be 0 (PyTorch's choice) or more.")
    if args.output is None and (args.midi or args.musicxml):
        raise UsageError("--midi and --musicxml write beside the .abc file: name it with -o FILE.abc.")
    if args.output is not None:
        _check_writable(args.output)


def _check_writable(path: Path) -> None:
    """Find out before the work that the result cannot be written."""
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder. Name a file, as {path / 'tunes.abc'}.")
    parent = next((folder for folder in path.absolute().parents if folder.exists()), Path("/"))
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"cannot write {path}: {parent} is not a folder that you may write to. Choose another.")


def _prompt(args: argparse.Namespace) -> prompts.Prompt:
    if args.prompt is None:
        return prompts.make_prompt(metre=args.metre, key=args.key, bars=args.first_bars or "")
    if any(value is not None for value in (args.metre, args.key, args.first_bars)):
        raise UsageError("give either --prompt, or --metre, --key and --first-bars.")
    return prompts.read_prompt(args.prompt)


def _automaton(prompt: prompts.Prompt) -> "Automaton":
    """The rules of --constrain for tunes that begin so; UserError where no right tune does."""
    from symbolic.decode.constraint import prompted

    return prompted(prompt)


def _encoded(tokenizer: "Tokenizer", texts: list[str]) -> list[list[int]]:
    return [[tokenizer.bos, *ids] for ids in tokenizer.encode_many(texts)]


def _tune(tokenizer: "Tokenizer", tune: "Generated", series: str) -> Tune:
    number, title = tune.index + 1, f"{series} / {tune.index + 1}"
    text = tokenizer.decode(tune.prompt + tune.tokens)
    try:
        score = notation.parse(text)
    except NotationError as error:
        return Tune(number, title, text, None, f"{error.reason}: {error}", tune.finished)
    score.fields["T"] = [title]
    return Tune(number, title, text, score, "", tune.finished)


def _tune_text(tune: Tune) -> str:
    note = "" if tune.finished == "eos" else f"% unfinished: {tune.finished}\n"
    if tune.score is not None:
        return note + notation.pretty(notation.canonical(tune.score), number=tune.number, title=tune.title)
    return note + f"% unparseable, {_one_line(tune.fault)}\nX:{tune.number}\nT:{tune.title}\n{_raw(tune.text)}\n"


def _raw(text: str) -> str:
    """Text that is no tune, as it is, unless it would break the file: then as a JSON string in a comment."""
    breaks = re.search(r"^X:|^\s*$|[^\S \n]|[\x00-\x09\x0b-\x1f\x7f]", text.strip("\n"), re.MULTILINE)
    return f"% text {json.dumps(text)}" if breaks else text.strip("\n")


def _write(args: argparse.Namespace, tunes: list[Tune], text: str) -> None:
    if args.output is None:
        print(text, end="")
        return
    files.write_whole(args.output, text)
    if args.midi:
        from symbolic.data.midi import write_midi

        _write_folder(args.output, "midi", "mid", tunes, write_midi)
    if args.musicxml:
        _write_folder(args.output, "musicxml", "musicxml", tunes, _write_musicxml)
    for kind, is_asked in (("midi", args.midi), ("musicxml", args.musicxml)):
        older = args.output.with_name(f"{args.output.stem}_{kind}")
        if older.is_dir() and not is_asked:
            print(f"{older} holds files of earlier tunes; --{kind} would replace it.", file=sys.stderr)


def _write_folder(
    output: Path, kind: str, suffix: str, tunes: Iterable[Tune], write: Callable[[Score, Path], None]
) -> None:
    """One file a tune that parsed, named by its number in the .abc file; tunes that cannot be converted are named."""
    with files.whole_folder(output.with_name(f"{output.stem}_{kind}")) as folder:
        for tune in tunes:
            if tune.score is None:
                continue
            try:
                write(tune.score, folder / f"{tune.number:04d}.{suffix}")
            except NotationError as error:
                print(f"tune {tune.number}: no {kind} file, {error}", file=sys.stderr)


def _write_musicxml(score: Score, path: Path) -> None:
    from symbolic.data.convert import to_musicxml

    files.write_whole(path, to_musicxml(notation.canonical(score), title=score.title))


def _report(args: argparse.Namespace, source: Source, summary: Summary) -> None:
    text = (
        f"{summary.tunes} tunes by {source.name}: {summary.unfinished} unfinished, {summary.unparseable} unparseable; "
        f"{summary.tokens:,} tokens in {summary.seconds:.1f} s, {summary.tokens_per_second:,.0f} tokens/s"
    )
    where = f"; {args.output}" if args.output else ""
    print(text + where, file=sys.stdout if args.output and not args.json else sys.stderr)
    if args.json:
        print(json.dumps(_record(args, source, summary)))


def _record(args: argparse.Namespace, source: Source, summary: Summary) -> dict[str, Any]:
    return {
        "model": source.name,
        "seed": args.seed,
        "tunes": summary.tunes,
        "unfinished": summary.unfinished,
        "unparseable": summary.unparseable,
        "tokens": summary.tokens,
        "seconds": round(summary.seconds, 3),
        "tokens_per_second": round(summary.tokens_per_second, 1),
        "output": str(args.output) if args.output else None,
    }


def _term(record: Any) -> str:
    """One line on a source of training data: its name, what it is, its terms."""
    if not isinstance(record, dict):
        return str(record)
    return "; ".join(str(record[key]) for key in ("name", "title", "terms", "redistribution") if record.get(key))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


class _Progress:
    """A status line on standard error: rewritten in place on a terminal, one line every ten seconds elsewhere."""

    def __init__(self, n_tunes: int) -> None:
        self.n_tunes = n_tunes
        self.n_done = 0
        self.n_tokens = 0
        self.started = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()

    def add_tokens(self, n: int) -> None:
        self.n_tokens += n
        self.show()

    def add_tune(self) -> None:
        self.n_done += 1

    def show(self) -> None:
        now = time.monotonic()
        if now - self.shown >= (PROGRESS_SECONDS if self.live else 20 * PROGRESS_SECONDS):
            self.shown = now
            print(self.line(now - self.started), end="" if self.live else "\n", file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        left = f"{seconds * (self.n_tunes - self.n_done) / self.n_done:.0f} s left" if self.n_done else "..."
        rate = f"{self.n_tokens / seconds:,.0f} tokens/s"
        text = f"{self.n_done}/{self.n_tunes} tunes, {self.n_tokens:,} tokens, {rate}, {left}"
        return f"\r{text:78}" if self.live else text

    def close(self) -> None:
        if self.live:
            print("\r" + " " * 78 + "\r", end="", file=sys.stderr, flush=True)
