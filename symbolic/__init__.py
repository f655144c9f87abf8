"""Symbolic-music language models: notation, tokens, models, training, decoding, evaluation; nothing of audio."""

__version__ = "0.1.0"
