"""The verbs of sound: `python -m audio_bridge render`; each has its own --help.

Results go to stdout, messages to stderr; exit status 0 done, 1 failed, 2 usage, 130 interrupted.
"""

import sys

from symbolic.verbs import main

VERBS = {
    "render": ("audio_bridge.render", "ABC tunes or a MIDI file to audio, with a SoundFont"),
}

if __name__ == "__main__":
    sys.exit(main("audio_bridge", VERBS, sys.argv[1:]))
