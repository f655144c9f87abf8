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

A model that was trained with control codes (data.control: codes) can be asked for a form, --sections 2 --bars 8 8
--similarity 4, a tune type and a range (symbolic.data.control). With --tune it works on a tune that you bring: goes on
with it, writes some of its bars anew, transposes, adds chords (symbolic.decode.edit).

    python -m symbolic generate RUN --sections 2 --bars 8 8 --similarity 6 --type jig --key G -o jigs.abc
    python -m symbolic generate RUN --tune mine.abc --fill 5-8 --constrain -n 3 -o filled.abc
    python -m symbolic generate --tune mine.abc --transpose 2 --harmonise -o chords.abc

The same seed gives the same tunes whatever the batch size, and the first n of a larger number, in float32.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files, runs
from symbolic.data import control, notation
from symbolic.data.notation import NotationError
from symbolic.data.score import Score
from symbolic.decode import edit
from symbolic.decode import prompt as prompts
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.decode.automaton import Automaton
    from symbolic.decode.engine import Generated
    from symbolic.decode.sampling import Sampling
    from symbolic.tokens import Tokenizer

MAX_TOKENS = 1024  # of a tune, after its prompt
PROGRESS_SECONDS = 0.5
# Bits per byte of held-out tunes under the ready-made models, relative to float32 (experiments/LOG.md).
LOSSES = "bits per byte rise by up to 0.01 %% in bfloat16, 0.12 %% in int8"


@dataclass(frozen=True)
class Source:
    """The model that writes: where it is, what it is called, what it learnt from."""

    folder: Path
    name: str
    terms: list[str]
    model: Any
    tokenizer: "Tokenizer"
    step: str = "torch float32"  # what decodes
    codes: bool = False  # trained with control codes
    infill: bool = False  # trained on tunes with bars taken out


@dataclass(frozen=True)
class Tune:
    """One tune: its text as drawn, its score or the reason why there is none, and how it ended."""

    number: int
    title: str
    text: str
    score: Score | None
    fault: str
    finished: str
    fields: dict[str, str] = field(default_factory=dict)
    remark: str = ""


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
        return self.tokens / max(self.seconds, 1e-9)


NO_MODEL = Source(Path(), "no model", ["the tune that was given"], None, None, "")  # type: ignore[arg-type]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("model", metavar="RUN_OR_CHECKPOINT", nargs="?")
    parser.add_argument("-n", type=int, default=10, metavar="N", help="number of tunes (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default 0)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.abc", help="default: standard output")
    parser.add_argument("--midi", action="store_true", help="also MIDI files, in the folder FILE_midi")
    parser.add_argument("--musicxml", action="store_true", help="also MusicXML files, in the folder FILE_musicxml")
    parser.add_argument("--json", action="store_true", help="end with a summary in one line of JSON")
    _add_prompt_arguments(parser.add_argument_group("what the tunes begin with"))
    _add_control_arguments(parser.add_argument_group("what is asked of them (models trained with control codes)"))
    edit.add_arguments(parser.add_argument_group("a tune that you bring"))
    _add_sampling_arguments(parser.add_argument_group("how tokens are drawn"))
    _add_machine_arguments(parser.add_argument_group("machine"))


def _add_prompt_arguments(group: Any) -> None:
    group.add_argument("--prompt", metavar="TEXT", help="ABC: fields, then first bars, as 'M:6/8 K:Dmix |:AFD DFA|'")
    group.add_argument("--metre", metavar="M", help="as 6/8, C|, none")
    group.add_argument("--key", metavar="K", help="as G, Em, Dmix, Ador")
    group.add_argument("--first-bars", metavar="ABC", help="with L:1/8, best ended by a bar line")


def _add_control_arguments(group: Any) -> None:
    group.add_argument("--sections", type=int, metavar="N", help="1 to 8")
    group.add_argument("--bars", type=int, nargs="+", default=[], metavar="N", help="of each section, pick-up included")
    group.add_argument(
        "--similarity",
        type=int,
        nargs="+",
        default=[],
        metavar="E",
        help="0 to 10: 2nd to 1st; 3rd to 1st, to 2nd; ...",
    )
    group.add_argument("--type", dest="rhythm", metavar="R", help="as jig, reel, 'slip jig'")
    group.add_argument("--lowest", metavar="NOTE", help="lowest note as ABC, as D")
    group.add_argument("--highest", metavar="NOTE", help="highest note as ABC, as b")


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
    group.add_argument("--dtype", default="float32", help=f"float32, bfloat16, int8, auto (default float32); {LOSSES}")
    group.add_argument("--step", default="auto", help="native, torch, graph (CUDA) or auto: native where it can run")
    group.add_argument("--threads", type=int, default=1, help="CPU threads (default 1: steadiest; 0: PyTorch's choice)")


def run(args: argparse.Namespace) -> int:
    """Generate, write, report; returns the exit status."""
    _check(args)
    task = edit.task(args)
    prompt = _prompt(args, task)
    automaton = _automaton(prompt) if args.constrain and task is None else None
    if task is not None and not task.kind:
        source = NO_MODEL
    else:
        source = load_source(_model(args), args.device, args.dtype, args.threads, step=args.step)
        _check_trained(source, prompt, task)
        if source.tokenizer.notation == "midi":
            from symbolic.decode import pieces
            from symbolic.decode.sampling import Sampling

            return pieces.write(args, source, Sampling(args.temperature, args.top_k, args.top_p, args.min_p))
    started = time.monotonic()
    tunes, n_tokens = _edited(args, source, task) if task else _written(args, source, prompt, automaton)
    seconds = time.monotonic() - started
    summary = Summary(
        tunes=len(tunes),
        unfinished=sum(tune.finished != "eos" for tune in tunes),
        unparseable=sum(tune.score is None for tune in tunes),
        tokens=n_tokens,
        seconds=seconds,
    )
    _write(args, tunes, abc_file(tunes, source, prompt, args, task))
    _report(args, source, summary)
    return 0


def load_source(
    target: str, device: str = "auto", dtype: str = "float32", threads: int = 0, *, step: str = "torch"
) -> Source:
    """The model, with the step that is to decode, and the tokenizer that `target` names. UserError when a file is
    absent, cut or changed."""
    import torch

    from symbolic import checkpoint, machine, models, tokens
    from symbolic.decode import engine

    if threads > 0:
        torch.set_num_threads(threads)
    folder = runs.resolve(target)
    record = checkpoint.verify(folder) if (folder / checkpoint.RECORD).exists() else {}
    where = machine.pick_device(device)
    tokenizer = tokens.load(folder)
    number_type = machine.pick_dtype("float32" if dtype == "int8" else dtype, where)
    model, _ = models.load(folder, device=where, dtype=number_type)
    if model.config.vocab_size < tokenizer.n_tokens:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.n_tokens} ids and the model {model.config.vocab_size}. "
            "They are not of one run: copy both from it again."
        )
    decoder = engine.prepare(model.eval(), step, "int8" if dtype == "int8" else "auto")
    trained = record.get("config", {})
    name = folder.name if folder in runs.ready_made() else str(trained.get("name") or folder.name)
    return Source(
        folder,
        name,
        [_term(term) for term in record.get("terms", [])],
        decoder,
        tokenizer,
        engine.path(decoder),
        codes=trained.get("data", {}).get("control") == "codes",
        infill=trained.get("data", {}).get("infill", 0) > 0,
    )


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
    beginning: str = "",
) -> tuple[list["Generated"], int]:
    """n tunes that begin with the prompt, and how many tokens were drawn for them, header lines included; with an
    automaton, tunes that it accepts. A `beginning` is a text that is gone on with, in place of a prompt."""
    from symbolic.decode import choices, constraint, engine

    tokenizer = source.tokenizer
    vocab_size = source.model.config.vocab_size
    steered = source.codes or source.infill
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

    def draw_line(beginnings: list[str], number: int, lines: tuple[str, ...] | None = None) -> list[str]:
        wanted = choices.Lines(tokenizer, choices.fitting(lines, automaton), vocab_size) if lines else None
        drawn = engine.generate(
            source.model,
            _encoded(tokenizer, beginnings),
            max_new_tokens=prompts.MOST_LINE_TOKENS,
            stream=number,
            on_token=lambda _, token: token in line_ends,
            **settings | ({"mask": wanted} if wanted else {}),
        )
        return [prompts.line_of(tokenizer, tune.tokens) for tune in drawn]

    beginnings = [beginning] * n if beginning else prompts.prefixes(replace(prompt, steered=steered), n, draw_line)
    if mask is not None:
        mask.limit(max_tokens, engine.context_limit(source.model))
    if beginning:
        settings["mask"] = choices.GoesOn(tokenizer, vocab_size, mask)
    tunes = engine.generate(
        source.model,
        _encoded(tokenizer, beginnings),
        max_new_tokens=max_tokens,
        on_tune=lambda _: progress.add_tune(),
        **settings,
    )
    progress.close()
    return tunes, progress.n_tokens


def abc_file(
    tunes: list[Tune],
    source: Source,
    prompt: prompts.Prompt,
    args: argparse.Namespace,
    task: edit.Task | None = None,
) -> str:
    """The whole .abc file: comment lines on what made it, then each tune after an empty line."""
    settings = (
        f"temperature {args.temperature:g}, top-k {args.top_k}, top-p {args.top_p:g}, min-p {args.min_p:g}, "
        f"at most {args.max_tokens} tokens, {args.dtype}" + (", constrained" if args.constrain else "")
    )
    head = [f"model {source.name}", f"seed {args.seed}, {settings}"]
    head = [] if source is NO_MODEL else head
    head += [f"prompt {prompt.text}"] if prompt.text else []
    head += [f"tune {args.tune}{f', {task.told}' if task.told else ''}"] if task else []
    head += [f"data {term}" for term in source.terms or ["of unknown terms"]]
    head += [f"step {source.step}"] if source is not NO_MODEL else []
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


def _model(args: argparse.Namespace) -> str:
    if args.model is None:
        raise UsageError("name the model that is to write: a run, a checkpoint, or gpt2-6m or mamba2-6m.")
    return str(args.model)


def _check_trained(source: Source, prompt: prompts.Prompt, task: edit.Task | None) -> None:
    """Refuse to ask a model for what it never learnt; say where it works with less than it could."""
    if prompt.asked.lines and not source.codes:
        raise UserError(
            f"{source.name} was not trained with control codes, and would take no notice of {prompt.asked.text}. Train "
            "a model with data.control: codes (configs/mamba2-1m-control.yaml), or ask for --metre and --key only."
        )
    if task is not None and task.kind == "fill" and not source.infill:
        print(
            f"{source.name} was not trained to fill in: it sees what stands before a bar, not what follows "
            "(data.infill, configs/mamba2-1m-control.yaml).",
            file=sys.stderr,
        )


def _prompt(args: argparse.Namespace, task: edit.Task | None) -> prompts.Prompt:
    asked = control.ask(args.sections, args.bars, args.similarity, args.rhythm, args.lowest, args.highest)
    fixed = [value is not None for value in (args.prompt, args.metre, args.key, args.first_bars)]
    if task is not None and (any(fixed) or asked.lines):
        raise UsageError("--tune brings its own beginning: leave out --prompt, --metre, --key and what is asked.")
    return replace(_begun(args), asked=asked)


def _begun(args: argparse.Namespace) -> prompts.Prompt:
    if args.prompt is None:
        return prompts.make_prompt(metre=args.metre, key=args.key, bars=args.first_bars or "")
    if any(value is not None for value in (args.metre, args.key, args.first_bars)):
        raise UsageError("give either --prompt, or --metre, --key and --first-bars.")
    return prompts.read_prompt(args.prompt)


def _automaton(prompt: prompts.Prompt) -> "Automaton":
    """The rules of --constrain for tunes that begin so; UserError where no right tune does."""
    from symbolic.decode import choices
    from symbolic.decode.constraint import prompted

    return choices.steered(prompted(prompt)) if prompt.asked.lines else prompted(prompt)


def _encoded(tokenizer: "Tokenizer", texts: list[str]) -> list[list[int]]:
    return [[tokenizer.bos, *ids] for ids in tokenizer.encode_many(texts)]


def _written(
    args: argparse.Namespace, source: Source, prompt: prompts.Prompt, automaton: "Automaton | None"
) -> tuple[list[Tune], int]:
    """New tunes, and the number of tokens drawn."""
    generated, n_tokens = generate_tunes(source, prompt, automaton=automaton, **_settings(args))
    tunes = []
    for tune in generated:
        text = control.split(source.tokenizer.decode(tune.prompt + tune.tokens))[1]
        made = _tune(args, tune.index + 1, f"{source.name} {args.seed} / {tune.index + 1}", text, tune.finished)
        asked = made.score is not None and prompt.asked.lines
        tunes.append(replace(made, remark=_form(made.score)) if asked and made.score else made)
    return tunes, n_tokens


def _edited(args: argparse.Namespace, source: Source, task: edit.Task) -> tuple[list[Tune], int]:
    """The tune that was brought, changed as asked, and the number of tokens drawn."""
    given = task.given
    if task.kind:
        from symbolic.decode import filling
    if task.kind == "fill":
        made, n_tokens = _filled(args, source, task)
    elif task.kind == "continue":
        beginning = edit.kept_text(given, len(task.bars))
        automaton = _continued(beginning) if args.constrain else None
        generated, n_tokens = generate_tunes(
            source, prompts.Prompt(), automaton=automaton, beginning=beginning, **_settings(args)
        )
        drawn = [filling.gone_on(beginning, source.tokenizer.decode(tune.tokens)) for tune in generated]
        made = [(new.text, tune.finished, new.fault, "") for new, tune in zip(drawn, generated, strict=True)]
    else:
        made, n_tokens = [(given.text, "eos", "", "")], 0
    tunes = []
    for number, (text, finished, fault, remark) in enumerate(made, start=1):
        title = f"{given.title} / {number}" if len(made) > 1 else given.title
        tune = _tune(args, number, title, text, finished)
        tunes.append(
            replace(
                tune,
                fields=given.fields,
                remark=remark,
                fault=fault or tune.fault,
                score=None if fault else tune.score,
            )
        )
    return tunes, n_tokens


def _filled(args: argparse.Namespace, source: Source, task: edit.Task) -> tuple[list[tuple[str, str, str, str]], int]:
    """(text, how it ended, fault, remark) of each tune with new bars; tunes with other bars chosen go one by one."""
    from symbolic.decode import filling

    settings = _settings(args)
    fixed = {"eos": source.tokenizer.eos, "n_tokens": source.tokenizer.n_tokens, "constrain": args.constrain}
    fixed |= {"sampling": settings["rules"], "seed": args.seed, "batch_size": args.batch_size}
    calls = [(task.chosen(args.seed, index), 1) for index in range(args.n)] if task.share else [(task.bars, args.n)]
    made, n_tokens = [], 0
    for index, (chosen, n) in enumerate(calls):
        tunes, n_drawn = filling.fill(source, task.given.text, chosen, n=n, stream=1000 * index, **fixed)
        n_tokens += n_drawn
        shift = 0 if task.given.has_pickup else 1
        for tune in tunes:
            new = ", ".join(f"{place + shift}: {body}" for place, body in zip(chosen, tune.bodies, strict=True))
            made.append((tune.text, "eos", tune.fault, f"new bars {new}"))
    return made, n_tokens


def _continued(beginning: str) -> "Automaton":
    """The rules of --constrain for a tune that is gone on with; UserError where its bars are not right themselves."""
    from symbolic.decode.automaton import Automaton

    automaton = Automaton()
    _, n_read = automaton.read(beginning)
    if n_read < len(beginning):
        read = beginning[beginning.rindex("\n", 0, n_read) + 1 : n_read + 1]
        raise UserError(
            f"--constrain: the tune's own bars are not right from {read[-24:]!r} on, where a bar is not full or a sign "
            "is not one that --constrain writes. Keep fewer bars, mend the tune, or leave out --constrain."
        )
    return automaton


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    from symbolic.decode.sampling import Sampling

    rules = Sampling(args.temperature, args.top_k, args.top_p, args.min_p)
    return {
        "rules": rules, "n": args.n, "seed": args.seed, "max_tokens": args.max_tokens, "batch_size": args.batch_size
    }  # fmt: skip


def _tune(args: argparse.Namespace, number: int, title: str, text: str, finished: str) -> Tune:
    try:
        score = notation.parse(text)
    except NotationError as error:
        return Tune(number, title, text, None, f"{error.reason}: {error}", finished)
    if args.transpose or args.harmonise:
        score = notation.parse(edit.finished(notation.canonical(score), args))
    score.fields["T"] = [title]
    return Tune(number, title, text, score, "", finished)


def _form(score: Score) -> str:
    """What came of what was asked for, on one line."""
    found = control.codes(score)
    text = control.encode(found).replace("\n", " ") if found.in_range else f"S:{found.sections} "
    return "form " + text + control.range_lines(notation.canonical(score)).replace("\n", " ").strip()


def _tune_text(tune: Tune) -> str:
    note = f"% {_one_line(tune.remark)}\n" if tune.remark else ""
    note += "" if tune.finished == "eos" else f"% unfinished: {tune.finished}\n"
    if tune.score is not None:
        text = notation.canonical(tune.score)
        return note + notation.pretty(text, number=tune.number, title=tune.title, fields=tune.fields)
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
    if source is NO_MODEL:
        text = f"{args.tune}: {summary.tunes} tune written"
        print(text + (f"; {args.output}" if args.output else ""), file=sys.stderr)
        return
    text = (
        f"{summary.tunes} tunes by {source.name}: {summary.unfinished} unfinished, {summary.unparseable} unparseable; "
        f"{summary.tokens:,} tokens in {summary.seconds:.1f} s, {summary.tokens_per_second:,.0f} tokens/s, "
        f"{source.step}"
    )
    where = f"; {args.output}" if args.output else ""
    print(text + where, file=sys.stdout if args.output and not args.json else sys.stderr)
    if args.json:
        print(json.dumps(_record(args, source, summary)))


def _record(args: argparse.Namespace, source: Source, summary: Summary) -> dict[str, Any]:
    return {
        "model": source.name,
        "step": source.step,
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
