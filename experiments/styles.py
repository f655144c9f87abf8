"""Whether a model writes the style that it is asked for: `generate --style jig`.

    python -m experiments.styles gpt2-6m mamba2-6m -n 40

For each style with at least MIN_TUNES training tunes, N tunes are drawn at the default sampling with nothing given
but the line `R:STYLE`; the model draws meter and key itself. Two judges look at what it wrote, never at the line:

- `meter`: the tune's meter is one that at least COMMON of the training tunes of that style have;
- `classifier`: a linear classifier of the music alone (meter, note lengths, notes in a bar, intervals; softmax
  regression with a weight penalty, fitted on the training tunes) names the style asked for, among all of these.

`shuffled` gives the same tunes the requests of others, which is chance; `human` are held-out tunes of people, whose
style the books tell; `unasked` is the share that the model writes without being asked, under `meter` and `classifier`
for each style. Form stands beside: tunes with all bars right, square sections.
"""

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.notation import control_codes

if TYPE_CHECKING:
    from symbolic.evaluate.tune_features import TuneFeatures

MIN_TUNES = 80
COMMON = 0.05
PENALTY = 3e-4
FEATURES = ("duration", "notes_per_bar", "interval")
FORM = ("share_that_parse", "share_of_right_tunes", "share_of_square_sections")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("models", nargs="+", metavar="MODEL", help="models that learnt styles (data.control: style)")
    made.add_argument("-n", type=int, default=40, help="tunes of each style (default 40)")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="a folder made by `prepare`")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "styles.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Fit the classifier, draw tunes of each style, judge, write."""
    from symbolic.decode import tune_writer
    from symbolic.decode.engine.sampling_rules import DEFAULT
    from symbolic.evaluate import comparison

    judge, test = Judge.fitted(read_styles(args.data, "train")), read_styles(args.data, "test")
    settings = {
        "n": args.n,
        "models": args.models,
        "styles": list(judge.styles),
        "sampling": dataclasses.asdict(DEFAULT),
    }
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("styles", seed=args.seed, settings=settings, data_digest=digest)
    human = [(tune, style) for tune, style in test if style in judge.styles]
    record(recorder, judge, [tune for tune, _ in human], [style for _, style in human], model="human")
    reference = comparison.load_reference(args.data)
    for model in args.models:
        texts, asked = [], []
        for number, style in enumerate(judge.styles):
            made = tune_writer.generate(model, args.n, seed=args.seed + number, asked=control_codes.ask(rhythm=style))
            texts += [tune.text for tune in made.tunes]
            asked += [style] * args.n
        measured = comparison.measure(texts, reference)
        record(recorder, judge, list(measured.seen.tunes), asked, model=model)
        form = comparison.summary(measured, reference)
        for key in FORM:
            recorder.measured([form.get(key) or 0.0], "share", model=model, given="asked", style="all", measure=key)
        free = comparison.measure(
            [tune.text for tune in tune_writer.generate(model, args.n * 3, seed=args.seed).tunes], reference
        )
        for style in judge.styles:
            record_row(
                recorder, judge, [(tune, style) for tune in free.seen.tunes], style, model=model, given="unasked"
            )
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def record(
    recorder: result_file.Recorder, judge: "Judge", tunes: list["TuneFeatures"], asked: list[str], model: str
) -> None:
    """Rows of each style and of all, and those of shuffled requests."""
    pairs = list(zip(tunes, asked, strict=True))
    for style in judge.styles:
        some = [pair for pair in pairs if pair[1] == style]
        if some:
            record_row(recorder, judge, some, style, model=model, given="asked")
    shuffled = [asked[i] for i in np.random.default_rng(0).permutation(len(asked))]
    record_row(recorder, judge, pairs, "all", model=model, given="asked")
    record_row(recorder, judge, list(zip(tunes, shuffled, strict=True)), "all", model=model, given="shuffled")


def record_row(
    recorder: result_file.Recorder,
    judge: "Judge",
    pairs: Sequence[tuple["TuneFeatures", str]],
    style: str,
    model: str,
    given: str,
) -> None:
    """Both judges' shares of tunes, each beside the style asked of it; `style` names the row."""
    keys = {"model": model, "given": given, "style": style, "n_tunes": len(pairs)}
    for measure, kept in (("meter", judge.keeps_meter), ("classifier", judge.names_style)):
        recorder.measured([sum(kept(*pair) for pair in pairs) / len(pairs)], "share", measure=measure, **keys)


def read_styles(data: Path, split: str) -> list[tuple["TuneFeatures", str]]:
    """The tunes of a split that parse and have a style, with it."""
    from symbolic.evaluate.tune_features import observe

    rows = [(row, control_codes.style_of(row)) for row in files.read_jsonl(data / "tunes" / f"{split}.jsonl")]
    seen = [(observe(row["text"]), style) for row, style in rows if style]
    return [(tune, style) for tune, style in seen if tune.check.parses]


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """Meters of each style, and a linear classifier: `weights` (features + 1, styles) for `features`."""

    styles: tuple[str, ...]
    meters: dict[str, set[str]]  # that are common in each style
    known: tuple[str, ...]  # all meters, in the order of their features
    weights: NDArray[np.float64]

    @classmethod
    def fitted(cls, tunes: Sequence[tuple["TuneFeatures", str]]) -> "Judge":
        """Learn from tunes with their styles."""
        counts = Counter(style for _, style in tunes)
        styles = tuple(sorted(style for style, n in counts.items() if n >= MIN_TUNES))
        some = [(tune, style) for tune, style in tunes if style in styles]
        meters = {
            style: {
                meter
                for meter, n in Counter(tune.labels["meter"] for tune, one in some if one == style).items()
                if n >= COMMON * counts[style]
            }
            for style in styles
        }
        known = tuple(sorted({tune.labels["meter"] for tune, _ in some}))
        rows = np.stack([features(tune, known) for tune, _ in some])
        return cls(styles, meters, known, fit(rows, np.array([styles.index(style) for _, style in some]), len(styles)))

    def keeps_meter(self, tune: "TuneFeatures", style: str) -> bool:
        """Whether the tune's meter is common in the style; False for one that does not parse."""
        return bool(tune.labels) and tune.labels["meter"] in self.meters[style]

    def names_style(self, tune: "TuneFeatures", style: str) -> bool:
        """Whether the classifier takes the tune for the style; False for one that does not parse."""
        return bool(tune.labels) and self.styles[int((features(tune, self.known) @ self.weights).argmax())] == style


def features(tune: "TuneFeatures", meters: Sequence[str]) -> NDArray[np.float64]:
    """One tune as numbers: its meter as one of `meters`, square roots of shares of each histogram, and 1."""
    parts = [np.array([tune.labels["meter"] == meter for meter in meters], float)]
    for name in FEATURES:
        counts = tune.histograms[name]
        parts.append(np.sqrt(counts / max(1, counts.sum())))
    return np.concatenate([*parts, [1.0]])


def fit(rows: NDArray[np.float64], chosen: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Weights (features, n) of softmax regression with a penalty on their squares, by L-BFGS from zero."""
    import torch

    x, y = torch.tensor(rows), torch.tensor(chosen)
    weights = torch.zeros(rows.shape[1], n, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Any:
        solver.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weights, y) + PENALTY * weights.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return weights.detach().numpy()


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return "\n".join(
        f"{row['model']:12} {row['given']:9} {row['style']:12} {row['measure']:26} {row['repeats'][0]:7.1%}"
        for row in result["rows"]
    )


if __name__ == "__main__":
    sys.exit(main())
