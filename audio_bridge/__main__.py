"""The verbs of sound: `python -m audio_bridge render`; each has its own --help.

Results go to stdout, messages to stderr; exit status 0 done, 1 failed, 2 usage, 130 interrupted.
"""

import sys

from symbolic import interrupts

VERBS = {
    "render": ("audio_bridge.render.render", "ABC tunes or a MIDI file to audio, with a SoundFont"),
    "condition": ("audio_bridge.musicgen.condition", "a melody and a text to sound, with MusicGen-melody"),
    "adherence": ("audio_bridge.musicgen.melody_adherence", "how closely a sound follows a score"),
    "dataset": ("audio_bridge.musicgen.dataset", "a folder of recordings to checked clips for fine-tuning"),
    "finetune": ("audio_bridge.musicgen.finetune", "train MusicGen on the clips of a genre"),
    "lyrics": ("audio_bridge.lyrics.lyrics_verb", "lyric corpora, models, generation, measures, alignment"),
    "affect": ("audio_bridge.affect.recording_verb", "valence and arousal of a recording"),
    "soundtrack": ("audio_bridge.affect.soundtrack_verb", "music with sound for a story"),
    "song": ("audio_bridge.song.song", "words, melody, chords, sound, score and karaoke from a title"),
}


def run() -> None:
    """Run the verb that the command line names, and end the process; the console script `audio-bridge`."""
    interrupts.end_in_one_line()
    from symbolic.command_line import leave, main

    leave(main("audio_bridge", VERBS, sys.argv[1:]))


if __name__ == "__main__":
    run()
