"""A ready-made model from a training run: bf16 weights, every measure, and the card that says so.

    python -m experiments.ready_made gpt2-6m-folk gpt2-6m
    python -m experiments.ready_made mamba2-6m-folk mamba2-6m --mean
    python -m experiments.ready_made --again gpt2-6m              # measure a model that ships; its weights stay

Takes the run's best checkpoint, or with --mean the mean of the weights of all checkpoints that the run kept, which on
one path through training is better than each (Izmailov et al. 2018, arXiv:1803.05407). Writes symbolic/ready/NAME (a
Hugging Face directory with its card, README.md) and experiments/results/ready-NAME.json. All figures are of the shipped
bf16 weights: bits per byte of the held-out test tunes, beside PPMd (order 16, primed with the training tunes; needs
`pip install pyppmd`, else 'not run'), and the measures of N tunes drawn without constraints.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from symbolic import command_line, config, files, machine, runs
from symbolic.decode.engine.sampling_rules import DEFAULT
from symbolic.errors import UserError

RESULTS = Path(__file__).parent / "results"
PPMD_ORDER, PPMD_MEMORY = 16, 1 << 28


def main() -> int:
    """Read the command line, run, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="a finished training run")
    parser.add_argument("name", help="the model's name in symbolic/ready")
    parser.add_argument("--again", action="store_true", help="measure the model that is there; without RUN")
    parser.add_argument("-n", type=int, default=1000, help="tunes to measure (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mean", action="store_true", help="the mean of the run's checkpoints instead of the best")
    args = parser.parse_args()
    if args.again == (args.run is not None):
        parser.error("give RUN and NAME, or --again NAME.")
    return command_line.guarded(lambda: measure_again(args) if args.again else make(args))


def measure_again(args: argparse.Namespace) -> int:
    """Measure a model that ships and write its result file and card; what is told of its training stays."""
    target, path = runs.READY / args.name, RESULTS / f"ready-{args.name}.json"
    before = files.read_json(path)
    settings = config.load(Path("configs") / f"{before['training']['name']}.yaml")
    result = before | {
        "measured_by": f"python -m experiments.ready_made --again {args.name} -n {args.n} --seed {args.seed}",
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.card(),
        "sampling": _sampling(args),
        **_measure(target, settings, args),
    }
    return _write(args.name, result, settings)


def make(args: argparse.Namespace) -> int:
    """Write the model, measure it, write its card."""
    run = runs.run_folder(args.run)
    record = files.read_json(runs.run_file(run))
    summary = record.get("summary")
    if not summary:
        raise UserError(f"{run} is not finished: python -m symbolic train {runs.config_file(run)} --resume")
    target = runs.READY / args.name
    settings = config.load(runs.config_file(run))
    start = _start(run, settings)
    steps = _export(run, target, args.mean)
    result = {
        "name": args.name,
        "command": f"python -m experiments.ready_made {args.run} {args.name} -n {args.n} --seed {args.seed}"
        + " --mean" * args.mean,
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.card(),
        "mean_of_steps": steps,
        "start": start,
        "training": {**summary, **{key: record[key] for key in ("machine", "earlier_plans") if key in record}},
        "config_digest": config.digest(settings),
        "sampling": _sampling(args),
        **_measure(target, settings, args),
        "ppmd_bits_per_byte": _ppmd(Path(settings.data.folder)),
    }
    return _write(args.name, result, settings)


def _write(name: str, result: dict[str, Any], settings: config.Config) -> int:
    files.write_json(RESULTS / f"ready-{name}.json", result)
    sources = files.read_json(Path(settings.data.folder) / "sources.json")
    files.write_whole(runs.READY / name / "README.md", card(name, result, settings, sources))
    print(f"{name}: {result['bits_per_byte']:.4f} bits/byte of held-out tunes, PPMd {result['ppmd_bits_per_byte']}")
    return 0


def _sampling(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the tunes are drawn with: those of `generate` as it is typed."""
    return {"n": args.n, "seed": args.seed, **dataclasses.asdict(DEFAULT), "constrained": False}


def _start(run: Path, settings: config.Config) -> dict[str, Any] | None:
    """What a run that began with another model's weights tells of that model, its tokens and seconds; None for others.

    UserError where that model is not the one that the run began with.
    """
    from symbolic.training import checkpoint

    start = checkpoint.verify(runs.resolve(run)).get("start")
    if not start:
        return None
    folder = runs.resolve(settings.start)
    if files.sha256(folder / "model.safetensors") != start["weights_sha256"]:
        raise UserError(f"{folder} is not the model that {run} began with: its weights have another digest.")
    record = checkpoint.verify(folder)
    before = {key: record[key] for key in ("tokens", "seconds")}
    return {**start, **before, "config": str(record["config"]["name"])}


def _export(run: Path, target: Path, is_mean: bool) -> list[int]:
    """The run's best checkpoint, or the mean of all, in bf16, with the record of its data's terms; the steps in it."""
    import torch

    from symbolic import models, tokens
    from symbolic.training import checkpoint

    folders = [runs.resolve(run), *(one for _, one in runs.checkpoints(run) if is_mean)]
    by_step = {record["step"]: (folder, record) for folder in folders for record in [checkpoint.verify(folder)]}
    folder, record = by_step[max(by_step)]
    loaded = {step: models.load(one, dtype=torch.float32)[0] for step, (one, _) in by_step.items()}
    model, states = loaded[max(loaded)], [one.state_dict() for one in loaded.values()]
    model.load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    fields = {one.name: record[one.name] for one in dataclasses.fields(checkpoint.Origin) if one.name in record}
    progress = checkpoint.TrainingProgress(record["step"], record["tokens"], record["seconds"])
    checkpoint.save(target, model.bfloat16(), tokens.load(folder), progress, checkpoint.Origin(**fields))
    return sorted(by_step)


def _measure(target: Path, settings: config.Config, args: argparse.Namespace) -> dict[str, Any]:
    from symbolic.__main__ import VERBS
    from symbolic.evaluate import comparison, evaluation, sets

    reference = comparison.load_reference(settings.data.folder)
    with tempfile.TemporaryDirectory() as folder:
        tunes = Path(folder) / "tunes.abc"
        words = ["generate", target, "-n", args.n, "--seed", args.seed, "-o", tunes]
        if command_line.main("symbolic", VERBS, [str(word) for word in words]):
            raise UserError(f"{target} could not write its tunes.")
        found = sets.read_tunes(tunes)
    result = comparison.evaluate_tunes([tune.text for tune in found], reference)
    leakage = files.read_json(Path(settings.data.folder) / "summary.json")["leakage"]
    return {
        "bits_per_byte": evaluation.held_out_bits_per_byte(str(target), reference),
        "measures": result["measures"],
        "comparison": comparison.comparison(reference),
        "leakage": leakage,
    }


def _ppmd(data: Path) -> float | None:
    """Bits per byte of the test tunes under PPMd after the training tunes; None where pyppmd is not installed."""
    try:
        import pyppmd
    except ImportError:
        print("pyppmd is not installed: its row is 'not run' (pip install pyppmd).", file=sys.stderr)
        return None
    train, test = (
        "".join(row["text"] for row in files.read_jsonl(data / "tunes" / f"{split}.jsonl")).encode()
        for split in ("train", "test")
    )

    def size(text: bytes) -> int:
        encoder = pyppmd.Ppmd7Encoder(PPMD_ORDER, PPMD_MEMORY)
        return len(encoder.encode(text) + encoder.flush())

    return 8 * (size(train + test) - size(train)) / len(test)


def card_table(name: str, result: dict[str, Any]) -> str:
    """All measures of a ready-made model's tunes beside human tunes and baselines, as Markdown."""
    from symbolic.evaluate.comparison import comparison_table
    from symbolic.evaluate.report import tables

    columns = {name: {**result["measures"], "bits_per_byte": result["bits_per_byte"]}, **result["comparison"]}
    drawn = result["sampling"]
    rules = "".join(
        f", {key.replace('_', '-')} {drawn[key]:g}" for key in ("top_p", "min_p") if drawn.get(key, 1) not in (0, 1)
    )
    title = f"{drawn['n']} tunes of {name}, temperature {drawn['temperature']:g}{rules}, unconstrained"
    return tables.markdown(comparison_table(columns, title=title))


def card(name: str, result: dict[str, Any], settings: config.Config, sources: list[dict[str, Any]]) -> str:
    """The model's card; its numbers are kept true by experiments.pages, whose comments name their places."""
    train, ppmd = result["training"], result["ppmd_bits_per_byte"]
    file = f"ready-{name}"
    terms = "\n".join(f"- {s['title']}. {s['terms']} SHA-256 of the source files `{s['sha256'][:16]}`" for s in sources)
    minutes = f"{train['seconds'] / 60:.0f}<!-- ={file} training.seconds *{1 / 60:.10f} .0f -->"
    cost = f"{minutes} minutes on one core of {train['machine'].get('cpu', 'a CPU')}"
    baseline = "not run" if ppmd is None else f"{ppmd:.3f}<!-- ={file} ppmd_bits_per_byte .3f -->"
    share = f"{result['leakage']['random_split']['share_sharing']:.1%}".replace("%", " %")
    shared = f"{share}<!-- ={file} leakage.random_split.share_sharing .1% -->"
    section = f"card_{name.replace('-', '_')}"
    before, after = _beginning(file, result.get("start"))
    return f"""# {name}

{settings.model.family} with {train["parameters"]:,}<!-- ={file} training.parameters ,.0f --> parameters,
{settings.tokenizer.kind} tokens of canonical ABC; bf16
safetensors in a Hugging Face directory. Use it with `python -m symbolic generate {name}`.

## Trained on

{terms}

Titles and free text are not in the training text. {before}
{train["tokens"]:,}<!-- ={file} training.tokens ,.0f --> tokens in
twelve keys, {cost} (shared with other work, so not a measure of speed);
{_which_weights(file, result)}.
Made by `{result["command"]}` from the run of `configs/{settings.name}.yaml`{after};
figures in `experiments/results/ready-{name}.json`.

## Measured

Held-out test tunes, of families that neither training nor validation holds:
**{result["bits_per_byte"]:.3f}<!-- ={file} bits_per_byte .3f --> bits per byte**
(PPMd of order {PPMD_ORDER}<!-- given -->, primed with the same training tunes: {baseline}).

<!-- {section} -->

{card_table(name, result).strip()}

<!-- /{section} -->

In a random split of the same collections {shared} of the test tunes share a 17-note phrase with a training tune: that
is what human tune books copy from one another.

## Not good for

Music outside the repertoire of fiddle and flute tunes of Scotland, England and Ireland as printed 1778-1903; several
voices; words; anything that must not resemble existing traditional tunes. Some tunes have bars that do not fit the
metre, and some repeat phrases of the tunes it was trained on: `python -m symbolic evaluate` names them.
"""


def _beginning(file: str, start: dict[str, Any] | None) -> tuple[str, str]:
    """Word what the run began with, and the option that names it; '' where it began anew."""
    if not start:
        return "", ""
    tokens = f"{start['tokens']:,}<!-- ={file} start.tokens ,.0f -->"
    before = (
        f"It began with the weights of the run of `configs/{start['config']}.yaml`, of\n"
        f"{tokens} tokens in twelve keys, and went on with others: "
    )
    return before, f", with `--from` that of `configs/{start['config']}.yaml`"


def _which_weights(file: str, result: dict[str, Any]) -> str:
    """Word which checkpoint, or mean of checkpoints, the weights are, and how the plan of steps was changed."""
    train = result["training"]
    means = result.get("mean_of_steps", [train["best_step"]])
    which = (
        f"the checkpoint of step {train['best_step']:,}<!-- ={file} training.best_step ,.0f --> of\n"
        f"{train['steps']:,}<!-- ={file} training.steps ,.0f -->, the best on the validation tunes"
        if len(means) == 1
        else f"the mean of the weights after {', '.join(_steps(file, means)[:-1])} and {_steps(file, means)[-1]} steps"
    )
    plans = train.get("earlier_plans", [])
    for plan, steps in zip(plans, [*(plan["steps"] for plan in plans[1:]), train["steps"]], strict=True):
        given = [f"{n:,}<!-- given -->" for n in (plan["steps"], steps, plan["until_step"])]
        which += "\n(planned as {} steps, and given its end at {} after {})".format(*given)
    return which


def _steps(file: str, steps: list[int]) -> list[str]:
    return [f"{step:,}<!-- ={file} mean_of_steps[{place}] ,.0f -->" for place, step in enumerate(steps)]


if __name__ == "__main__":
    sys.exit(main())
