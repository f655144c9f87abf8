"""The byte alphabet of ABC: one id per byte, 259 ids. ABC is ASCII, so one id per character of a tune."""

from tokenizers import models

from symbolic.tokens.tokenizer import VOCAB_SIZE, Tokenizer, assemble, byte_vocabulary

KIND = "characters"


def build(vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """Return the character vocabulary, padded to `vocab_size`."""
    return Tokenizer(assemble(models.BPE(vocab=byte_vocabulary(), merges=[]), pattern=None), KIND, vocab_size)
