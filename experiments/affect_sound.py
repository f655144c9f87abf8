"""How well do valence and arousal of rated scores come out of their sound, and of a sound that no model heard?

    python -m experiments.affect_sound --data vgmidi:FOLDER [--soundfont FILE.sf2] [--ship audio_bridge/affect/ready]

Every rated piece is played by this project's synthesiser (its first 40 s); game series stay together in the folds.
Models of the piano's sound are also tried on the same pieces played by strings, a guitar and a church organ, and with
the SoundFont that --soundfont names, pieces of their own series left out. --ship writes the weights that
`audio_bridge affect` takes, with their card.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audio_bridge.affect import sound_affect, sound_training
from audio_bridge.affect.sound_training import HeardSound
from benchmarks import result_file
from experiments.affect_options import options_of, run_with
from experiments.affect_rows import printed, record_level, record_values
from symbolic.affect import arc_measures, ridge
from symbolic.affect.labels import rating_sets
from symbolic.affect.labels.rated_items import RatedSet
from symbolic.affect.learning import affect_cards

OTHERS = {"strings": 48, "guitar": 24, "church organ": 19}  # General MIDI programs that no model heard
OTHER_PIECES = 40
SOURCE = "sound of the synthesiser"
NOTES = (
    "Learnt from piano game music played by this project's synthesiser with one SoundFont: other recordings are judged "
    "outside what was rated, and the output says so.",
    "Loudness is brought to one level first, so that a louder copy is not judged more excited.",
    "Ratings are VGMIDI's (no licence stated): research use. `audio_bridge affect train` replaces these weights.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_sound")
    parser.add_argument("--data", required=True, metavar="vgmidi:FOLDER")
    parser.add_argument("--others", type=int, default=OTHER_PIECES, help="pieces played by other instruments")
    parser.add_argument("--pieces", type=int, default=1000, help="evenly over the set (default: all)")
    parser.add_argument("--soundfont", type=Path, metavar="FILE.sf2", help="another SoundFont for some of the pieces")
    parser.add_argument("--jobs", type=int, default=1, help="pieces played at a time")
    parser.add_argument("--ship", type=Path, metavar="FOLDER", help="write weights and card")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Play, learn with series apart, print, write."""
    _, rated = rating_sets.load(args.data)
    count = min(args.pieces, len(rated.items))
    rated = replace(rated, items=tuple(rated.items[i * len(rated.items) // count] for i in range(count)))
    settings = {"data": rated.name, "items": len(rated.items), "others": args.others}
    if args.soundfont is not None:
        settings["soundfont"] = args.soundfont.name
    recorder = result_file.Recorder("affect_sound", settings=settings)
    sounds = sound_training.played_scores(rated, jobs=args.jobs)
    targets, groups = np.array([s.target for s in sounds]), [s.item.group for s in sounds]
    table = []
    for name, predicted in level_predictions(sounds).items():
        found = record_level(recorder, name, SOURCE, predicted, targets, groups)
        print(printed(name, SOURCE, found))
        table.append({"model": name, **found})
    within = arc_measures.within_song(sound_training.deviations_out_of_fold(sounds), [s.ratings for s in sounds])
    positions = [np.column_stack([np.linspace(0, 1, len(s.ratings))] * 2) for s in sounds]
    alone = arc_measures.within_song(positions, [s.ratings for s in sounds])
    for name, pair in (("windows", within), ("rising line", alone)):
        record_values(recorder, name, "within piece", "r", pair)
        print(f"within piece: {name} r V {pair[0]:+.3f} A {pair[1]:+.3f}")
    if args.ship:
        ship(sounds, rated, table, args.ship)
    if args.others:
        stranger_rows(recorder, sounds, rated, args)
    recorder.write(args.output)
    return 0


def stranger_rows(
    recorder: result_file.Recorder, sounds: Sequence[HeardSound], rated: RatedSet, args: argparse.Namespace
) -> None:
    """Some of the pieces as other instruments and another SoundFont play them, beside the sound that was learnt."""
    few = replace(rated, items=rated.items[:: max(1, len(rated.items) // args.others)][: args.others])
    ways: dict[str, tuple[Path | None, int | None]] = {name: (None, program) for name, program in OTHERS.items()}
    if args.soundfont is not None:
        ways["another SoundFont"] = (args.soundfont, None)
    chosen = {item.id for item in few.items}
    played = {"the same pieces": [sound for sound in sounds if sound.item.id in chosen]}
    for name, (soundfont, program) in ways.items():
        played[name] = sound_training.played_scores(few, soundfont, program, jobs=args.jobs)
    for name, heard in played.items():
        targets, groups = np.array([s.target for s in heard]), [s.item.group for s in heard]
        found = record_level(recorder, "13 features", name, heard_by_strangers(sounds, heard), targets, groups)
        print(printed("13 features", name, found))


def ship(sounds: Sequence[HeardSound], rated: RatedSet, table: Sequence[dict[str, Any]], folder: Path) -> None:
    """The weights of all sounds, with their card."""
    sources = [affect_cards.source_record(rated)]
    record = {"sources": sources, "played": "TimGM6mb"}
    path = folder / "sound-va.safetensors"
    folder.mkdir(exist_ok=True)
    sound_affect.save(sound_training.train(sounds, record), path)
    rows = affect_cards.markdown_table(table)
    title = "Valence and arousal of recordings"
    affect_cards.write_card(folder / "sound-va.md", title, path, sources, NOTES, rows)


def level_predictions(sounds: Sequence[HeardSound]) -> dict[str, np.ndarray]:
    """Levels (n, 2) with series apart: floors and the model."""
    order = np.random.default_rng(0).permutation(len(sounds))
    shuffled = [replace(s, target=sounds[i].target) for s, i in zip(sounds, order)]
    return {
        "mean of the others": sound_training.mean_out_of_fold(sounds),
        "shuffled ratings": sound_training.level_out_of_fold(shuffled),
        "13 features": sound_training.level_out_of_fold(sounds),
    }


def heard_by_strangers(sounds: Sequence[HeardSound], played: Sequence[HeardSound]) -> np.ndarray:
    """Levels (m, 2) of other renderings by models that heard no piece of the same series."""
    predicted = np.zeros((len(played), 2))
    for train_rows, test_rows in ridge.folds([s.item.group for s in sounds], 10):
        tested = {sounds[i].item.group for i in test_rows}
        rows = [i for i, s in enumerate(played) if s.item.group in tested]
        if rows:
            model = sound_training.train([sounds[i] for i in train_rows], {}).level
            predicted[rows] = model.predict_known(np.stack([played[i].features for i in rows]))
    return predicted


if __name__ == "__main__":
    sys.exit(main())
