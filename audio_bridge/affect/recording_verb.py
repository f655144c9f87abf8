"""Valence and arousal of a recording, from -1 to 1, second by second.

    python -m audio_bridge affect song.mp3
    python -m audio_bridge affect song.wav --json
    python -m audio_bridge affect evaluate --data deam:FOLDER
    python -m audio_bridge affect train --data deam:FOLDER -o my-weights

Intervals hold nine times in ten for recordings like those that were rated, and the output says when one is unlike them.
--json ends with one line of JSON: unit, at, valence, arousal, low, high, domain. Sets are deam, deam-static, pmemo,
emomusic and merge (columns by name, audio files beside them), or vgmidi, whose scores our synthesiser plays.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic.errors import UsageError

if TYPE_CHECKING:
    from audio_bridge.affect.sound_affect import SoundModel
    from audio_bridge.affect.sound_training import HeardSound

MOST_ROWS = 40
NOTES = (
    "Recordings unlike those that were rated are judged with a note that says so.",
    "Loudness is brought to one level first, so that a louder copy is not judged more excited.",
    "The terms of the rated set hold for these weights.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("source", metavar="RECORDING|train|evaluate", help="an audio file, or one of the words")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--data", nargs="+", default=[], metavar="NAME:PATH", help="rated sets")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="weights made by `train` (default: bundled)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder of the weights")


def run(args: argparse.Namespace) -> int:
    """Judge a recording, train, or evaluate."""
    if args.source in ("train", "evaluate"):
        return _learn(args)
    if args.data:
        raise UsageError("--data belongs to `affect train` and `affect evaluate`.")
    from audio_bridge.affect import sound_affect

    found = sound_affect.recording_arc(Path(args.source), _model(args.model))
    valence, arousal = found.mean
    out = sys.stderr if args.json else sys.stdout
    print(f"valence {valence:+.2f}  arousal {arousal:+.2f}  (-1 to 1; {len(found.at)} windows of 4 s)", file=out)
    for remark in found.record["remarks"]:
        print(f"  note: {remark}", file=out)
    for i in range(0, len(found.at), -(-len(found.at) // MOST_ROWS)):
        print(f"{found.at[i]:7.1f} s  V {found.valence[i]:+.2f}  A {found.arousal[i]:+.2f}", file=out)
    if args.json:
        print(json.dumps(found.as_json()))
    return 0


def _model(folder: Path | None) -> "SoundModel | None":
    from audio_bridge.affect import sound_affect

    return sound_affect.load(folder / "sound-va.safetensors") if folder else None


def _learn(args: argparse.Namespace) -> int:
    from audio_bridge.affect import sound_affect, sound_training
    from symbolic import files
    from symbolic.affect.learning import affect_cards

    is_training = args.source == "train"
    if not args.data or (is_training and args.output is None):
        raise UsageError(f"affect {args.source} takes --data NAME:PATH ..." + (" and -o FOLDER." * is_training))
    if is_training:
        files.check_writable(args.output / "sound-va.safetensors")
    sounds, sources = heard(args.data)
    model = None if is_training else _model(args.model) or sound_affect.bundled()
    rows = rows_of(sounds, model)
    print(affect_cards.markdown_table(rows), file=sys.stderr if args.json else sys.stdout)
    if is_training:
        path = args.output / "sound-va.safetensors"
        sound_affect.save(sound_training.train(sounds, {"sources": sources}), path)
        card, table = args.output / "sound-va.md", affect_cards.markdown_table(rows)
        affect_cards.write_card(card, "Valence and arousal of recordings", path, sources, NOTES, table)
        print(path)
    if args.json:
        print(json.dumps({"rows": rows}))
    return 0


def heard(data: Sequence[str]) -> tuple[list["HeardSound"], list[dict[str, Any]]]:
    """The recordings of rated sets with their features, and a record of each set. UsageError for sets of texts."""
    from audio_bridge.affect import sound_training
    from symbolic.affect.labels import rating_sets
    from symbolic.affect.learning import affect_cards

    sounds, sources = [], []
    for named in data:
        kind, rated = rating_sets.load(named)
        if kind == "text" or named.startswith("emopia"):
            raise UsageError(f"--data {named}: use `python -m symbolic affect` for it.")
        for remark in rated.remarks[:8]:
            print(f"{rated.name}: {remark}", file=sys.stderr)
        sounds += (sound_training.played_scores if kind == "score" else sound_training.heard_recordings)(rated)
        sources.append(affect_cards.source_record(rated))
    return sounds, sources


def rows_of(sounds: Sequence["HeardSound"], model: "SoundModel | None") -> list[dict[str, Any]]:
    """Level and arc beside their floors: of a model as it is, or with songs apart where it is to be trained."""
    import numpy as np

    from audio_bridge.affect import sound_training
    from symbolic.affect import arc_measures

    targets = np.array([sound.target for sound in sounds])
    if model is None:
        levels = {
            "mean of the others": sound_training.mean_out_of_fold(sounds),
            "songs apart": sound_training.level_out_of_fold(sounds),
        }
        arcs = sound_training.deviations_out_of_fold(sounds)
    else:
        levels = {
            "mean of this set": np.repeat(targets.mean(axis=0, keepdims=True), len(sounds), axis=0),
            "as it is": model.level.predict_known(np.stack([sound.features for sound in sounds])),
        }
        arcs = [
            model.deviation.predict_known(s.rows - s.rows.mean(axis=0)) if len(s.rows) else np.zeros((0, 2))
            for s in sounds
        ]
    rows = []
    for name, predicted in levels.items():
        found = arc_measures.agreement(predicted, targets)
        pair = {f"{key} {d[0].upper()}": found[d][key] for key in ("r", "ccc", "mae") for d in ("valence", "arousal")}
        rows.append({"model": name, "of": "level", **pair})
    moving = [(a, s.ratings) for a, s in zip(arcs, sounds) if len(s.ratings) > 1]
    if moving:
        valence, arousal = arc_measures.within_song([a for a, _ in moving], [r for _, r in moving])
        blank = dict.fromkeys(("ccc V", "ccc A", "mae V", "mae A"), "")
        rows.append({"model": list(levels)[1], "of": "within song", "r V": valence, "r A": arousal, **blank})
    return rows
