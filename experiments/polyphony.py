"""A model of polyphonic MIDI, from the bundled scores to sound: chorales and string quartets in REMI tokens.

    python -m experiments.polyphony                      # about 50 minutes of a core, nearly all of them training

Each stage is a verb, printed as a person would type it, and is skipped when its result is there: prepare, train,
generate to MIDI, render to WAV. The pieces are then measured as `evaluate` does, beside as many human pieces and noise
made of those (symbolic.evaluate.midi_evaluation), with the bits per note of each under the model; the sounds by their
length and loudness. Everything is in runs/polyphony; the measures are in the result file.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from experiments.quickstart import once, verb
from symbolic import command_line, files, runs
from symbolic import config as configuration

FOLDER = runs.ROOT / "polyphony"
SOURCES = ("chorales", "haydn", "mozart")
CONFIG = Path("configs/mamba2-6m-scores.yaml")
RENDERED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--config", type=Path, default=CONFIG)
    made.add_argument("-n", type=int, default=32, help="pieces (default 32)")
    made.add_argument("--max-tokens", type=int, default=2048)
    made.add_argument("--top-p", type=float, default=0.95)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "polyphony.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Every stage that has no result yet, then the measures."""
    config = configuration.load(args.config)
    settings = {key: str(value) for key, value in vars(args).items() if key != "output"}
    data, model = Path(config.data.folder), FOLDER / config.name
    pieces, scores = model / "pieces", model / "scores"
    once(data / "summary.json", "symbolic", "prepare", *SOURCES, "--as", "midi", "-o", data)
    verb("symbolic", "train", args.config, "--folder", model, "--resume")
    drawing = ("-n", args.n, "--seed", args.seed, "--top-p", args.top_p, "--max-tokens", args.max_tokens)
    once(pieces, "symbolic", "generate", model, *drawing, "-o", pieces / "piece.mid")
    against = ("--against", data, "--model", model, "--seed", args.seed)
    once(scores / "scores.json", "symbolic", "evaluate", pieces, *against, "-o", scores)
    recorder = result_file.Recorder("polyphony", args.seed, settings, data_digest=result_file.data_digest(data))
    recorder.config_digests[config.name] = configuration.digest(config)
    _record_training(recorder, files.read_json(runs.run_file(model))["summary"])
    _record_measures(recorder, files.read_json(scores / "scores.json")["measures"])
    for number in range(1, RENDERED + 1):
        sound = pieces / f"piece-{number}.wav"
        once(sound, "audio_bridge", "render", sound.with_suffix(".mid"), "--record", "-o", sound)
        _record_sound(recorder, number, files.read_json(Path(f"{sound}.json")))
    recorder.write(args.output)
    return 0


def _record_training(recorder: result_file.Recorder, summary: dict[str, Any]) -> None:
    for quantity, unit in (("parameters", ""), ("tokens", "tokens"), ("seconds", "s"), ("best_step", "steps")):
        recorder.measured([summary[quantity]], unit, stage="train", quantity=quantity)


def _record_measures(recorder: result_file.Recorder, columns: dict[str, dict[str, Any]]) -> None:
    """All measures of all sets; what does not apply to a set is left out."""
    for name, measures in columns.items():
        for quantity, value in measures.items():
            if isinstance(value, (int, float)):
                recorder.measured([value], "", stage="evaluate", pieces=name, quantity=quantity)


def _record_sound(recorder: result_file.Recorder, number: int, record: dict[str, Any]) -> None:
    for quantity in ("seconds", "score_seconds", "loudness_lufs", "peak_dbtp"):
        recorder.measured([record[quantity]], "", stage="render", piece=number, quantity=quantity)
    print(json.dumps({"piece": number, **record}), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
