"""A whole song from a title: words, melody, chords, sound, score and karaoke."""
