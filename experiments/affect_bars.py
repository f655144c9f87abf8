"""Can a GAN or a diffusion model write the features of bars for a mood better than ridge regression with noise?

    python -m experiments.affect_bars --data vgmidi:FOLDER [--folds 2] [--steps 1500]

The reference study proposed both for the way from moods back to music. Here what is written is small: of eight bars the
17 features each that moods are heard from, given the eight bars' ratings; game series are kept apart. Four ways:

    ridge and noise    linear in the ratings, and normal noise with the covariance of what is left
    WGAN-GP            Gulrajani and others 2017, arXiv 1704.00028
    diffusion          Ho and others 2020, arXiv 2006.11239, cosine schedule, STEPS_BACK steps
    nearest rated      the training bars whose ratings are nearest: what copying gives

A judge that learnt from the left-out pieces themselves hears the mood in what is written (CCC of the level, r of the
shape); precision, coverage and the Fréchet distance say how much it is like real bars; `copied` how often it is nearer
to a training window than real bars are. Real bars and real bars of other pieces stand beside it.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from experiments.affect_hearing import heard_in_parallel
from experiments.affect_options import options_of, run_with
from symbolic.affect import arc_measures, ridge
from symbolic.affect.hearing import score_features
from symbolic.affect.labels import rating_sets
from symbolic.affect.learning.score_training import HeardScore
from symbolic.evaluate.metrics import set_distance

Floats = NDArray[np.float64]
BARS, HOP = 8, 4
N_FEATURES = len(score_features.NAMES)
FOLDS = 5
HIDDEN, LATENT = 256, 32
BATCH = 128
STEPS_BACK = 50  # of diffusion
CRITIC_STEPS, PENALTY = 3, 10.0  # of WGAN-GP
RIDGE_PENALTY = 30.0


@dataclass(frozen=True)
class BarWindows:
    """Features (n, BARS * N_FEATURES), standardised by the training pieces, and ratings (n, BARS * 2)."""

    features: Floats
    ratings: Floats


Writer = Callable[[BarWindows, Floats, int, int], Floats]  # training windows, ratings asked (m, 16), steps, seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_bars")
    parser.add_argument("--data", required=True, metavar="vgmidi:FOLDER")
    parser.add_argument("--folds", type=int, default=2, help=f"how many of {FOLDS} (default 2)")
    parser.add_argument("--steps", type=int, default=1500, help="of training of each network (default 1500)")
    parser.add_argument("--jobs", type=int, default=1, help="files heard at a time")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Every way in every fold, print, write."""
    import torch

    torch.set_num_threads(1)
    _, rated = rating_sets.load(args.data)
    settings = {"folds": args.folds, "steps": args.steps, "bars": BARS, "features": N_FEATURES}
    recorder = result_file.Recorder("affect_bars", settings=settings)
    scores = heard_in_parallel(rated, args.jobs)
    rows: dict[str, list[dict[str, float]]] = {}
    for fold, (train_rows, test_rows) in enumerate(ridge.folds([s.item.group for s in scores], FOLDS)):
        if fold >= args.folds:
            break
        known, left_out = windows_of([scores[i] for i in train_rows], [scores[i] for i in test_rows])
        for name, writer in WRITERS.items():
            written = writer(known, left_out.ratings, args.steps, fold)
            rows.setdefault(name, []).append(measures_of(written, known, left_out))
        order = np.random.default_rng(fold).permutation(len(left_out.features))
        rows.setdefault("real bars", []).append(measures_of(left_out.features, known, left_out))
        rows.setdefault("real bars of others", []).append(measures_of(left_out.features[order], known, left_out))
    for name, found in rows.items():
        for measure in found[0]:
            recorder.measured([round(row[measure], 4) for row in found], "", way=name, measure=measure)
        print(f"{name:20} " + "  ".join(f"{m} {np.mean([row[m] for row in found]):.3f}" for m in found[0]), flush=True)
    recorder.write(args.output)
    return 0


def windows_of(known: Sequence[HeardScore], left_out: Sequence[HeardScore]) -> tuple[BarWindows, BarWindows]:
    """Windows of BARS bars every HOP bars, features standardised by those of the known pieces."""
    every = np.vstack([score.bars for score in known])
    mean, sd = every.mean(axis=0), every.std(axis=0) + 1e-6

    def of(scores: Sequence[HeardScore]) -> BarWindows:
        places = [(s, start) for s in scores for start in range(0, len(s.bars) - BARS + 1, HOP)]
        features = [((s.bars[a : a + BARS] - mean) / sd).ravel() for s, a in places]
        return BarWindows(
            np.clip(np.stack(features), -6, 6), np.stack([s.ratings[a : a + BARS].ravel() for s, a in places])
        )

    return of(known), of(left_out)


def measures_of(written: Floats, known: BarWindows, left_out: BarWindows) -> dict[str, float]:
    """What a judge of the left-out pieces hears in written windows, how real they are, how often they are copies."""
    bars, asked = written.reshape(-1, N_FEATURES), left_out.ratings.reshape(-1, BARS, 2)
    real = left_out.features.reshape(-1, N_FEATURES)
    judge = ridge.fit(real, left_out.ratings.reshape(-1, 2), score_features.NAMES, RIDGE_PENALTY)
    heard = judge.predict(bars).reshape(-1, BARS, 2)
    found = {}
    for column, name in enumerate("VA"):
        level, other = asked[..., column].mean(axis=1), heard[..., column].mean(axis=1)
        found[f"level CCC {name}"] = arc_measures.concordance(level, other)
        found[f"level r {name}"] = arc_measures.correlation(level, other)
    valence, arousal = arc_measures.within_song(list(heard), list(asked))
    found |= {"shape r V": valence, "shape r A": arousal}
    found |= set_distance.neighbours(summaries(written), summaries(left_out.features))
    found["Fréchet"] = set_distance.frechet(summaries(written), summaries(left_out.features))
    near = nearest_distance(left_out.features, known.features)
    found["copied"] = float((nearest_distance(written, known.features) < np.percentile(near, 5)).mean())
    return {name: float(value) for name, value in found.items()}


def summaries(windows: Floats) -> Floats:
    """(n, 2 * N_FEATURES): mean and spread of each feature over the bars."""
    bars = windows.reshape(-1, BARS, N_FEATURES)
    return np.hstack([bars.mean(axis=1), bars.std(axis=1)])


def nearest_distance(windows: Floats, others: Floats) -> Floats:
    """(n,) distance of each window from the nearest of the others."""
    squares = (windows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * windows @ others.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)).min(axis=1))


def ridge_and_noise(known: BarWindows, asked: Floats, steps: int, seed: int) -> Floats:
    """Linear in the ratings, with normal noise of the residuals' covariance."""
    names = [str(i) for i in range(known.ratings.shape[1])]
    model = ridge.fit(known.ratings, known.features, names, RIDGE_PENALTY)
    left = known.features - model.predict(known.ratings)
    noise = np.random.default_rng(seed).multivariate_normal(
        np.zeros(left.shape[1]), np.cov(left.T), len(asked), method="eigh"
    )
    return model.predict(asked) + noise


def nearest_rated(known: BarWindows, asked: Floats, steps: int, seed: int) -> Floats:
    """The training window whose ratings are nearest."""
    return known.features[[int(((known.ratings - row) ** 2).sum(axis=1).argmin()) for row in asked]]


def adversarial(known: BarWindows, asked: Floats, steps: int, seed: int) -> Floats:
    """A generator against a critic with a gradient penalty."""
    import torch

    torch.manual_seed(seed)
    x, c, batches = _tensors(known, seed)
    size = x.shape[1]
    generator, critic = _network(LATENT + c.shape[1], size), _network(size + c.shape[1], 1)
    optimisers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.9)) for net in (generator, critic)]

    def made(conditions: Any) -> Any:
        return generator(torch.cat([torch.randn(len(conditions), LATENT), conditions], dim=1))

    for step in range(steps):
        rows = next(batches)
        real, conditions = x[rows], c[rows]
        false = made(conditions).detach()
        mixed = torch.lerp(real, false, torch.rand(len(rows), 1)).requires_grad_(True)
        slope = torch.autograd.grad(critic(torch.cat([mixed, conditions], 1)).sum(), mixed, create_graph=True)[0]
        loss = critic(torch.cat([false, conditions], 1)).mean() - critic(torch.cat([real, conditions], 1)).mean()
        loss = loss + PENALTY * ((slope.norm(dim=1) - 1) ** 2).mean()
        _stepped(optimisers[1], loss)
        if step % CRITIC_STEPS == CRITIC_STEPS - 1:
            _stepped(optimisers[0], -critic(torch.cat([made(conditions), conditions], 1)).mean())
    with torch.inference_mode():
        return np.asarray(made(torch.tensor(asked, dtype=torch.float32)).double().numpy())


def diffusion(known: BarWindows, asked: Floats, steps: int, seed: int) -> Floats:
    """A network that tells the clean window in a noisy one, and STEPS_BACK steps from noise to a window."""
    import torch

    torch.manual_seed(seed)
    x, c, batches = _tensors(known, seed)
    at = torch.linspace(0, 1, STEPS_BACK + 1)
    kept = torch.cos((at + 0.008) / 1.008 * torch.pi / 2) ** 2
    kept = (kept / kept[0]).clamp(1e-4, 1.0)  # share of the window's variance at each step
    network = _network(x.shape[1] + c.shape[1] + 2, x.shape[1])
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def clean_of(noisy: Any, conditions: Any, step: Any) -> Any:
        share = kept[step][:, None]
        return network(torch.cat([noisy, conditions, share.sqrt(), (1 - share).sqrt()], dim=1))

    for _ in range(steps):
        rows = next(batches)
        step, noise = torch.randint(1, STEPS_BACK + 1, (len(rows),)), torch.randn(len(rows), x.shape[1])
        share = kept[step][:, None]
        noisy = share.sqrt() * x[rows] + (1 - share).sqrt() * noise
        _stepped(optimiser, ((clean_of(noisy, c[rows], step) - x[rows]) ** 2).mean())
    with torch.inference_mode():
        conditions = torch.tensor(asked, dtype=torch.float32)
        state = torch.randn(len(asked), x.shape[1])
        for number in range(STEPS_BACK, 0, -1):
            here, before = kept[number], kept[number - 1]
            clean = clean_of(state, conditions, torch.full((len(asked),), number)).clamp(-6, 6)
            noise = (state - here.sqrt() * clean) / (1 - here).sqrt()
            spread = ((1 - before) / (1 - here) * (1 - here / before)).clamp(min=0).sqrt()
            state = before.sqrt() * clean + (1 - before - spread**2).clamp(min=0).sqrt() * noise
            state = state + (spread * torch.randn_like(state) if number > 1 else 0)
        return np.asarray(state.double().numpy())


WRITERS: dict[str, Writer] = {
    "ridge and noise": ridge_and_noise,
    "WGAN-GP": adversarial,
    "diffusion": diffusion,
    "nearest rated": nearest_rated,
}


def _tensors(known: BarWindows, seed: int) -> tuple[Any, Any, Any]:
    """Features and ratings as tensors, and rows at random without end."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    x, c = (torch.tensor(part, dtype=torch.float32) for part in (known.features, known.ratings))
    return x, c, iter(lambda: torch.randint(len(x), (BATCH,), generator=draw), None)


def _network(n_in: int, n_out: int) -> Any:
    from torch import nn

    layers = [nn.Linear(n_in, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, n_out))


def _stepped(optimiser: Any, loss: Any) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


if __name__ == "__main__":
    sys.exit(main())
