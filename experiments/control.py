"""Does asking help, does reading both sides? Control codes and filling in, against the same model without them.

    python -m experiments.control runs/mamba2-1m-control -n 100

Needs runs trained with data.control: codes and data.infill (configs/mamba2-1m-control.yaml); the tunes asked after are
held-out ones, so each asked form is one that music has.

- adherence: a new tune is asked for the form, range, metre and key of each held-out tune; `asked` rows give the share
  that was kept (symbolic.evaluate.metrics.control_adherence), `shuffled` rows what the same tunes have of what was
  asked of another, `unasked` rows what as many tunes of the same model, asked for nothing, have of it: two floors.
  `constrained` rows are of tunes under the mask of --constrain, which counts sections and bars. Metre and key are
  forced by the header, so there the row says that they are read, no more.
- type: tunes are asked for a type alone; the share whose metre, which the model draws, is one that the type has in the
  collections, beside the share of unasked tunes.
- infill: two neighbouring bars are taken out of each held-out tune. Bits per byte of their text given both sides and
  given what stands before; the share of bars written there that are full, and that are the tune's own, unmasked.
- harmony: bars in which the chord of symbolic.notation.harmony has root and third of the one that music21's Nottingham
  tunes have, beside always writing the tonic.
"""

import argparse
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.data import augmentation
from symbolic.notation import abc_parser, control_codes, harmony
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.score import Bar, ChordSymbol, Note, Rest, bars

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel

HIDDEN_BARS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="+", metavar="RUN", help="runs or model folders")
    made.add_argument("-n", type=int, default=100, help="held-out tunes (default 100)")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--max-tokens", type=int, default=600, help="of one tune (default 600)")
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "control.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every run and write the result."""
    from symbolic.decode.loaded_model import load_source

    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("control", seed=args.seed, settings=settings, data_digest=digest)
    human = [row["text"] for row in files.read_jsonl(args.data / "tunes" / "test.jsonl")]
    human = [text for text in human if control_codes.codes_of(text).in_range and "\nV:" not in text][: args.n]
    for target in args.runs:
        source = load_source(target, "cpu", threads=1, step="auto")
        print(source.name, file=sys.stderr)
        _trained(recorder, source)
        _adherence(recorder, source, human, args)
        _types(recorder, source, args)
        _infill(recorder, source, human, args)
    _harmony(recorder)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    for row in result["rows"]:
        value = row["not_run"] if "not_run" in row else result_file.row_text(row, 4)
        lines.append(f"{row['model']:20} {row['kind']:10} {row.get('measure', ''):28} {row.get('given', ''):8} {value}")
    return "\n".join(lines)


def _trained(recorder: result_file.Recorder, source: "LoadedModel") -> None:
    """How long the model was trained: what it has learnt depends on it."""
    from symbolic.training import checkpoint

    record = files.read_json(source.folder / checkpoint.RECORD)
    for measure in ("step", "tokens"):
        recorder.measured([record[measure]], measure, model=source.name, kind="training", measure=measure)


def _adherence(
    recorder: result_file.Recorder, source: "LoadedModel", human: Sequence[str], args: argparse.Namespace
) -> None:
    from symbolic.decode import prompt as prompts
    from symbolic.decode.continuation import generate_tunes
    from symbolic.decode.engine.sampling import Sampling
    from symbolic.evaluate.metrics import control_adherence

    wanted = [control_adherence.find_codes(abc_parser.parse(text)) for text in human]
    asked = [
        {field: one[field] for field in ("metre", "key", "mode", "lowest", "highest", "S", "B", "E")} for one in wanted
    ]
    beginnings = [
        control_codes.range_lines(text) + control_codes.encode(control_codes.codes_of(text)) + _header(text)
        for text in human
    ]
    free, _ = generate_tunes(
        source, prompts.Prompt(), Sampling(), n=len(human), seed=args.seed, max_tokens=args.max_tokens
    )
    made = {
        "asked": _continued(source, beginnings, args),
        "shuffled": [],
        "unasked": [source.tokenizer.decode(tune.prompt + tune.tokens) for tune in free],
        "constrained": _counted(source, beginnings, human, args),
    }
    made["shuffled"] = made["asked"]
    for given, texts in made.items():
        tunes = [None if score is None else control_adherence.find_codes(score) for score in map(_read, texts)]
        measure = control_adherence.chance if given == "shuffled" else control_adherence.adherence
        keys = {"model": source.name, "kind": "adherence", "given": given, "n_tunes": len(texts)}
        parse = sum(tune is not None for tune in tunes) / len(tunes)
        recorder.measured([parse], "share", measure="share that parse", **keys)
        for field, values in measure(asked, tunes).items():
            recorder.measured([values["share"]], "share", measure=f"{field} kept", **keys)
            if "mean_distance" in values:
                recorder.measured([values["mean_distance"]], "steps", measure=f"{field} distance", **keys)


def _types(recorder: result_file.Recorder, source: "LoadedModel", args: argparse.Namespace) -> None:
    from symbolic.decode import prompt as prompts
    from symbolic.decode.continuation import generate_tunes
    from symbolic.decode.engine.sampling import Sampling

    metres: dict[str, set[str]] = defaultdict(set)
    for row in files.read_jsonl(args.data / "tunes" / "train.jsonl"):
        metres[control_codes.tune_type(row["rhythm"])].add(row["text"].partition("\n")[0])
    usual = {"reel": {"M:2/2", "M:4/4", "M:2/4"} & metres["reel"], "jig": {"M:6/8"}, "slip jig": {"M:9/8"}}
    for rhythm, chosen in usual.items():
        for given in ("asked", "unasked"):
            asked = control_codes.ask(rhythm=rhythm if given == "asked" else None)
            tunes, _ = generate_tunes(
                source, prompts.Prompt(asked=asked), Sampling(), n=args.n, seed=args.seed + 1, max_tokens=1
            )
            texts = [control_codes.split(source.tokenizer.decode(tune.prompt))[1] for tune in tunes]
            share = sum(text.partition("\n")[0] in chosen for text in texts) / len(texts)
            keys = {"model": source.name, "kind": "type", "given": given, "n_tunes": args.n}
            recorder.measured([share], "share", measure=f"metre of a {rhythm}", **keys)


def _infill(
    recorder: result_file.Recorder, source: "LoadedModel", human: Sequence[str], args: argparse.Namespace
) -> None:
    from symbolic.decode.editing import infilling
    from symbolic.decode.engine.sampling import Sampling

    tokenizer = source.tokenizer
    cases = list(_cases(human, args.seed))
    for given in ("both", "left"):
        is_both = given == "both"
        nats = n_bytes = n_bars = n_full = n_same = n_fault = 0.0
        for index, (text, chosen) in enumerate(cases):
            _, bodies = augmentation.taken_out(text, chosen)
            nats += _nats(source, text, chosen) if is_both else _nats_left(source, text, chosen)
            n_bytes += len("".join(bodies))
            made = infilling.fill(
                replace(source, infill=is_both), text, chosen, n=1, constrain=False, stream=100 * index,
                sampling=Sampling(), seed=args.seed, batch_size=1, eos=tokenizer.eos, n_tokens=tokenizer.n_tokens,
            )[0][0]  # fmt: skip
            n_bars += len(chosen)
            n_fault += bool(made.fault)
            if not made.fault:
                lengths = _lengths(made.text)
                n_full += sum(lengths[place] == length for place, length in _wanted(text, chosen))
                n_same += sum(one == other for one, other in zip(made.bodies, bodies, strict=True))
        keys = {"model": source.name, "kind": "infill", "given": given, "n_tunes": len(cases)}
        recorder.measured([nats / math.log(2) / n_bytes], "bits/byte", measure="bits per byte of the bars", **keys)
        recorder.measured([n_full / n_bars], "share", measure="bars full", **keys)
        recorder.measured([n_same / n_bars], "share", measure="bars as they were", **keys)
        recorder.measured([n_fault / len(cases)], "share", measure="tunes at fault", **keys)


def _cases(human: Sequence[str], seed: int) -> Iterator[tuple[str, list[int]]]:
    """Each tune with neighbouring inner bars to take out."""
    from symbolic.decode.editing import infilling
    from symbolic.errors import UserError

    for number, text in enumerate(human):
        n = len(augmentation.bars(control_codes.music_of(text)))
        first = int(np.random.default_rng([seed, number]).integers(2, max(3, n - HIDDEN_BARS - 1)))
        chosen = list(range(first, first + HIDDEN_BARS))
        try:
            infilling.holes(text, chosen)
        except (UserError, IndexError):  # a bar that cannot be taken out, or a tune of few bars
            continue
        yield text, chosen


def _nats(source: "LoadedModel", text: str, chosen: Sequence[int]) -> float:
    """Of the hidden bars given both sides; the signs between them are not counted."""
    framed, bodies = augmentation.taken_out(text, chosen)
    parts = [augmentation.FILL + framed]
    for body in bodies:
        parts += [augmentation.ANSWER, body]
    return _nats_of(source, parts, {2 * place + 2 for place in range(len(bodies))})


def _nats_left(source: "LoadedModel", text: str, chosen: Sequence[int]) -> float:
    """Of the same bars in their place, given what stands before."""
    framed, bodies = augmentation.taken_out(text, chosen)
    outside = framed.split(augmentation.HIDDEN)
    parts = [outside[0]]
    for body, part in zip(bodies, outside[1:], strict=True):
        parts += [body, part]
    return _nats_of(source, parts, {2 * place + 1 for place in range(len(bodies))})


def _nats_of(source: "LoadedModel", parts: Sequence[str], counted: set[int]) -> float:
    """Negative log-likelihood of some parts of a text; parts meet where tokens do."""
    import torch

    ids, is_counted = [source.tokenizer.bos], [False]
    for number, part in enumerate(parts):
        piece = source.tokenizer.encode(part)
        ids += piece
        is_counted += [number in counted] * len(piece)
    assert ids[1:] == source.tokenizer.encode("".join(parts))
    with torch.inference_mode():
        scores = _plain(source)(torch.tensor([ids[:-1]]))[0].float().log_softmax(-1)
    chosen = scores[range(len(ids) - 1), ids[1:]]
    return -float(chosen[torch.tensor(is_counted[1:])].double().sum())


def _plain(source: "LoadedModel") -> Any:
    """The model itself, whatever step decodes."""
    from symbolic import models

    if source.folder not in _MODELS:
        _MODELS[source.folder] = models.load(source.folder, "cpu")[0].eval()
    return _MODELS[source.folder]


_MODELS: dict[Path, Any] = {}


def _continued(source: "LoadedModel", beginnings: Sequence[str], args: argparse.Namespace) -> list[str]:
    from symbolic.decode.engine import engine

    tokenizer = source.tokenizer
    tunes = engine.generate(
        source.model,
        [[tokenizer.bos, *tokenizer.encode(text)] for text in beginnings],
        max_new_tokens=args.max_tokens,
        n_tokens=tokenizer.n_tokens,
        eos=tokenizer.eos,
        seed=args.seed,
    )
    return [control_codes.split(tokenizer.decode(tune.prompt + tune.tokens))[1] for tune in tunes]


def _counted(
    source: "LoadedModel", beginnings: Sequence[str], human: Sequence[str], args: argparse.Namespace
) -> list[str]:
    """The same beginnings gone on with under the mask, each with the form of its own tune; '' where no right tune has
    that form."""
    from symbolic.decode.constraint import line_mask
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.engine import engine
    from symbolic.errors import UserError

    tokenizer, texts = source.tokenizer, []
    for index, (beginning, text) in enumerate(zip(beginnings, human, strict=True)):
        try:
            automaton = line_mask.with_codes(Automaton(plan=control_codes.codes_of(text).bars))
            mask = TokenMask(tokenizer, automaton, vocab_size=source.model.config.vocab_size)
            mask.limit(args.max_tokens, engine.context_limit(source.model))
            drawn = engine.generate(
                source.model, [[tokenizer.bos, *tokenizer.encode(beginning)]], max_new_tokens=args.max_tokens,
                n_tokens=tokenizer.n_tokens, eos=tokenizer.eos, seed=args.seed, stream=index, mask=mask,
            )  # fmt: skip
            texts.append(control_codes.split(tokenizer.decode(drawn[0].prompt + drawn[0].tokens))[1])
        except UserError as error:
            print(f"tune {index}: {error}", file=sys.stderr)
            texts.append("")
    return texts


def _header(text: str) -> str:
    return text[: len(text) - len(control_codes.music_of(text)) - 1]


def _read(text: str) -> abc_parser.Score | None:
    try:
        return abc_parser.parse(text)
    except NotationError:
        return None


def _lengths(text: str) -> list[int]:
    score = abc_parser.parse(text)
    return [measure.ticks for measure in bars(score.voices[0], score.meter)]


def _wanted(text: str, chosen: Sequence[int]) -> list[tuple[int, int]]:
    from symbolic.decode.editing import infilling

    return [(place, hole.ticks) for place, hole in zip(chosen, infilling.holes(text, chosen), strict=True)]


def _harmony(recorder: result_file.Recorder) -> None:
    texts = list(_nottingham())
    agreed = tonic = n = 0
    for text in texts:
        key = abc_parser.parse(text).key
        home = _triad(harmony.chords(key)[0].symbol)
        for theirs, ours in zip(_by_bar(text), _by_bar(harmony.harmonised(text)), strict=True):
            if theirs and ours:
                n, agreed, tonic = n + 1, agreed + (_triad(theirs) == _triad(ours)), tonic + (_triad(theirs) == home)
    keys = {"model": "harmony", "kind": "harmony", "n_tunes": len(texts), "n_bars": n}
    if not n:
        recorder.not_run("music21 has no tune with chord symbols", **keys)
        return
    recorder.measured([agreed / n], "share", measure="bars with the same triad", given="ours", **keys)
    recorder.measured([tonic / n], "share", measure="bars with the same triad", given="tonic", **keys)


def _nottingham() -> Iterator[str]:
    """The tunes of music21's Nottingham file that have chord symbols."""
    import importlib.util

    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.origin is not None
    for path in sorted((Path(spec.origin).parent / "corpus" / "nottingham-dataset").glob("*.abc")):
        for raw in abc_parser.split_tunes(path.read_text(encoding="latin-1")):
            score = _read(raw.text)
            if score is not None and '"' in abc_parser.canonical(score):
                yield abc_parser.canonical(score)


def _by_bar(text: str) -> list[str]:
    """The chord that sounds at the first note of each bar; '' before any."""
    found: list[str] = []
    current, first = "", None
    for event in [*abc_parser.parse(text).voices[0].events, Bar("|")]:
        if isinstance(event, ChordSymbol):
            current = event.text
        elif isinstance(event, (Note, Rest)) and first is None:
            first = current
        elif isinstance(event, Bar) and first is not None:
            found.append(first)
            first = None
    return found


def _triad(symbol: str) -> str:
    """Root and third of a chord symbol."""
    match = re.match(r"[A-G][#b]?(?:m(?!aj))?", symbol)
    return match[0] if match else ""


if __name__ == "__main__":
    sys.exit(main())
