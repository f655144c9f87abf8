"""Loss on material that a tune has not had before, against loss on what it repeats.

    python -m experiments.copying gpt2-6m-folk mamba2-6m-folk

Folk tunes repeat phrases, and predicting a repeat needs copying rather than taste: attention can look a phrase up, a
state of constant size must have kept it. So the loss of each held-out tune is split by what stands before each token:

    header     before the first note
    first      the last N notes before the token have not stood together earlier in this tune
    repeated   they have: what followed them then is a good guess (whether or not it is what follows now)

A note here is its pitch as written, accidental and octave mark included, without its length (grace notes and the notes
of chords count one by one); N is 4 unless --notes says otherwise. A token that is part of a note being spelled looks
back on whole notes only. The first N notes of a tune are `first`.

Loss is given in bits per byte of the tokens' own text, so that tokenizers may be compared, and in nats per token. Tunes
are read whole, in windows of the run's context as `symbolic.likelihood` cuts them. Intervals are the 2.5 and 97.5 %
quantiles of a bootstrap over tunes.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import results
from symbolic import files, runs, verbs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from symbolic.tokens import Tokenizer

NOTES = 4
CLASSES = ("header", "first", "repeated")
RESAMPLES = 1000
# Inline fields, chord symbols and decorations are skipped; a rest is no note.
_SPELLED = re.compile(r'\[[A-Za-z]:[^\]]*\]|"[^"]*"|![^!\s]*!|(?P<note>[\^_=]{0,2}[A-Ga-g][,\']*)')


@dataclass(frozen=True)
class Losses:
    """Per class of one tune: nats, tokens and bytes of the tokens scored."""

    nats: dict[str, float]
    n_tokens: dict[str, int]
    n_bytes: dict[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return verbs.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="+", metavar="RUN", help="runs or model folders")
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("--split", default="test", choices=("valid", "test"))
    made.add_argument("--notes", type=int, default=NOTES, metavar="N", help="length of the phrase looked back on")
    made.add_argument("--tunes", type=int, default=0, help="only the first so many (0: all)")
    made.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    made.add_argument("-o", "--output", type=Path, default=results.EXPERIMENTS / "copying.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Score the split by every model and write the result."""
    texts = [row["text"] for row in files.read_jsonl(args.data / "tunes" / f"{args.split}.jsonl")]
    texts = texts[: args.tunes or None]
    settings = {"notes": args.notes, "split": args.split, "tunes": len(texts), "resamples": RESAMPLES}
    digest = results.data_digest(args.data)
    recorder = results.Recorder("copying", seed=args.seed, settings=settings, data_digest=digest)
    for target in args.runs:
        _measure(recorder, target, texts, args)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def classes(text: str, starts: Sequence[int], n: int = NOTES) -> list[str]:
    """The class of the token that starts at each place (0-based character) of a canonical text."""
    notes = _notes(text)
    body = notes[0][1] if notes else len(text)
    seen: set[tuple[str, ...]] = set()
    repeated = []  # whether the n notes up to and including note i have stood together before
    for i in range(len(notes)):
        phrase = tuple(name for name, _, _ in notes[max(0, i + 1 - n) : i + 1])
        repeated.append(len(phrase) == n and phrase in seen)
        seen.add(phrase)
    found, passed = [], 0
    for start in starts:
        while passed < len(notes) and notes[passed][2] <= start:
            passed += 1
        found.append("header" if start < body else "repeated" if passed and repeated[passed - 1] else "first")
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'model':32} {'class':9} {'bits/byte':>10} {'interval':>16} {'share of bytes':>15}"]
    for row in result["rows"]:
        interval = f"{row['low']:.3f}–{row['high']:.3f}"
        line = f"{row['model']:32} {row['class']:9} {row['repeats'][0]:10.3f} {interval:>16} {row['share']:15.1%}"
        lines.append(line)
    return "\n".join(lines)


def _notes(text: str) -> list[tuple[str, int, int]]:
    """(spelling, start, end) of every note of the music, which begins after the K: line."""
    music = re.search(r"^K:.*\n", text, re.MULTILINE)
    if not music:
        return []
    matches = _SPELLED.finditer(text, music.end())
    return [(match["note"], match.start(), match.end()) for match in matches if match["note"]]


def _measure(recorder: results.Recorder, target: str, texts: Sequence[str], args: argparse.Namespace) -> None:
    from symbolic import models, tokens

    folder = runs.resolve(target)
    model, shape = models.load(folder, "cpu")
    tokenizer = tokens.load(folder)
    context = _context(folder)
    print(f"{target}: {len(texts)} tunes in windows of {context} tokens", file=sys.stderr)
    losses = [_losses(model, tokenizer, text, context, args.notes) for text in texts]
    name = Path(target).name
    recorder.config_digests[name] = _record(folder).get("config_digest", "")
    whole = sum(sum(one.n_bytes.values()) for one in losses)
    for kind in CLASSES:
        low, high = _interval(losses, kind, args.seed)
        n_tokens, n_bytes = (sum(getattr(one, part)[kind] for one in losses) for part in ("n_tokens", "n_bytes"))
        nats = sum(one.nats[kind] for one in losses)
        keys = {"model": name, "family": shape.family, "class": kind, "low": low, "high": high}
        extra = {"share": n_bytes / whole, "n_tokens": n_tokens, "n_bytes": n_bytes, "nats_per_token": nats / n_tokens}
        recorder.measured([nats / math.log(2) / n_bytes], "bits/byte", **keys, **extra)


def _losses(model: Any, tokenizer: "Tokenizer", text: str, context: int, n: int) -> Losses:
    """One tune's losses by class; the end of the tune, which has no text, is left out."""
    ids = tokenizer.encode(text)
    sizes = [len(tokenizer.token_bytes(id)) for id in ids]
    starts = [0]
    for size in sizes[:-1]:
        starts.append(starts[-1] + size)
    kinds = classes(_as_bytes(text), starts, n)
    nats = token_nats(lambda rows: model(rows), [tokenizer.bos, *ids], context)
    made = Losses(dict.fromkeys(CLASSES, 0.0), dict.fromkeys(CLASSES, 0), dict.fromkeys(CLASSES, 0))
    for kind, loss, size in zip(kinds, nats, sizes, strict=True):
        made.nats[kind] += loss
        made.n_tokens[kind] += 1
        made.n_bytes[kind] += size
    return made


def token_nats(score: Callable[[Any], Any], ids: Sequence[int], context: int) -> list[float]:
    """Negative log-likelihood of ids[1:], each once, in windows of `context` that advance by half a window."""
    import torch

    found: list[float] = []
    with torch.inference_mode():
        while len(found) < len(ids) - 1:
            done = len(found)
            end = min(len(ids) - 1, context if not done else done + max(1, context // 2))
            window = torch.tensor(ids[max(0, end - context) : end + 1])
            losses = torch.nn.functional.cross_entropy(
                score(window[None, :-1])[0].float(), window[1:], reduction="none"
            )
            found += losses[-(end - done) :].tolist()
    return found


def _interval(losses: Sequence[Losses], kind: str, seed: int) -> tuple[float, float]:
    """Bootstrap over tunes of the bits per byte of a class."""
    import numpy as np

    nats, n_bytes = (np.array([getattr(one, part)[kind] for one in losses]) for part in ("nats", "n_bytes"))
    drawn: NDArray[np.int64] = np.random.default_rng(seed).integers(len(losses), size=(RESAMPLES, len(losses)))
    values = nats[drawn].sum(1) / math.log(2) / n_bytes[drawn].sum(1)
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _as_bytes(text: str) -> str:
    """One character for each byte, so that places count bytes."""
    return text.encode("utf-8").decode("latin-1")


def _context(folder: Path) -> int:
    """Tokens of a window in training, as the checkpoint says; 1,024 where it does not."""
    return int(_record(folder).get("config", {}).get("data", {}).get("context", 1024))


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "training.json"
    return dict(files.read_json(path)) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
