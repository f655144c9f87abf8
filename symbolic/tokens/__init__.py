"""Text to integers and back, without loss: ABC by characters, grammar words, byte pairs; MIDI pieces by MidiTok."""

from symbolic.tokens.kinds import KINDS, build, load
from symbolic.tokens.tokenizer import BOS, EOS, PAD, VOCAB_SIZE, Tokenizer

__all__ = ["BOS", "EOS", "KINDS", "PAD", "VOCAB_SIZE", "Tokenizer", "build", "load"]
