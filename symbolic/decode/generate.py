"""Write tunes with a trained model.

    python -m symbolic generate runs/gpt2-6m -n 10 --seed 17 -o tunes.abc
    python -m symbolic generate gpt2-6m --metre 6/8 --key Dmix --midi -o jigs.abc

RUN_OR_CHECKPOINT is a run's name or directory (its best model is taken), a checkpoint, or a Hugging Face directory.
The file begins with comment lines that name model, seed, settings and the terms of the training data. A tune whose
text does not parse is written too, with its text as it is after a line `% unparseable`, and counted. --midi and
--musicxml write one file a tune into the folders FILE_midi and FILE_musicxml beside FILE.abc. Without -o the tunes go
to standard output.

With --constrain every tune parses and every bar is full, as `evaluate` counts bars; a tune that nears --max-tokens is
led to an end. Tunes then have one voice and a metre, and symbolic.decode.constraint.automaton lists what else they
leave out. It also counts: --sections and --bars are kept by every tune, of any model. With --voices N, for a model of
tunes that were prepared --as interleaved, they have N voices whose bars agree, and one that reaches --max-tokens is cut
after a bar.

A model that was trained with control codes (data.control: codes) can be asked for a form, --sections 2 --bars 8 8
--similarity 4, a tune type and a range (symbolic.notation.control_codes). With --tune it works on a tune that you
bring: goes on with it, writes some of its bars anew, transposes, adds chords (symbolic.decode.editing.edit).

    python -m symbolic generate RUN --sections 2 --bars 8 8 --similarity 6 --type jig --key G -o jigs.abc
    python -m symbolic generate RUN --tune mine.abc --fill 5-8 --constrain -n 3 -o filled.abc
    python -m symbolic generate --tune mine.abc --transpose 2 --harmonise -o chords.abc

The same seed gives the same tunes whatever the batch size, and the first n of a larger number, in float32.
"""

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files, runs
from symbolic.decode import output
from symbolic.decode import prompt as prompts
from symbolic.decode.continuation import MAX_TOKENS, generate_tunes
from symbolic.decode.editing import edit
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel, load_source
from symbolic.decode.output import DrawnTune, form_line
from symbolic.errors import UsageError, UserError
from symbolic.files import names_in
from symbolic.notation import abc_parser, control_codes
from symbolic.notation.abc_parser import NotationError

if TYPE_CHECKING:
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.constraint.voice_mask import Voices

MOST_THREADS = 256
OTHER_SUFFIXES = (".mid", ".midi", ".musicxml", ".mxl", ".xml", ".wav", ".mp3", ".flac")
# Bits per byte of held-out tunes under the ready-made models, relative to float32 (experiments/LOG.md).
LOSSES = "bits per byte rise by up to 0.01 %% in bfloat16, 0.12 %% in int8"


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
    group.add_argument(
        "--voices", type=int, metavar="N", help=f"with --constrain: 2 to {prompts.MOST_VOICES} voices whose bars agree"
    )
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
    automaton = _rules(args, prompt) if args.constrain and task is None else None
    if task is not None and not task.kind:
        source = NO_MODEL
    else:
        source = load_source(_model(args), args.device, args.dtype, args.threads, step=args.step)
        _check_trained(source, prompt, task, is_constrained=args.constrain)
        if source.tokenizer.notation == "midi":
            from symbolic.decode import generate_midi
            from symbolic.decode.engine.sampling import Sampling

            return generate_midi.write(args, source, Sampling(args.temperature, args.top_k, args.top_p, args.min_p))
    if args.output is not None and args.output.suffix.lower() in OTHER_SUFFIXES:
        raise UsageError(f"-o {args.output}: tunes are written as ABC. Name a .abc file, with --midi or --musicxml.")
    if args.voices and source.folder in runs.ready_made():
        raise UsageError(f"{source.name} learnt tunes of one voice: --voices takes a model of several (README, MIDI).")
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
    output.write(args, tunes, output.abc_file(tunes, source, prompt, args, task))
    _report(args, source, summary)
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, value in (("-n", args.n), ("--max-tokens", args.max_tokens), ("--batch-size", args.batch_size)):
        if value < 1:
            raise UsageError(f"{name} is {value}; it must be 1 or more.")
    if args.voices is not None and not (args.constrain and 2 <= args.voices <= prompts.MOST_VOICES):
        raise UsageError(f"--voices is {args.voices}; it takes 2 to {prompts.MOST_VOICES} voices, and --constrain.")
    if args.voices is not None and (args.tune or args.sections or args.bars or args.first_bars or args.prompt):
        raise UsageError("--voices takes no more than --metre and --key beside it: leave out the others.")
    if not 0 <= args.seed < 2**64:
        raise UsageError(f"--seed is {args.seed}; it must be 0 or more and below 2**64.")
    if not 0 <= args.threads <= MOST_THREADS:
        raise UsageError(f"--threads is {args.threads}; it must be 0 (PyTorch's choice) to {MOST_THREADS}.")
    if args.output is None and (args.midi or args.musicxml):
        raise UsageError("--midi and --musicxml write beside the .abc file: name it with -o FILE.abc.")
    if args.output is not None:
        _check_writable(args.output)
        _check_replaced(args)


def _check_replaced(args: argparse.Namespace) -> None:
    """Refuse to write over the tune that was brought, and over folders with files of somebody else's."""
    if args.tune is not None and args.tune.resolve() == args.output.resolve():
        raise UsageError(f"-o {args.output} is the file of --tune: name another.")
    for kind, suffix in output.FOLDERS.items():
        folder = output.folder_of(args.output, kind)
        if getattr(args, kind) and any(not re.fullmatch(rf"\d+\.{suffix}", name) for name in names_in(folder)):
            raise UsageError(f"--{kind} would replace {folder}, which holds other files: move it, or name another -o.")


def _check_writable(path: Path) -> None:
    """Find out before the work that the result cannot be written."""
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder. Name a file, as {path / 'tunes.abc'}.")
    files.check_writable(path)


def _model(args: argparse.Namespace) -> str:
    if args.model is None:
        raise UsageError("name the model that is to write: a run, a checkpoint, or gpt2-6m or mamba2-6m.")
    return str(args.model)


def _check_trained(
    source: LoadedModel, prompt: prompts.Prompt, task: edit.Task | None, *, is_constrained: bool
) -> None:
    """Refuse to ask a model for what it never learnt; say where it works with less than it could."""
    asked = prompt.asked
    is_counted = is_constrained and not (asked.similarity or asked.rhythm or asked.lowest or asked.highest)
    if asked.lines and not source.codes and not is_counted:
        raise UserError(
            f"{source.name} was not trained with control codes, and would take no notice of {asked.text}. Train a "
            "model with data.control: codes (configs/mamba2-1m-control.yaml), or ask for --metre and --key, and with "
            "--constrain for --sections and --bars, which it counts."
        )
    if asked.lines and is_constrained and not is_counted:
        print(
            "--constrain sees to sections and bars; similarity, type and range are asked of the model.", file=sys.stderr
        )
    if task is not None and task.kind == "fill" and not source.infill:
        print(
            f"{source.name} was not trained to fill in: it sees what stands before a bar, not what follows "
            "(data.infill, configs/mamba2-1m-control.yaml).",
            file=sys.stderr,
        )


def _prompt(args: argparse.Namespace, task: edit.Task | None) -> prompts.Prompt:
    asked = control_codes.ask(args.sections, args.bars, args.similarity, args.rhythm, args.lowest, args.highest)
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


def _rules(args: argparse.Namespace, prompt: prompts.Prompt) -> "Automaton | Voices":
    """The rules of --constrain for tunes that begin so; UserError where no right tune does."""
    from symbolic.decode.constraint import line_mask
    from symbolic.decode.constraint.token_mask import prompted

    if args.voices:
        from symbolic.decode.constraint.voice_mask import Voices

        return Voices(prompted(prompt), args.voices)
    return line_mask.steered(prompted(prompt)) if prompt.asked.lines else prompted(prompt)


def _written(
    args: argparse.Namespace, source: LoadedModel, prompt: prompts.Prompt, automaton: "Automaton | Voices | None"
) -> tuple[list[DrawnTune], int]:
    """New tunes, and the number of tokens drawn."""
    from symbolic.decode.constraint import voice_mask

    generated, n_tokens = generate_tunes(source, prompt, automaton=automaton, **_settings(args))
    tunes = []
    for tune in generated:
        text = control_codes.split(source.tokenizer.decode(tune.prompt + tune.tokens))[1]
        text = voice_mask.whole(text) if args.voices and tune.finished != "eos" else text
        made = _tune(args, tune.index + 1, f"{source.name} {args.seed} / {tune.index + 1}", text, tune.finished)
        asked = made.score is not None and prompt.asked.lines
        tunes.append(replace(made, remark=form_line(made.score)) if asked and made.score else made)
    return tunes, n_tokens


def _edited(args: argparse.Namespace, source: LoadedModel, task: edit.Task) -> tuple[list[DrawnTune], int]:
    """The tune that was brought, changed as asked, and the number of tokens drawn."""
    given = task.given
    if task.kind == "fill":
        made, n_tokens = _filled(args, source, task)
    elif task.kind == "continue":
        made, n_tokens = _gone_on(args, source, task)
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


def _gone_on(
    args: argparse.Namespace, source: LoadedModel, task: edit.Task
) -> tuple[list[tuple[str, str, str, str]], int]:
    """(text, how it ended, fault, remark) of each tune gone on with after its first bars."""
    from symbolic.decode.editing import infilling

    beginning = edit.kept_text(task.given, len(task.bars))
    automaton = _continued(beginning) if args.constrain else None
    generated, n_tokens = generate_tunes(
        source, prompts.Prompt(), automaton=automaton, beginning=beginning, **_settings(args)
    )
    drawn = [infilling.gone_on(beginning, source.tokenizer.decode(tune.tokens)) for tune in generated]
    return [(new.text, tune.finished, new.fault, "") for new, tune in zip(drawn, generated, strict=True)], n_tokens


def _filled(
    args: argparse.Namespace, source: LoadedModel, task: edit.Task
) -> tuple[list[tuple[str, str, str, str]], int]:
    """(text, how it ended, fault, remark) of each tune with new bars; tunes with other bars chosen go one by one."""
    from symbolic.decode.editing import infilling

    settings = _settings(args)
    fixed = {"eos": source.tokenizer.eos, "n_tokens": source.tokenizer.n_tokens, "constrain": args.constrain}
    fixed |= {"sampling": settings["rules"], "seed": args.seed, "batch_size": args.batch_size}
    calls = [(task.chosen(args.seed, index), 1) for index in range(args.n)] if task.share else [(task.bars, args.n)]
    made, n_tokens = [], 0
    for index, (chosen, n) in enumerate(calls):
        tunes, n_drawn = infilling.fill(source, task.given.text, chosen, n=n, stream=1000 * index, **fixed)
        n_tokens += n_drawn
        shift = 0 if task.given.has_pickup else 1
        for tune in tunes:
            new = ", ".join(f"{place + shift}: {body}" for place, body in zip(chosen, tune.bodies, strict=True))
            made.append((tune.text, "eos", tune.fault, f"new bars {new}"))
    return made, n_tokens


def _continued(beginning: str) -> "Automaton":
    """The rules of --constrain for a tune that is gone on with; UserError where its bars are not right themselves."""
    from symbolic.decode.constraint.automaton import Automaton

    automaton = Automaton()
    _, n_read = automaton.read(beginning)
    if n_read < len(beginning):
        raise UserError(
            f"--constrain: {_unread(beginning, automaton)}. Keep fewer bars, mend the tune, or leave out --constrain."
        )
    return automaton


def _unread(text: str, automaton: "Automaton") -> str:
    """What the rules do not read of a tune's beginning: which bar is not full, or which sign they leave out."""
    from symbolic.data.augmentation import bars
    from symbolic.decode.constraint.automaton import Place

    state, n_read = automaton.read(text)
    music = control_codes.music_of(text)
    start = len(text) - len(music)
    if n_read < start:
        line = text[text.rfind("\n", 0, n_read) + 1 :].partition("\n")[0]
        return f"{line!r} in the tune's header is not written by it"
    is_cut = state.place == Place.BAR and automaton.completed(state) is None  # a bar line that had to go on otherwise
    place = n_read - start - is_cut
    spans, score = bars(music), abc_parser.parse(text)
    measures = abc_parser.bars(score.voices[0], score.meter)
    index = max(0, sum(span.start <= place for span in spans) - 1)
    name, ticks, room = f"bar {index + measures[0].is_full}", measures[index].ticks, state.form.room
    is_at_end = place >= spans[index].end
    if ticks > room or (is_at_end and ticks < room):
        meter = state.form.meter
        left = "" if room == meter.ticks else f"the {_length(room, meter)} that are left of "
        return f"{name} holds {_length(ticks, meter)} of {left}{meter.text}"
    if is_at_end:
        line = music[spans[index].end : spans[index + 1].start if index + 1 < len(spans) else None]
        return f"{name} is full, but with {line!r} behind it a repeat or an ending does not come out even"
    body = music[spans[index].start : spans[index].end]
    return f"{name}, {body!r}, has {music[place : spans[index].end][:6]!r} where it does not write that"


def _length(ticks: int, meter: abc_parser.Meter) -> str:
    """A bar's length over the metre's beats, or eighths where they are longer: 6/8 of 4/4."""
    whole = Fraction(ticks, abc_parser.TICKS_PER_WHOLE)
    counted = whole * max(8, meter.denominator)
    return f"{counted}/{max(8, meter.denominator)}" if counted.denominator == 1 else str(whole)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    from symbolic.decode.engine.sampling import Sampling

    rules = Sampling(args.temperature, args.top_k, args.top_p, args.min_p)
    return {
        "rules": rules, "n": args.n, "seed": args.seed, "max_tokens": args.max_tokens, "batch_size": args.batch_size
    }  # fmt: skip


def _tune(args: argparse.Namespace, number: int, title: str, text: str, finished: str) -> DrawnTune:
    try:
        score = abc_parser.parse(text)
    except NotationError as error:
        return DrawnTune(number, title, text, None, f"{error.reason}: {error}", finished)
    if args.transpose or args.harmonise:
        score = abc_parser.parse(edit.finished(abc_parser.canonical(score), args))
    score.fields["T"] = [title]
    return DrawnTune(number, title, text, score, "", finished)


def _report(args: argparse.Namespace, source: LoadedModel, summary: Summary) -> None:
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


def _record(args: argparse.Namespace, source: LoadedModel, summary: Summary) -> dict[str, Any]:
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
