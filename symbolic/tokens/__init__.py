"""ABC text to integers and back, without loss, three ways: characters, grammar words, byte pairs."""

from collections.abc import Iterable

from symbolic.errors import UsageError
from symbolic.tokens import bytepair, characters, grammar
from symbolic.tokens.tokenizer import BOS, EOS, PAD, VOCAB_SIZE, Tokenizer, load

__all__ = ["BOS", "EOS", "KINDS", "PAD", "VOCAB_SIZE", "Tokenizer", "build", "load"]

KINDS = (characters.KIND, grammar.KIND, bytepair.KIND)


def build(kind: str, vocab_size: int = VOCAB_SIZE, texts: Iterable[str] = ()) -> Tokenizer:
    """The tokenizer of one `kind`, padded to `vocab_size`; only "bytepair" reads `texts`, the training tunes."""
    if kind == characters.KIND:
        return characters.build(vocab_size)
    if kind == grammar.KIND:
        return grammar.build(vocab_size)
    if kind == bytepair.KIND:
        return bytepair.build(vocab_size, texts)
    raise UsageError(f"tokenizer.kind is {kind!r}. Choose one of: {', '.join(KINDS)}.")
