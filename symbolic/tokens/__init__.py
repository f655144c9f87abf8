"""Text to integers and back, without loss: ABC by characters, grammar words, byte pairs; MIDI pieces by MidiTok."""

from collections.abc import Iterable

from symbolic.config import MIDI_KINDS
from symbolic.errors import UsageError
from symbolic.tokens import bytepair, characters, grammar
from symbolic.tokens.tokenizer import BOS, EOS, PAD, VOCAB_SIZE, Tokenizer, load

__all__ = ["BOS", "EOS", "KINDS", "PAD", "VOCAB_SIZE", "Tokenizer", "build", "load"]

KINDS = (characters.KIND, grammar.KIND, bytepair.KIND)  # of ABC; those of MIDI are config.MIDI_KINDS


def build(kind: str, vocab_size: int = VOCAB_SIZE, texts: Iterable[str] = (), lines: Iterable[str] = ()) -> Tokenizer:
    """The tokenizer of one `kind`, padded to `vocab_size`; only learnt ones and those of
    MIDI read `texts`, the training tunes, and only
    "grammar" makes one word of each of `lines`, such as control codes (to the others they are text)."""
    if kind == characters.KIND:
        return characters.build(vocab_size)
    if kind == grammar.KIND:
        return grammar.build(vocab_size, lines)
    if kind == bytepair.KIND:
        return bytepair.build(vocab_size, texts)
    if kind in MIDI_KINDS:
        from symbolic.tokens import midi_events

        return midi_events.build(kind, vocab_size, texts)
    raise UsageError(f"tokenizer.kind is {kind!r}. Choose one of: {', '.join((*KINDS, *MIDI_KINDS))}.")
