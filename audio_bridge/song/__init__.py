"""A whole song from a title: words, melody, chords, sound, score and karaoke."""

from symbolic.callable_package import answer_calls_with

answer_calls_with(__name__, "audio_bridge.song.song:song")
