"""Lyrics: corpora, models, words that keep a form, measures, and words on a tune.

    python -m audio_bridge lyrics prepare bundled -o data/lyrics
    python -m audio_bridge lyrics train configs/lyrics/gpt2-small.yaml            # from scratch, our own models
    python -m audio_bridge lyrics train configs/lyrics/study.yaml                 # fine-tunes gpt2-medium, as the study
    python -m audio_bridge lyrics generate --genre folk --title "River of Gold" --rhyme XAXA
    python -m audio_bridge lyrics evaluate words.txt --against data/lyrics
    python -m audio_bridge lyrics align WORDS.txt TUNE.abc -o out/setting

Each has its own --help: python -m audio_bridge lyrics VERB --help.
"""

import argparse

from symbolic import command_line

VERBS = {
    "prepare": ("audio_bridge.lyrics.training.prepare_lyrics", "clean, filter, deduplicate and split lyrics"),
    "train": (
        "audio_bridge.lyrics.training.train_lyrics",
        "a lyric model from scratch, or fine-tuned from a checkpoint",
    ),
    "generate": ("audio_bridge.lyrics.writing.generate_lyrics", "lyrics that keep a form, by the grammar or a model"),
    "evaluate": ("audio_bridge.lyrics.evaluate_lyrics", "measures of lyrics beside human ones"),
    "align": ("audio_bridge.lyrics.setting.align", "words on a tune: ABC, MusicXML, MIDI, LRC, UltraStar, karaoke"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb of lyrics and all that follows it."""
    listed = ", ".join(VERBS)
    parser.add_argument("verb", metavar="VERB", help=listed)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="its arguments; --help tells them")


def run(args: argparse.Namespace) -> int:
    """Hand over to the verb."""
    return command_line.main("audio_bridge lyrics", VERBS, [args.verb, *args.arguments])
