"""What `--constrain` gives and what it costs: validity, cost, novelty and likelihood with the mask and without.

    python -m experiments.constrained                                 # gpt2-6m, mamba2-6m and untrained models
    python -m experiments.constrained my-run -n 100 --layers 0        # one model, no untrained ones
    python -m experiments.constrained --again mamba2-6m               # that model anew; the rows of the others stay

For each model, and for an untrained one of each tokenizer, one row a measure, `masked` true and false:

    validity    of N tunes: the share that parse, of full bars, of right tunes (symbolic.notation.validity), of
                tunes that came to an end
    opinion     of the same tunes by abc2midi (symbolic.evaluate.checkers.abc2midi): without an error, without a warning
                of a bar's length, without either
    novelty     of the same tunes: the share with a 17-note phrase of a training tune, the median of the longest passage
                shared with one
    speed       tokens a second of processor time in batches of 32, in interleaved rounds; the first round has the
                mask's tables to fill (`round` cold), the last repeats its tunes (warm). `share_of_time` is what the
                mask took: 1 less the time of free tunes of the very same lengths over that of the masked ones. Rates of
                masked tunes and of free ones of their own lengths do not tell that: longer tunes cost GPT-2 more a
                token, and other lengths fill batches otherwise
    bite        of masked tunes: share of draws that the mask refused, and the mean of the probability that it took away
    likelihood  of the held-out human tunes that the mask accepts: bits per byte

and once, of all human tunes: the shares that are right for the checker, for abc2midi, for both, and of each that the
mask accepts; and what the others have that it refuses.

The free tunes of a seed and the masked ones are the same up to the first draw that is refused. Bits per byte under the
mask renormalise each step's probabilities over the tokens allowed.

The file is written after each part, and a run that was interrupted goes on where it stopped; --again begins anew, with
the models that are named or, where none is, with all.
"""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import result_file
from symbolic import command_line, files, runs

if TYPE_CHECKING:
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.engine.engine import Generated
    from symbolic.tokens import Tokenizer

MODELS = ("gpt2-6m", "mamba2-6m")
BATCH = 32
MOST_ROUNDS = 8


@dataclass(frozen=True)
class Subject:
    """A model to be measured: itself, and as the engine runs it."""

    name: str
    model: Any
    tokenizer: "Tokenizer"

    @cached_property
    def prepared(self) -> Any:
        """With the fastest step that runs here."""
        from symbolic.decode.engine import engine

        return engine.prepare(self.model)


@dataclass(frozen=True)
class Tunes:
    """The human tunes, canonical."""

    train: list[str]
    valid: list[str]
    test: list[str]

    @cached_property
    def melodies(self) -> list[Any]:
        """Of the training tunes."""
        return _melodies(self.train)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="*", metavar="RUN", help=f"default: {', '.join(MODELS)}")
    made.add_argument("-n", type=int, default=1000, help="tunes of each validity row (default 1000)")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--max-tokens", type=int, default=600, help="of one tune (default 600)")
    made.add_argument(
        "--rounds", type=int, default=4, help=f"of the speed measurement (default 4, at most {MOST_ROUNDS})"
    )
    made.add_argument("--speed-tunes", type=int, default=64, help="of one round (default 64)")
    made.add_argument("--analysed", type=int, default=100, help="tunes of the bite and likelihood rows (default 100)")
    made.add_argument("--layers", type=int, default=1, help="of the untrained models (default 1; 0: none)")
    made.add_argument("--width", type=int, default=64, help="of the untrained models (default 64)")
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("--again", action="store_true", help="begin anew")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "constrained.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every subject, part by part, and write the result."""
    import torch

    torch.set_num_threads(1)
    human = Tunes(*([row["text"] for row in files.read_jsonl(_tunes(args, split))] for split in _SPLITS))
    recorder = _begun(args)
    _part(recorder, args, "human tunes", "acceptance", lambda: _acceptance(recorder, human))
    for subject in _subjects(args, human):
        parts: dict[str, Callable[[], None]] = {
            "validity": lambda subject=subject: _validity(recorder, subject, args, human),  # type: ignore[misc]
            "speed": lambda subject=subject: _speed(recorder, subject, args),  # type: ignore[misc]
            "likelihood": lambda subject=subject: _likelihood(recorder, subject, args, human),  # type: ignore[misc]
        }
        for kind, measure in parts.items():
            _part(recorder, args, subject.name, kind, measure)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    for row in result["rows"]:
        mask = {True: "masked", False: "free", None: ""}[row.get("masked")]
        value = row["not_run"] if "not_run" in row else result_file.row_text(row, 0 if row["unit"] == "tokens/s" else 4)
        about = f"{row.get('measure', '')} {row.get('round', '')}"
        lines.append(f"{row['model']:22} {row['kind']:11} {mask:7} {about:60} {value}")
    return "\n".join(lines)


_SPLITS = ("train", "valid", "test")


def _tunes(args: argparse.Namespace, split: str) -> Path:
    path: Path = args.data / "tunes" / f"{split}.jsonl"
    return path


def _begun(args: argparse.Namespace) -> result_file.Recorder:
    """A recorder with the rows of a run that was interrupted; UserError where it had other settings."""
    left_out = ("again", "output", "runs", "layers", "width")
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k not in left_out}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("constrained", seed=args.seed, settings=settings, data_digest=digest)
    if args.runs or not args.again:
        anew = {Path(name).name for name in args.runs} if args.again else set()
        recorder.keep(args.output, lambda row: row["model"] in anew)
    return recorder


def _part(
    recorder: result_file.Recorder, args: argparse.Namespace, name: str, kind: str, measure: Callable[[], None]
) -> None:
    """Measure a part that is not yet there, and write the file."""
    if any(row["model"] == name and row["kind"] == kind for row in recorder.rows):
        return
    began = time.process_time()
    measure()
    print(f"{name}: {kind}, {time.process_time() - began:.0f} s of processor time", file=sys.stderr)
    result_file.write(args.output, recorder.result())


def _subjects(args: argparse.Namespace, human: Tunes) -> Iterator[Subject]:
    import torch

    from symbolic import models, tokens
    from symbolic.config import MIDI_KINDS, GPT2Config

    for target in args.runs or MODELS:
        folder = runs.resolve(target)
        model, _ = models.load(folder, "cpu")
        yield Subject(Path(target).name, model.eval(), tokens.load(folder))
    for kind in [kind for kind in tokens.KINDS if kind not in MIDI_KINDS] if args.layers else ():
        torch.manual_seed(args.seed)
        shape = GPT2Config(n_layer=args.layers, n_embd=args.width, n_head=max(1, args.width // 64), n_positions=1024)
        yield Subject(f"untrained, {kind}", models.build(shape).eval(), tokens.build(kind, texts=human.train))


def _mask(subject: Subject, max_tokens: int) -> "TokenMask":
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.engine.engine import context_limit

    mask = TokenMask(subject.tokenizer, vocab_size=subject.model.config.vocab_size)
    mask.limit(max_tokens, context_limit(subject.model))
    return mask


def _generate(
    subject: Subject, n: int, seed: int, max_tokens: int, mask: "TokenMask | None", lengths: Sequence[int] = ()
) -> list["Generated"]:
    """n tunes; with `lengths` each is run to its own."""
    from symbolic.decode.engine import engine

    return engine.generate(
        subject.prepared,
        [[subject.tokenizer.bos]] * n,
        max_new_tokens=lengths or max_tokens,
        n_tokens=subject.tokenizer.n_tokens,
        eos=None if lengths else subject.tokenizer.eos,
        seed=seed,
        batch_size=BATCH,
        mask=mask,
    )


def _melodies(texts: Sequence[str]) -> list[Any]:
    """The pitches of each voice of the tunes that parse."""
    from symbolic.notation.abc_parser import NotationError, melody, parse

    found = []
    for text in texts:
        try:
            score = parse(text)
        except NotationError:
            continue
        found.append([[pitch for pitch, _ in melody(score, voice)] for voice in range(len(score.voices))])
    return found


def _validity(recorder: result_file.Recorder, subject: Subject, args: argparse.Namespace, human: Tunes) -> None:
    from symbolic.notation import validity

    for masked in (False, True):
        mask = _mask(subject, args.max_tokens) if masked else None
        tunes = _generate(subject, args.n, args.seed, args.max_tokens, mask)
        texts = [subject.tokenizer.decode(tune.tokens) for tune in tunes]
        checks = [validity.check(text) for text in texts]
        keys = {"model": subject.name, "masked": masked, "n_tunes": args.n}
        shares = {
            "share_that_end": sum(tune.finished == "eos" for tune in tunes) / args.n,
            "share_that_parse": validity.share_that_parse(checks),
            "share_of_full_bars": validity.share_of_full_bars(checks),
            "share_of_right_tunes": validity.share_of_right_tunes(checks),
        }
        for measure, value in shares.items():
            recorder.measured([value], "share", kind="validity", measure=measure, **keys)
        _opinion(recorder, texts, keys)
        _novelty(recorder, texts, keys, human)
        if mask is not None:
            refused = mask.counts["refused"] / (mask.counts["steps"] - mask.counts["refused"])
            _bite(recorder, subject, tunes[: args.analysed], refused, args)


def _opinion(recorder: result_file.Recorder, texts: Sequence[str], keys: dict[str, Any]) -> None:
    from symbolic.evaluate.checkers import abc2midi

    if abc2midi.abc2midi_path() is None:
        recorder.not_run("abc2midi is not installed", kind="opinion", **keys)
        return
    found = abc2midi.abc2midi_opinions(texts)
    shares = {
        "share_without_error": sum(not one.errors for one in found),
        "share_without_bar_warning": sum(not one.bar_warnings for one in found),
        "share_without_either": sum(one.is_right for one in found),
    }
    for measure, n in shares.items():
        recorder.measured([n / len(texts)], "share", kind="opinion", measure=measure, **keys)


def _novelty(recorder: result_file.Recorder, texts: Sequence[str], keys: dict[str, Any], human: Tunes) -> None:
    import statistics

    from symbolic.evaluate.metrics import novelty

    melodies = _melodies(texts)
    if not melodies:
        recorder.not_run("no tune parses", kind="novelty", **keys)
        return
    copies = novelty.copies(melodies, human.melodies)
    share = novelty.share_with_copied_phrase(copies)
    recorder.measured([share], "share", kind="novelty", measure="share_with_copied_phrase", **keys)
    longest = statistics.median(copy.longest_notes for copy in copies)
    recorder.measured([longest], "notes", kind="novelty", measure="longest_shared_passage_median", **keys)


def _speed(recorder: result_file.Recorder, subject: Subject, args: argparse.Namespace) -> None:
    """Free and masked in turns. The mask's tables are kept from round to round, as in one long run; the last round
    repeats the first one's tunes, so that nothing is new to it."""
    from symbolic.decode.engine import engine

    def timed(seed: int, mask: "TokenMask | None" = None, lengths: Sequence[int] = ()) -> tuple[float, list[int]]:
        began = time.process_time()
        tunes = _generate(subject, args.speed_tunes, seed, args.max_tokens, mask, lengths)
        seconds = time.process_time() - began
        return seconds, [len(tune.tokens) + (tune.finished == "eos") for tune in tunes]

    mask = _mask(subject, args.max_tokens)
    timed(args.seed + 999)  # the first call of a model touches its memory
    seeds = [args.seed + 1 + number for number in range(args.rounds)]
    for number, seed in enumerate([*seeds, seeds[0]] if seeds else []):
        counts = dict(mask.counts)
        free_seconds, free_lengths = timed(seed)
        seconds, lengths = timed(seed, mask)
        alike_seconds, _ = timed(seed, lengths=lengths)
        rates = {False: sum(free_lengths) / free_seconds, True: sum(lengths) / seconds}
        name = (
            "cold" if number == 0 else ("warm" if number == args.rounds else f"after {number * args.speed_tunes} tunes")
        )
        keys = {"model": subject.name, "kind": "speed", "round": name, "step": engine.step_name(subject.prepared)}
        for masked, rate in rates.items():
            recorder.measured([rate], "tokens/s", masked=masked, measure="tokens_per_cpu_second", **keys)
        cost = 1 - alike_seconds / seconds
        recorder.measured([cost], "share", masked=True, measure="share_of_time", **keys)
        n_steps = max(1, mask.counts["steps"] - counts["steps"])
        made = (mask.counts["readings"] - counts["readings"]) / n_steps
        recorder.measured([made], "share", masked=True, measure="readings_per_step", **keys)


def _bite(
    recorder: result_file.Recorder,
    subject: Subject,
    tunes: Sequence["Generated"],
    refused: float,
    args: argparse.Namespace,
) -> None:
    """The draws that were refused, of all tunes; the probability that they had, from reading some of them again."""
    n_steps, removed = 0, 0.0
    mask = _mask(subject, args.max_tokens)
    for tune in tunes:
        ids = [*tune.tokens, subject.tokenizer.eos]
        n_steps += len(ids)
        kept = (_scores(subject, ids).softmax(-1) * _allowed(mask, ids)).double().sum()
        removed += len(ids) - float(kept)
    for measure, value in (("share_of_steps", refused), ("mean_probability_removed", removed / n_steps)):
        recorder.measured([value], "share", model=subject.name, kind="bite", masked=True, measure=measure)


def _likelihood(recorder: result_file.Recorder, subject: Subject, args: argparse.Namespace, human: Tunes) -> None:
    """Bits per byte of the held-out tunes that fit the model's context and that the mask accepts."""
    mask = _mask(subject, 1 << 20)
    mask.limit(None)
    nats, n_bytes, n_tunes = {False: 0.0, True: 0.0}, 0, 0
    for text in [text for text in human.test if mask.automaton.accepts(text)][: args.analysed]:
        ids = [*subject.tokenizer.encode(text), subject.tokenizer.eos]
        if len(ids) > 1024:
            continue
        n_bytes, n_tunes = n_bytes + len(text), n_tunes + 1
        scores = _scores(subject, ids)
        for masked in (False, True):
            kept = scores.masked_fill(~_allowed(mask, ids), -math.inf) if masked else scores
            chosen = kept.log_softmax(-1)[range(len(ids)), ids]
            nats[masked] -= float(chosen.double().sum())
    for masked, total in nats.items():
        keys = {"model": subject.name, "kind": "likelihood", "masked": masked, "n_tunes": n_tunes}
        recorder.measured([total / math.log(2) / n_bytes], "bits/byte", measure="bits_per_byte", **keys)


def _acceptance(recorder: result_file.Recorder, human: Tunes) -> None:
    """The human tunes that are right for the checker, for abc2midi, for the mask."""
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.evaluate.checkers import abc2midi
    from symbolic.notation import validity

    texts = [*human.train, *human.valid, *human.test]
    automaton = Automaton()
    right = {text for text in texts if validity.check(text).is_right}
    accepted = {text for text in texts if automaton.accepts(text)}
    sets = {"right": right, "accepted": accepted, "right_and_accepted": right & accepted}
    if abc2midi.abc2midi_path() is not None:
        opinions = dict(zip(texts, abc2midi.abc2midi_opinions(texts), strict=True))
        agreed = {text for text in texts if opinions[text].is_right}
        sets |= {"right_for_abc2midi": agreed, "right_for_both": right & agreed}
        sets |= {
            "right_for_both_and_accepted": right & agreed & accepted,
            "accepted_and_wrong": accepted - right - agreed,
        }
    keys = {"model": "human tunes", "kind": "acceptance", "n_tunes": len(texts)}
    for name, found in sets.items():
        recorder.measured([sum(text in found for text in texts) / len(texts)], "share", measure=name, **keys)
    reasons = Counter(_reason(automaton, text) for text in texts if text in right and text not in accepted)
    for reason, n in reasons.most_common():
        recorder.measured([n / len(texts)], "share", measure=f"right, refused: {reason}", **keys)


def _reason(automaton: Any, text: str) -> str:
    """Where a right tune stops being read, in words."""
    from symbolic.decode.constraint.automaton import Owed

    state, n_read = automaton.read(text)
    while (completed := automaton.completed(state)) is not None:
        state = completed
    rest, before = text[n_read:], text[:n_read]
    if rest.startswith("V:"):
        return "several voices"
    if "M:none" in text:
        return "free metre"
    if state.owed == Owed.TIED_NOTE or rest.startswith("-"):
        return "a tie to another note, or after a staccato note or a chord"
    if state.is_graced or rest.startswith("{"):
        return "grace notes before a bar line or other grace notes"
    if rest.startswith("[1") or (rest[:1] in ("1", "2") and before.endswith("|")):
        return "an ending in a section that no |: opens, or inside a bar"
    if rest[:1] in ("|", ":", "]", "\n"):
        return "a repeat or an end that abc2midi reads differently"
    return "another symbol"


def _scores(subject: Subject, ids: Sequence[int]) -> Any:
    """(T, V) logits of each token from those before it; what is never drawn is left out."""
    import torch

    with torch.inference_mode():
        tokens = torch.tensor([[subject.tokenizer.bos, *ids[:-1]]])
        scores = subject.model(tokens)[0].float()
        scores[:, [subject.tokenizer.pad, subject.tokenizer.bos]] = -math.inf
        scores[:, subject.tokenizer.n_tokens :] = -math.inf
        return scores


def _allowed(mask: "TokenMask", ids: Sequence[int]) -> Any:
    """(T, V) the masks along a tune."""
    import numpy as np
    import torch

    mask.start(0, [])
    found = []
    for id in ids:
        found.append(mask.allowed(0))
        if id != mask.vocabulary.eos:
            mask.advance(0, id)
    return torch.from_numpy(np.stack(found))


if __name__ == "__main__":
    sys.exit(main())
