"""The kinds of tokenizer by name: `build` makes one for a training run, `load` reads the one that a folder holds.

This is the only module that knows every kind; to add one, write its module and name it here and in
`config.TokenizerConfig`.
"""

from collections.abc import Iterable
from pathlib import Path

from symbolic import files
from symbolic.config import MIDI_KINDS
from symbolic.errors import UsageError, UserError
from symbolic.tokens import bytepair, characters, counted, grammar
from symbolic.tokens.tokenizer import CONFIG_FILE, TOKENIZER_FILE, VOCAB_SIZE, Tokenizer, load_engine

KINDS = (characters.KIND, grammar.KIND, *counted.KINDS, bytepair.KIND)  # of ABC; those of MIDI are config.MIDI_KINDS


def build(kind: str, vocab_size: int = VOCAB_SIZE, texts: Iterable[str] = (), lines: Iterable[str] = ()) -> Tokenizer:
    """Make the tokenizer of one `kind`, padded to `vocab_size` ids.

    Only the learnt kinds and those of MIDI read `texts`, the training tunes. Only "grammar" and the counted kinds make
    one word of each of `lines`, such as control codes; to the other kinds they are text. Raises UsageError for an
    unknown kind.
    """
    if kind == characters.KIND:
        return characters.build(vocab_size)
    if kind == grammar.KIND:
        return grammar.build(vocab_size, lines)
    if kind in counted.KINDS:
        return counted.build(kind, vocab_size, lines)
    if kind == bytepair.KIND:
        return bytepair.build(vocab_size, texts)
    if kind in MIDI_KINDS:
        from symbolic.tokens import midi_events

        return midi_events.build(kind, vocab_size, texts)
    raise UsageError(f"tokenizer.kind is {kind!r}. Choose one of: {', '.join((*KINDS, *MIDI_KINDS))}.")


def load(folder: Path | str) -> Tokenizer:
    """Read the tokenizer that `save` wrote to `folder`; UserError when it is absent, damaged or another library's."""
    path = Path(folder) / TOKENIZER_FILE
    if not path.is_file():
        raise UserError(f"no tokenizer in {folder}: {TOKENIZER_FILE} is missing. Name a run or checkpoint folder.")
    config = files.read_json(Path(folder) / CONFIG_FILE)
    kind, vocab_size = (config.get(key) if isinstance(config, dict) else None for key in ("kind", "padded_vocab_size"))
    if not isinstance(kind, str) or not isinstance(vocab_size, int):
        raise UserError(f"{folder}/{CONFIG_FILE} lacks `kind` or `padded_vocab_size`: not a tokenizer of this project.")
    if kind in MIDI_KINDS:
        from symbolic.tokens import midi_events

        return midi_events.load(folder, kind, vocab_size)
    if kind in counted.KINDS:
        return counted.CountedTokenizer(load_engine(path), kind, vocab_size)
    return Tokenizer(load_engine(path), kind, vocab_size)
