"""What `--constrain` gives and what it costs: validity, novelty, speed and likelihood with the mask and without.

    python -m experiments.constrained gpt2-6m -n 1000
    python -m experiments.constrained -n 1000 --layers 1 --width 64       # untrained models only, small

For each run named, and for untrained models of the three tokenizers, one row a measure, `masked` true and false:

    validity    of N tunes: the share that parse, of full bars, of right tunes, with a copied phrase (symbolic.evaluate)
    opinion     of the same tunes by abc2midi, where it is installed: share without an error, without a warning of a bar
                of another length than the metre
    speed       tokens/s of a batch of 32, in interleaved rounds; the first round has the mask's tables to fill
    bite        of masked tunes: share of steps at which the mask changed the token drawn, and the mean of the
                probability that it took away
    likelihood  of the held-out human tunes that the mask accepts: bits per byte; the shares that it accepts, that are
                right, and of the right ones that it accepts

A step is bitten when the same random number would have drawn another token without the mask. Bits per byte under the
mask renormalise each step's probabilities over the tokens allowed.
"""

import argparse
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import results
from symbolic import files, runs, verbs

if TYPE_CHECKING:
    from symbolic.decode.constraint import Constraint
    from symbolic.decode.engine import Generated
    from symbolic.tokens import Tokenizer

CHECKER = "abc2midi"  # Debian package abcmidi
CHECKER_TUNES, CHECKER_SECONDS = 50, 60  # of one call
SHARES = ("share_that_parse", "share_of_full_bars", "share_of_right_tunes", "share_with_copied_phrase")


@dataclass(frozen=True)
class Subject:
    """A model to be measured."""

    name: str
    model: Any
    tokenizer: "Tokenizer"


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return verbs.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="*", metavar="RUN", help="runs or model folders")
    made.add_argument("-n", type=int, default=1000, help="tunes of each validity row (default 1000)")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--max-tokens", type=int, default=1000, help="of one tune (default 1000)")
    made.add_argument("--rounds", type=int, default=3, help="of the speed measurement (default 3; 0: none)")
    made.add_argument("--speed-tunes", type=int, default=64, help="of one round (default 64)")
    made.add_argument("--analysed", type=int, default=200, help="tunes of the bite and likelihood rows (default 200)")
    made.add_argument("--layers", type=int, default=7, help="of the untrained models (default 7; 0: none)")
    made.add_argument("--width", type=int, default=256, help="of the untrained models (default 256)")
    made.add_argument("--threads", type=int, default=0)
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("-o", "--output", type=Path, default=results.EXPERIMENTS / "constrained.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every subject and write the result."""
    import torch

    from symbolic.evaluate import measures

    if args.threads:
        torch.set_num_threads(args.threads)
    reference = measures.load_reference(args.data)
    human = [row["text"] for row in files.read_jsonl(args.data / "tunes" / "test.jsonl")]
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    settings["torch_threads"] = torch.get_num_threads()
    recorder = results.Recorder(
        "constrained", seed=args.seed, settings=settings, data_digest=results.data_digest(args.data)
    )
    for subject in _subjects(args):
        print(subject.name, file=sys.stderr)
        _validity(recorder, subject, args, reference)
        _speed(recorder, subject, args)
        _likelihood(recorder, subject, args, human)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    for row in result["rows"]:
        mask = {True: "masked", False: "free", None: ""}[row.get("masked")]
        value = row["not_run"] if "not_run" in row else results.row_text(row, 0 if row["unit"] == "tokens/s" else 4)
        lines.append(f"{row['model']:24} {row['kind']:11} {mask:7} {row.get('measure', ''):28} {value}")
    return "\n".join(lines)


def opinions(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Errors, and warnings of a bar's length, that abc2midi finds in each canonical tune."""
    for start in range(0, len(texts), CHECKER_TUNES):
        chunk = texts[start : start + CHECKER_TUNES]
        lines: list[str] = []
        tune_of_line = []
        for number, text in enumerate(chunk):
            body = [f"X:{number + 1}", "T:t", *text.splitlines(), ""]
            lines += body
            tune_of_line += [number] * len(body)
        errors, bars = [0] * len(chunk), [0] * len(chunk)
        for kind, line, message in re.findall(r"(Error|Warning) in line-char (\d+)-\d+ : (.*)", _checked(lines)):
            tune = tune_of_line[int(line) - 1]
            errors[tune] += kind == "Error"
            bars[tune] += "time units" in message
        yield from zip(errors, bars, strict=True)


def _checked(lines: Sequence[str]) -> str:
    """What abc2midi says; an error in every line where it does not come to an end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tunes.abc"
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        command = [CHECKER, str(path), "-c"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=CHECKER_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return "".join(f"Error in line-char {number}-1 : time is up\n" for number in range(1, len(lines) + 1))
    return done.stdout.decode("latin-1")


def _subjects(args: argparse.Namespace) -> Iterator[Subject]:
    import torch

    from symbolic import models, tokens
    from symbolic.config import GPT2Config

    for target in args.runs:
        folder = runs.resolve(target)
        model, _ = models.load(folder, "cpu")
        yield Subject(Path(target).name, model.eval(), tokens.load(folder))
    texts = [row["text"] for row in files.read_jsonl(args.data / "tunes" / "train.jsonl")]
    for kind in tokens.KINDS if args.layers else ():
        torch.manual_seed(args.seed)
        n_head = max(1, args.width // 64)
        shape = GPT2Config(n_layer=args.layers, n_embd=args.width, n_head=n_head, n_positions=1024)
        yield Subject(f"untrained, {kind}", models.build(shape).eval(), tokens.build(kind, texts=texts))


def _mask(subject: Subject, max_tokens: int) -> "Constraint":
    from symbolic.decode.constraint import Constraint
    from symbolic.decode.engine import context_limit

    mask = Constraint(subject.tokenizer, vocab_size=subject.model.config.vocab_size)
    mask.limit(max_tokens, context_limit(subject.model))
    return mask


def _generate(subject: Subject, n: int, seed: int, max_tokens: int, mask: "Constraint | None") -> list["Generated"]:
    from symbolic.decode import engine

    return engine.generate(
        subject.model,
        [[subject.tokenizer.bos]] * n,
        max_new_tokens=max_tokens,
        n_tokens=subject.tokenizer.n_tokens,
        eos=subject.tokenizer.eos,
        seed=seed,
        mask=mask,
    )


def _validity(recorder: results.Recorder, subject: Subject, args: argparse.Namespace, reference: Any) -> None:
    from symbolic.evaluate import measures

    for masked in (False, True):
        mask = _mask(subject, args.max_tokens) if masked else None
        tunes = _generate(subject, args.n, args.seed, args.max_tokens, mask)
        texts = [subject.tokenizer.decode(tune.tokens) for tune in tunes]
        found = measures.evaluate_tunes(texts, reference)["measures"]
        keys = {"model": subject.name, "masked": masked, "n_tunes": args.n}
        ended = sum(tune.finished == "eos" for tune in tunes) / args.n
        for measure, value in [*((name, found.get(name)) for name in SHARES), ("share_that_end", ended)]:
            if value is None:
                recorder.not_run("no tune parses", kind="validity", measure=measure, **keys)
            else:
                recorder.measured([value], "share", kind="validity", measure=measure, **keys)
        _opinion(recorder, texts, keys)
        if mask is not None:
            _bite(recorder, subject, tunes[: args.analysed], args)


def _opinion(recorder: results.Recorder, texts: Sequence[str], keys: dict[str, Any]) -> None:
    if shutil.which(CHECKER) is None:
        recorder.not_run(f"{CHECKER} is not installed", kind="opinion", **keys)
        return
    safe = [text for text in texts if text.replace("\n", "").isprintable() and text.isascii()]
    found = list(opinions(safe))
    for measure, place in (("share_without_error", 0), ("share_without_bar_warning", 1)):
        clean = sum(one[place] == 0 for one in found) / len(texts)
        recorder.measured([clean], "share", kind="opinion", measure=measure, **keys)


def _speed(recorder: results.Recorder, subject: Subject, args: argparse.Namespace) -> None:
    """Free and masked in turns. The mask's tables are kept from round to round, as in one long run."""
    mask = _mask(subject, args.max_tokens)
    speeds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(args.rounds):
        for masked in (False, True):
            began = time.perf_counter()
            seed = args.seed + 1 + number
            tunes = _generate(subject, args.speed_tunes, seed, args.max_tokens, mask if masked else None)
            n_tokens = sum(len(tune.tokens) + (tune.finished == "eos") for tune in tunes)
            speeds[masked].append(n_tokens / (time.perf_counter() - began))
    for masked, repeats in speeds.items():
        if repeats:
            recorder.measured(repeats, "tokens/s", model=subject.name, kind="speed", masked=masked)
    counts = {name: mask.counts[name] / max(1, mask.counts["steps"]) for name in ("masks", "transitions")}
    keys = {"model": subject.name, "kind": "speed", "masked": True}
    for name, share in counts.items() if args.rounds else ():
        recorder.measured([share], "share", measure=f"{name}_made_per_step", **keys)


def _bite(recorder: results.Recorder, subject: Subject, tunes: Sequence["Generated"], args: argparse.Namespace) -> None:
    """Read the tunes again and draw with and without the mask from the engine's random numbers."""
    import torch

    from symbolic.decode.engine import uniforms
    from symbolic.decode.sampling import sample

    n_steps, n_bitten, removed = 0, 0, 0.0
    mask = _mask(subject, args.max_tokens)
    for tune in tunes:
        ids = [*tune.tokens, subject.tokenizer.eos]
        scores, allowed = _scores(subject, ids), _allowed(mask, ids)
        numbers = torch.from_numpy(uniforms(args.seed, tune.index, len(ids)))
        free = sample(scores, numbers)
        masked = sample(scores.masked_fill(~allowed, -math.inf), numbers)
        n_steps += len(ids)
        n_bitten += int((free != masked).sum())
        removed += len(ids) - float((scores.softmax(-1) * allowed).double().sum())
    for measure, value in (("share_of_steps", n_bitten / n_steps), ("mean_probability_removed", removed / n_steps)):
        recorder.measured([value], "share", model=subject.name, kind="bite", masked=True, measure=measure)


def _likelihood(recorder: results.Recorder, subject: Subject, args: argparse.Namespace, human: Sequence[str]) -> None:
    from symbolic.evaluate import validity

    mask = _mask(subject, 1 << 20)
    accepted = [text for text in human if mask.automaton.accepts(text)]
    right = [text for text in human if validity.check(text).is_right]
    shares = {
        "share_accepted": len(accepted) / len(human),
        "share_right": len(right) / len(human),
        "share_of_right_accepted": len(set(right) & set(accepted)) / max(1, len(set(right))),
    }
    for measure, value in shares.items():
        recorder.measured([value], "share", model=subject.name, kind="likelihood", measure=measure)
    mask.limit(None)
    nats, n_bytes = {False: 0.0, True: 0.0}, 0
    for text in accepted[: args.analysed]:
        ids = [*subject.tokenizer.encode(text), subject.tokenizer.eos]
        if len(ids) > 1024:
            continue
        n_bytes += len(text)
        scores = _scores(subject, ids)
        for masked in (False, True):
            kept = scores.masked_fill(~_allowed(mask, ids), -math.inf) if masked else scores
            chosen = kept.log_softmax(-1)[range(len(ids)), ids]
            nats[masked] -= float(chosen.double().sum())
    for masked, total in nats.items() if n_bytes else ():
        keys = {"model": subject.name, "kind": "likelihood", "masked": masked, "measure": "bits_per_byte"}
        recorder.measured([total / math.log(2) / n_bytes], "bits/byte", **keys)


def _scores(subject: Subject, ids: Sequence[int]) -> Any:
    """(T, V) logits of each token from those before it; what is never drawn is left out."""
    import torch

    with torch.inference_mode():
        tokens = torch.tensor([[subject.tokenizer.bos, *ids[:-1]]])
        scores = subject.model(tokens)[0].float()
        scores[:, [subject.tokenizer.pad, subject.tokenizer.bos]] = -math.inf
        scores[:, subject.tokenizer.n_tokens :] = -math.inf
        return scores


def _allowed(mask: "Constraint", ids: Sequence[int]) -> Any:
    """(T, V) the masks along a tune."""
    import torch

    mask.start(0, [])
    found = []
    for id in ids:
        found.append(mask.allowed(0))
        if id != mask.vocabulary.eos:
            mask.advance(0, id)
    return torch.stack(found)


if __name__ == "__main__":
    sys.exit(main())
