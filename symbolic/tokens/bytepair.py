"""Byte-pair pieces learnt from the training tunes; a piece stays inside one bar, one line, one field.

Merging across a bar line would hide the metre inside the vocabulary, and merging across header and body would tie a key
to the first notes. So a bar line, a field and a line end are each cut off before merging: no piece holds a bar line
together with anything else, and a line end only closes a piece (a whole field line).

Sennrich, Haddow, Birch, Neural Machine Translation of Rare Words with Subword Units, ACL 2016.
"""

from collections.abc import Iterable

from tokenizers import models, pre_tokenizers, trainers

from symbolic.errors import UserError
from symbolic.tokens.grammar import BAR, INLINE
from symbolic.tokens.tokenizer import SPECIALS, VOCAB_SIZE, Tokenizer, assemble, byte_vocabulary

KIND = "bytepair"
MIN_FREQUENCY = 2  # a pair seen once is a quotation, not a pattern
FIELD = r"^[A-Za-z]:(?![|:])[^\n<|]*\n?"  # no "|" either: that of M:C| is cut off like a bar line
TUPLET = r"\(\d(?::\d*){0,2}"  # before BAR: "::" inside it is no bar line
PATTERN = "|".join([FIELD, INLINE, TUPLET, BAR, r"\n", "<"])  # "<" alone: no merge can spell a special token


def build(vocab_size: int, texts: Iterable[str]) -> Tokenizer:
    """Learn merges from `texts` until the vocabulary holds `vocab_size` ids or no pair is left."""
    if vocab_size < len(byte_vocabulary()):
        raise UserError(
            f"tokenizer.vocab_size is {vocab_size}, but the special tokens and the bytes alone take "
            f"{len(byte_vocabulary())} ids ({VOCAB_SIZE} is the default)."
        )
    engine = assemble(models.BPE(), PATTERN)
    engine.train_from_iterator(texts, _trainer(vocab_size))
    return Tokenizer(engine, KIND, vocab_size)


def _trainer(vocab_size: int) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
