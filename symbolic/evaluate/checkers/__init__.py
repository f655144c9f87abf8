"""Independent judges of whether a tune is right: ours, abc2midi, music21, and how far they agree."""
