"""Lyric corpora and lyric models, from scratch or fine-tuned."""
