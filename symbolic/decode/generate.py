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

The same seed gives the same tunes whatever the batch size, and the first n of a larger number, in float32. With
--attempts N a tune that is not right (it was cut, does not parse, or a bar does not fit the meter) is drawn again as a
whole, up to N times. Ctrl-C and SIGTERM end the work with the tunes that have ended by then in the file; a process that
is killed, or a full disk, leaves them in FILE.abc.part.
"""

import argparse
import json
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.decode import output
from symbolic.decode import prompt as prompts
from symbolic.decode.continuation import MAX_TOKENS
from symbolic.decode.editing import edit
from symbolic.decode.engine.sampling_rules import DEFAULT, MAX_TEMPERATURE, Sampling
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel, load_source
from symbolic.decode.tune_writer import (
    DrawnTune,
    Generation,
    GenerationRequest,
    check_trained,
    is_counted,
    perform,
)
from symbolic.errors import UsageError, UserError
from symbolic.files import names_in
from symbolic.notation import control_codes
from symbolic.notation.chord_symbols import parse_progression

MAX_THREADS = 256
OTHER_SUFFIXES = (".mid", ".midi", ".musicxml", ".mxl", ".xml", ".wav", ".mp3", ".flac")
MIDI_SUFFIXES = (".mid", ".midi")
ABC_ONLY = (  # options of models of ABC
    *("prompt", "metre", "key", "first_bars", "constrain", "midi", "musicxml", "title", "tempo"),
)
# Bits per byte of held-out tunes under the ready-made models, relative to float32 (experiments/LOG.md).
LOSSES = "bits per byte rise by up to 0.01 %% in bfloat16, 0.12 %% in int8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("model", metavar="RUN_OR_CHECKPOINT", nargs="?", help="the model that writes")
    parser.add_argument("-n", type=int, default=10, metavar="N", help="number of tunes (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default 0)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.abc", help="default: standard output")
    parser.add_argument("--midi", action="store_true", help="also MIDI files, in the folder FILE_midi")
    parser.add_argument("--musicxml", action="store_true", help="also MusicXML files, in the folder FILE_musicxml")
    parser.add_argument("--title", help="of the tunes, numbered where there are several (default: as 'Jig in D')")
    parser.add_argument("--tempo", metavar="N", help="beats a minute, as 120 or 3/8=100 (default: none is written)")
    parser.add_argument("--json", action="store_true", help="end with a summary in one line of JSON")
    _add_prompt_arguments(parser.add_argument_group("what the tunes begin with"))
    _add_control_arguments(parser.add_argument_group("what is asked of them (models trained with control codes)"))
    _add_tune_arguments(parser.add_argument_group("a tune that you bring"))
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
    group.add_argument("--style", "--type", dest="rhythm", metavar="R", help="as jig, reel, 'slip jig'")
    group.add_argument("--lowest", metavar="NOTE", help="lowest note as ABC, as D")
    group.add_argument("--highest", metavar="NOTE", help="highest note as ABC, as b")


def _add_tune_arguments(group: Any) -> None:
    group.add_argument("--tune", type=Path, metavar="FILE", help="the tune: ABC, MIDI or MusicXML")
    group.add_argument(
        "--number", type=int, metavar="N", help="of its file the tune X:N, else the N-th (default: the first)"
    )
    group.add_argument(
        "--continue", dest="go_on", type=int, nargs="?", const=edit.ALL_BARS, metavar="BARS",
        help="go on after BARS bars",
    )  # fmt: skip
    group.add_argument("--fill", metavar="BARS", help="write these bars anew, as 5-8,12")
    group.add_argument("--vary", metavar="BARS|SHARE", help="the same, or a share of all bars, 0.0 to 1.0")
    group.add_argument("--transpose", type=int, metavar="N", help="semitones; also for tunes of the model")
    group.add_argument(
        "--harmonise", nargs="?", const="beat", choices=("bar", "beat"),
        help="chord symbols where people change them, or at bars only; also for tunes of the model",
    )  # fmt: skip
    group.add_argument("--chords", metavar="TEXT", help="chord symbols of your own: '| Am | F | C | G |'")


def _add_sampling_arguments(group: Any) -> None:
    group.add_argument("--temperature", type=float, default=1.0, help=f"0 (greedy) to {MAX_TEMPERATURE:g} (default 1)")
    group.add_argument("--top-k", type=int, default=0, help="the k likeliest tokens (default 0: off)")
    group.add_argument("--top-p", type=float, default=1.0, help="the likeliest tokens of mass p (default 1: off)")
    group.add_argument(
        "--min-p",
        type=float,
        default=DEFAULT.min_p,
        help=f"tokens p times as likely as the best (default {DEFAULT.min_p:g}; 0: off)",
    )
    group.add_argument(
        "--attempts", type=int, default=1, metavar="N",
        help="draw a tune again that does not end, parse or fill its bars, N times in all (default 1)",
    )  # fmt: skip
    group.add_argument("--constrain", action="store_true", help="only what parses and fills its bars")
    group.add_argument(
        "--voices", type=int, metavar="N", help=f"with --constrain: 2 to {prompts.MAX_VOICES} voices whose bars agree"
    )
    group.add_argument("--max-tokens", type=int, default=MAX_TOKENS, help=f"of one tune (default {MAX_TOKENS})")


def _add_machine_arguments(group: Any) -> None:
    group.add_argument("--batch-size", type=int, default=32, help="tunes at a time (default 32)")
    group.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    group.add_argument("--dtype", default="float32", help=f"float32, bfloat16, int8, auto (default float32); {LOSSES}")
    group.add_argument("--step", default="auto", help="native, torch, graph (CUDA) or auto: native where it can run")
    group.add_argument("--threads", type=int, default=1, help="CPU threads (default 1: steadiest; 0: PyTorch's choice)")


def run(args: argparse.Namespace) -> int:
    """Generate, write, report; return the exit status."""
    _check_machine(args)
    _check_output(args)
    request = _request(args)
    if not request.needs_model:
        return _write_tunes(args, NO_MODEL, request)
    model = load_source(_model_name(args), args.device, args.dtype, args.threads, step=args.step)
    if model.tokenizer.notation == "midi":
        return _write_pieces(args, model, request)
    check_trained(model, request)
    _advise(model, request)
    return _write_tunes(args, model, request)


def _write_tunes(args: argparse.Namespace, model: LoadedModel, request: GenerationRequest) -> int:
    if args.output is not None and args.output.suffix.lower() in OTHER_SUFFIXES:
        raise UsageError(f"-o {args.output}: tunes are written as ABC. Name a .abc file, with --midi or --musicxml.")
    kinds = [kind for kind in output.FOLDERS if getattr(args, kind)]
    if args.output is None:
        ended: list[DrawnTune] = []
        made, status = _finish_or_stop(model, request, ended, ended.append)
        output.write(made, None)
    else:
        with output.unfinished_file(args.output, model, request, args.tune) as part:
            made, status = _finish_or_stop(model, request, part.tunes, part.add)
            output.write(made, args.output, kinds, source_file=args.tune)
    _report(args, made)
    return status


def _finish_or_stop(
    model: LoadedModel, request: GenerationRequest, ended: list[DrawnTune], add: Callable[[DrawnTune], None]
) -> tuple[Generation, int]:
    """Make the tunes; return them and the exit status. A signal ends the work with those that `add` put in `ended`."""
    began = time.monotonic()
    try:
        with _stop_signals():
            return perform(model, request, add, show_progress=True), 0
    except _Stopped as stopped:
        if not ended:
            raise
        tunes = sorted(ended, key=lambda tune: tune.number)
        n_tokens = sum(len(model.tokenizer.encode(tune.text)) for tune in tunes)
        print(f"stopped after {len(tunes)} of {request.n} tunes, which are kept.", file=sys.stderr)
        return Generation(model, request, tunes, n_tokens, time.monotonic() - began), 128 + stopped.number


class _Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM came."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Raise _Stopped at SIGINT or SIGTERM inside the block; the second signal acts as it would without."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: Any) -> None:
        restore()
        raise _Stopped(number)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()


def _write_pieces(args: argparse.Namespace, model: LoadedModel, request: GenerationRequest) -> int:
    """Write what a model of MIDI draws: its pieces are MIDI files."""
    from symbolic.decode import generate_midi

    given = [name for name in ABC_ONLY if getattr(args, name)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise UsageError(f"{option}: {args.model} writes MIDI, and this option is of models of ABC. Leave it out.")
    if args.output is None or args.output.suffix.lower() not in MIDI_SUFFIXES:
        raise UsageError(f"{args.model} writes MIDI: name the file with -o, for example -o pieces.mid.")
    made = generate_midi.generate_pieces(model, request)
    record = generate_midi.write_pieces(made, args.output)
    print(generate_midi.summary(record), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(record))
    return 0


def _check_machine(args: argparse.Namespace) -> None:
    if not 0 <= args.threads <= MAX_THREADS:
        raise UsageError(f"--threads is {args.threads}; it must be 0 (PyTorch's choice) to {MAX_THREADS}.")


def _check_output(args: argparse.Namespace) -> None:
    """Find out before the work what cannot be written."""
    if args.output is None and (args.midi or args.musicxml):
        raise UsageError("--midi and --musicxml write beside the .abc file: name it with -o FILE.abc.")
    if args.output is None:
        return
    if args.output.is_dir():
        raise UserError(f"cannot write {args.output}: it is a folder. Name a file, as {args.output / 'tunes.abc'}.")
    files.check_writable(args.output)
    _check_replaced(args)


def _check_replaced(args: argparse.Namespace) -> None:
    """Refuse to write over the tune that was brought, and over folders with files of somebody else's."""
    if args.tune is not None and args.tune.resolve() == args.output.resolve():
        raise UsageError(f"-o {args.output} is the file of --tune: name another.")
    for kind, suffix in output.FOLDERS.items():
        folder = output.folder_of(args.output, kind)
        if getattr(args, kind) and any(not re.fullmatch(rf"\d+\.{suffix}", name) for name in names_in(folder)):
            raise UsageError(f"--{kind} would replace {folder}, which holds other files: move it, or name another -o.")


def _model_name(args: argparse.Namespace) -> str:
    if args.model is None:
        raise UsageError("name the model that is to write: a run, a checkpoint, or gpt2-6m or mamba2-6m.")
    return str(args.model)


def _request(args: argparse.Namespace) -> GenerationRequest:
    if args.chords is not None:
        parse_progression(args.chords)
        if args.harmonise:
            raise UsageError("--chords and --harmonise: one of them.")
    asked = control_codes.ask(args.sections, args.bars, args.similarity, args.rhythm, args.lowest, args.highest)
    return GenerationRequest(
        n=args.n,
        seed=args.seed,
        sampling=Sampling(args.temperature, args.top_k, args.top_p, args.min_p),
        prompt=replace(_prompt(args), asked=asked),
        edit=_tune_edit(args),
        constrain=args.constrain,
        voices=args.voices,
        max_tokens=args.max_tokens,
        batch_size=args.batch_size,
        transpose=args.transpose or 0,
        harmonise=args.chords or args.harmonise or "",
        attempts=args.attempts,
        title=_one_line(args.title or ""),
        tempo=args.tempo or "",
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _prompt(args: argparse.Namespace) -> prompts.Prompt:
    if args.prompt is None:
        return prompts.make_prompt(metre=args.metre, key=args.key, bars=args.first_bars or "")
    if any(value is not None for value in (args.metre, args.key, args.first_bars)):
        raise UsageError("give either --prompt, or --metre, --key and --first-bars.")
    return prompts.read_prompt(args.prompt)


def _tune_edit(args: argparse.Namespace) -> edit.TuneEdit | None:
    """Return the edit that the options of a given tune ask for; None without a tune."""
    options = {"--continue": args.go_on, "--fill": args.fill, "--vary": args.vary}
    asked = [name for name, value in options.items() if value is not None]
    if args.tune is None:
        if asked or args.number is not None:
            raise UsageError(
                f"{asked[0] if asked else '--number'} works on a tune that you bring: name it with --tune."
            )
        return None
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]}: one at a time.")
    if not asked and args.transpose is None and not (args.harmonise or args.chords):
        raise UsageError(
            "say what to do with the tune: --continue, --fill, --vary, --transpose, --harmonise or --chords."
        )
    given = edit.read_tune(args.tune, args.number)
    if args.go_on is not None:
        return edit.continue_edit(given, args.go_on)
    if args.fill is not None:
        return edit.fill_edit(given, args.fill)
    return edit.vary_edit(given, args.vary) if args.vary is not None else edit.TuneEdit(given)


def _advise(model: LoadedModel, request: GenerationRequest) -> None:
    """Say where a model works with less than it could."""
    if request.prompt.asked.lines and request.constrain and not is_counted(request):
        print(
            "--constrain sees to sections and bars; similarity, type and range are asked of the model.", file=sys.stderr
        )
    if request.edit is not None and request.edit.kind == "fill" and not model.infill:
        print(
            f"{model.name} was not trained to fill in: it sees what stands before a bar, not what follows "
            "(data.infill, configs/mamba2-1m-control.yaml).",
            file=sys.stderr,
        )


def _report(args: argparse.Namespace, made: Generation) -> None:
    """Say on one line what was written; with --json a record on the last line of standard output."""
    where = f"; {args.output}" if args.output else ""
    if made.model is NO_MODEL:
        print(f"{args.tune}: {len(made.tunes)} tune written{where}", file=sys.stderr)
        return
    again = f", {made.n_again} drawn again" if made.n_again else ""
    text = (
        f"{len(made.tunes)} tunes by {made.model.name}: {made.n_unfinished} unfinished, "
        f"{made.n_unparseable} unparseable{again}; {made.n_tokens:,} tokens in {made.seconds:.1f} s, "
        f"{made.tokens_per_second:,.0f} tokens/s, {made.model.step}"
    )
    print(text + where, file=sys.stdout if args.output and not args.json else sys.stderr)
    if args.json:
        print(json.dumps(_record(args, made)))


def _record(args: argparse.Namespace, made: Generation) -> dict[str, Any]:
    return {
        "model": made.model.name,
        "step": made.model.step,
        "seed": made.request.seed,
        "tunes": len(made.tunes),
        "unfinished": made.n_unfinished,
        "unparseable": made.n_unparseable,
        "drawn_again": made.n_again,
        "tokens": made.n_tokens,
        "seconds": round(made.seconds, 3),
        "tokens_per_second": round(made.tokens_per_second, 1),
        "output": str(args.output) if args.output else None,
    }
