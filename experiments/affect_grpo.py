"""Can a model be trained by reward to write music of a mood? Policy gradients, as the reference study tried, with care.

    python -m experiments.affect_grpo --data data/folk [--updates 40]

Group-relative policy optimisation (Shao and others 2024, arXiv 2402.03300) of a 6M model that writes ABC: of a group of
tunes each is rewarded for being right and near a target mood by the level model of scores; its advantage is the reward
less the group's mean over the group's deviation. The reference is a second copy whose weights never change, and

    KL = mean over tokens of exp(log q - log p) - (log q - log p) - 1      p the policy, q the reference (Schulman)

is weighed so that a tune stays a few nats from it. Beside the reward stand what it does not see: the scorer that learnt
from other ratings, validity, copying, diversity, and the best of as many tunes that the reference writes. A reward that
rises while the other scorer stays where it was is a reward that is gamed.
"""

import argparse
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import result_file
from experiments.affect_options import options_of, run_with
from symbolic.affect.hearing import note_table, quadrant_model, score_affect, score_features
from symbolic.decode.loaded_model import LoadedModel
from symbolic.errors import UserError
from symbolic.notation import validity
from symbolic.notation.theory import NotationError

if TYPE_CHECKING:
    import torch

    from symbolic.evaluate.comparison import TuneReference

PROMPT = "M:4/4 K:D"
MAX_TOKENS = 220  # of a tune
KL_NATS = 5.0  # of a tune from the reference, which the weight of KL is steered to
FIRST_WEIGHT = 0.1  # of KL
RATE = 5e-5
WRONG, UNREADABLE = -0.5, -1.0  # rewards: added to a tune with a bar that is not full; of what is no music
MEASURES = ("share_that_parse", "share_of_right_tunes", "share_with_copied_phrase", "mean_pairwise_distance")
DRAWS = 1000


@dataclass(frozen=True)
class RewardedTune:
    """One tune: ids with the prompt and the end, how many of them are the prompt's, its text."""

    ids: tuple[int, ...]
    n_prompt: int
    text: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_grpo")
    parser.add_argument("--model", default="gpt2-6m", help="default: %(default)s")
    parser.add_argument("--target", nargs=2, type=float, default=(0.0, -0.3), metavar=("V", "A"))
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--group", type=int, default=24, help="tunes an update (default 24)")
    parser.add_argument("--judged", type=int, default=64, help="tunes judged before and after (default 64)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="prepared tunes that the model learnt from")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Judge, train, judge again, print, write."""
    import torch

    from symbolic import models
    from symbolic.decode import tune_writer
    from symbolic.evaluate import comparison

    torch.set_num_threads(1)
    target = np.array(args.target)
    settings = {name: getattr(args, name) for name in ("model", "updates", "group", "judged")}
    recorder = result_file.Recorder("affect_grpo", settings=settings | {"target": target.tolist(), "rate": RATE})
    source = tune_writer.load_source(args.model, "cpu", threads=1)
    policy, _ = models.load(source.folder)
    policy.config = source.model.config
    reference = deepcopy(policy).eval().requires_grad_(False)
    seen = comparison.load_reference(args.data) if args.data else None
    before = drawn(source, policy, args.judged, seed=10_000)
    judge(recorder, "reference", before, target, seen)
    best_of(recorder, source, policy, args, target, seen)
    history = train(source, policy, reference, args, target)
    for number, row in enumerate(history):
        for name, value in row.items():
            recorder.measured([round(value, 5)], "", update=number, measure=name)
    judge(recorder, "policy", drawn(source, policy, args.judged, seed=10_000), target, seen)
    recorder.write(args.output)
    return 0


def train(
    source: LoadedModel, policy: Any, reference: Any, args: argparse.Namespace, target: Any
) -> list[dict[str, float]]:
    """The policy after `updates` groups; reward, KL and its weight at each."""
    import torch

    optimiser = torch.optim.AdamW(policy.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
    weight, history = FIRST_WEIGHT, []
    for number in range(args.updates):
        tunes = drawn(source, policy, args.group, seed=number)
        rewards = np.array([reward(tune.text, target) for tune in tunes])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
        kl = update(policy, reference, optimiser, tunes, advantages, weight)
        history.append({"reward": float(rewards.mean()), "KL nats a tune": kl, "weight of KL": weight})
        weight *= 1.3 if kl > 1.3 * KL_NATS else 1 / 1.3 if kl < KL_NATS / 1.3 else 1.0
        print(f"update {number:3}: reward {rewards.mean():+.3f}  KL {kl:.2f} nats a tune", file=sys.stderr, flush=True)
    return history


def update(
    policy: Any, reference: Any, optimiser: Any, tunes: Sequence[RewardedTune], advantages: Any, weight: float
) -> float:
    """One step of the policy on a group that it wrote itself; KL in nats a tune before the step."""
    import torch

    ids, is_own = padded(tunes)
    policy.train()
    own = log_probabilities(policy, ids)
    with torch.no_grad():
        fixed = log_probabilities(reference, ids)
    ratio = fixed - own
    divergence = (torch.exp(ratio) - ratio - 1) * is_own
    gain = (own * is_own).sum(dim=1) * torch.tensor(advantages, dtype=torch.float32)
    loss = (weight * divergence.sum() - gain.sum()) / is_own.sum()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimiser.step()
    policy.eval()
    return float(divergence.detach().sum() / len(tunes))


def log_probabilities(model: Any, ids: "torch.Tensor") -> "torch.Tensor":
    """(tunes, T - 1) of each id after those before it."""
    import torch

    scores = model(ids[:, :-1]).float()
    return torch.log_softmax(scores, dim=-1).gather(2, ids[:, 1:, None])[..., 0]


def padded(tunes: Sequence[RewardedTune]) -> tuple["torch.Tensor", "torch.Tensor"]:
    """(tunes, T) ids and (tunes, T - 1) of 1 where an id was drawn, 0 in prompts and padding."""
    import torch

    from symbolic.tokens import PAD

    length = max(len(tune.ids) for tune in tunes)
    ids = torch.full((len(tunes), length), PAD)
    is_own = torch.zeros(len(tunes), length - 1)
    for row, tune in enumerate(tunes):
        ids[row, : len(tune.ids)] = torch.tensor(tune.ids)
        is_own[row, tune.n_prompt - 1 : len(tune.ids) - 1] = 1
    return ids, is_own


def drawn(source: LoadedModel, policy: Any, n: int, seed: int) -> list[RewardedTune]:
    """Tunes by the policy as it is, at temperature 1 without a cut or mask, so that they are its own distribution."""
    from symbolic.decode import continuation
    from symbolic.decode import prompt as prompts
    from symbolic.decode.engine import engine
    from symbolic.decode.engine.sampling_rules import Sampling

    now = replace(source, model=engine.prepare(policy.eval()))
    found, _ = continuation.generate_tunes(
        now, prompts.read_prompt(PROMPT), Sampling(), n=n, seed=seed, max_tokens=MAX_TOKENS, show_progress=False
    )
    tokenizer = source.tokenizer
    return [
        RewardedTune(
            (*one.prompt, *one.tokens, *([tokenizer.eos] if one.finished == "eos" else [])),
            len(one.prompt),
            tokenizer.decode([*one.prompt[1:], *one.tokens]),
        )
        for one in found
    ]


def reward(text: str, target: Any) -> float:
    """Nearness to the target by the level model of scores, at most 0; less for wrong bars, least for no music."""
    point = point_of(text, by="reward")
    if point is None:
        return UNREADABLE
    check = validity.check(text)
    return max(UNREADABLE, -float(np.linalg.norm(point - target)) + (0.0 if check.is_right else WRONG))


def point_of(text: str, by: str) -> Any:
    """(2,) of a tune by the scorer that rewards or the one that does not; None where there is nothing to hear."""
    try:
        table = note_table.of_abc(text)
        score_affect.check(table)
    except (NotationError, UserError):
        return None
    if by == "reward":
        kind = "melody" if table.is_melody else "full"
        return score_affect.bundled().level(score_features.piece_features(table), kind)[0]
    return np.array(quadrant_model.point_of(table))


def judge(
    recorder: result_file.Recorder,
    name: str,
    tunes: Sequence[RewardedTune],
    target: Any,
    seen: "TuneReference | None",
) -> dict[str, float]:
    """Rows of one set of tunes: distance from the target and valence and arousal by both scorers, and MEASURES."""
    from symbolic.evaluate import comparison

    texts, found = [tune.text for tune in tunes], dict[str, float]()
    for by in ("reward", "other"):
        points = np.array([p for p in (point_of(text, by) for text in texts) if p is not None]).reshape(-1, 2)
        if not len(points):
            recorder.not_run("no tune can be heard", tunes=name, scorer=by)
            continue
        values = {"distance": np.linalg.norm(points - target, axis=1), "valence": points[:, 0], "arousal": points[:, 1]}
        for measure, column in values.items():
            draws = np.random.default_rng(0).integers(len(column), size=(DRAWS, len(column)))
            low, high = np.percentile(column[draws].mean(axis=1), [2.5, 97.5]).round(4).tolist()
            keys = {"tunes": name, "scorer": by, "measure": measure, "n": len(column), "low": low, "high": high}
            recorder.measured([round(float(column.mean()), 4)], "", **keys)
            found[f"{by} {measure}"] = float(column.mean())
    if seen is None:
        recorder.not_run("no tunes that the model learnt from: give --data", tunes=name, measure="validity and copying")
    else:
        values_ = comparison.evaluate_tunes(texts, seen)["measures"]
        for measure in MEASURES:
            if values_.get(measure) is not None and np.isfinite(values_[measure]):
                found[measure] = float(values_[measure])
                recorder.measured([round(found[measure], 4)], "", tunes=name, measure=measure, n=len(texts))
    print(f"{name:14} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()), flush=True)
    return found


def best_of(
    recorder: result_file.Recorder,
    source: LoadedModel,
    reference: Any,
    args: argparse.Namespace,
    target: Any,
    seen: "TuneReference | None",
) -> None:
    """As many tunes as training draws, by the model as it was; of them the best, as many as are judged."""
    tunes = [tune for number in range(args.updates) for tune in drawn(source, reference, args.group, seed=number)]
    tunes.sort(key=lambda tune: -reward(tune.text, target))
    judge(recorder, "best of as many", tunes[: args.judged], target, seen)


if __name__ == "__main__":
    sys.exit(main())
