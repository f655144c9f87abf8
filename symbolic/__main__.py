"""The verbs: `python -m symbolic prepare|train|generate|evaluate|compare|...`; each has its own --help.

Results go to stdout, messages to stderr; exit status 0 done, 1 failed, 2 usage, 130 interrupted.
"""

import sys

from symbolic import interrupts

VERBS = {
    "prepare": ("symbolic.corpus.prepare", "clean tunes, remove duplicates, split by family"),
    "train": ("symbolic.training.train", "train a model from a YAML configuration"),
    "generate": ("symbolic.decode.generate", "write tunes with a trained model"),
    "evaluate": ("symbolic.evaluate.evaluate", "measure tunes beside human ones and controls"),
    "compare": ("symbolic.evaluate.compare", "training runs side by side: curves, conditions, measures, tunes"),
    "judge": ("symbolic.judge.judge", "ask a language model, and whether to believe it"),
    "affect": ("symbolic.affect.affect_verb", "valence and arousal of a score or a text"),
    "compose": ("symbolic.affect.compose_verb", "music for a story, from its mood"),
    "view": ("symbolic.formats.view", "a page, a sheet or a picture of any music file"),
    "story": ("symbolic.affect.story_verb", "a story for music, from its mood"),
    "roundtrip": ("symbolic.affect.roundtrip_verb", "music to a story and back, and what is left of the arc"),
    "convert": ("symbolic.formats.convert", "ABC, MIDI and MusicXML into one another"),
    "sizes": ("symbolic.models.sizes", "parameters of every configuration"),
}


def run() -> None:
    """Run the verb that the command line names, and end the process; the console script `symbolic`."""
    interrupts.end_in_one_line()
    from symbolic.command_line import leave, main

    leave(main("symbolic", VERBS, sys.argv[1:]))


if __name__ == "__main__":
    run()
