"""One tokenizer for every vocabulary: text to ids and back, without loss, in the Hugging Face file format.

Conventions
- Ids 0, 1, 2 are PAD, BOS, EOS; ids 3 to 258 are the 256 byte values (in the order of GPT-2's printable stand-ins, as
  the library's own trainer numbers them); pieces of more than one byte follow.
- `decode(encode(text)) == text` for every Unicode string: what the vocabulary does not know is spelled in UTF-8 bytes.
- `encode` adds no special ids, and text that looks like one ("<eos>") is text.
- `n_tokens` counts the ids in use, `vocab_size` is the padded size that a model is built with.

Radford et al., Language Models are Unsupervised Multitask Learners, 2019 (byte-level pieces).
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, pre_tokenizers, processors

from symbolic import files
from symbolic.errors import UserError

PAD, BOS, EOS = 0, 1, 2
SPECIALS = ("<pad>", "<bos>", "<eos>")
VOCAB_SIZE = 768  # fits all three vocabularies and is a multiple of 256, which tensor cores like
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
_CALLERS_SETTINGS = ("truncation", "padding", "post_processor")  # transformers saves its own; `encode` uses none


class Tokenizer:
    """A vocabulary of one `kind` around the library's engine; immutable after it is made."""

    pad, bos, eos = PAD, BOS, EOS
    notation = "abc"  # of the text; "midi" for pieces (symbolic.tokens.midi_events)

    def __init__(self, engine: tokenizers.Tokenizer, kind: str, vocab_size: int = VOCAB_SIZE) -> None:
        self.engine = engine
        self.engine.encode_special_tokens = True  # not kept in the file: without it "<eos>" in a title would end a tune
        self.engine.no_truncation()
        self.engine.no_padding()
        self.kind = kind
        self.n_tokens: int = engine.get_vocab_size(with_added_tokens=True)
        self.vocab_size = vocab_size
        if vocab_size < self.n_tokens:
            raise UserError(
                f"tokenizer.vocab_size is {vocab_size}, but the {kind} vocabulary holds {self.n_tokens} ids. "
                f"Set it to {self.n_tokens} or more ({VOCAB_SIZE} is the default)."
            )

    def encode(self, text: str) -> list[int]:
        """Return ids of `text`, without BOS and EOS."""
        return self.engine.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return ids of each text, in one call of the library (which uses all cores)."""
        return [encoding.ids for encoding in self.engine.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return text of `ids`; special and padding ids are skipped, bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(int(id)) for id in ids).decode("utf-8", errors="replace")

    def token_text(self, id: int) -> str:
        """Return text of one id: `decode([id])`, so U+FFFD for a byte that is only part of a character."""
        return self.token_bytes(id).decode("utf-8", errors="replace")

    def token_bytes(self, id: int) -> bytes:
        """Return exact bytes of one id: empty for special ids and for the unused ids below `vocab_size`."""
        return self.engine_bytes(id)

    def engine_bytes(self, id: int) -> bytes:
        """Return bytes of one id in what the engine reads, which of counted kinds is the text with its marks."""
        if not 0 <= id < self.vocab_size:
            raise IndexError(f"id {id} is outside the vocabulary of {self.vocab_size}")
        return self._bytes[id] if id < self.n_tokens else b""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: sorted keys, no white space, no settings of a caller."""
        description = json.loads(self.engine.to_str())
        canonical = {key: value for key, value in description.items() if key not in _CALLERS_SETTINGS}
        return files.digest(json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    def save(self, folder: Path | str) -> None:
        """Write tokenizer.json and tokenizer_config.json, which `AutoTokenizer.from_pretrained(folder)` loads."""
        files.write_whole(Path(folder) / TOKENIZER_FILE, self.engine.to_str(pretty=True) + "\n")
        files.write_json(Path(folder) / CONFIG_FILE, self._config())

    def _config(self) -> dict[str, Any]:
        """Return tokenizer_config.json; by `split_special_tokens` transformers, too, reads "<eos>" in text as text."""
        pad, bos, eos = SPECIALS
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": pad,
            "bos_token": bos,
            "eos_token": eos,
            "split_special_tokens": True,
            "clean_up_tokenization_spaces": False,
            "kind": self.kind,
            "padded_vocab_size": self.vocab_size,
        }

    @cached_property
    def _bytes(self) -> list[bytes]:
        value = {character: byte for byte, character in enumerate(byte_characters())}
        ids = self.engine.get_vocab(with_added_tokens=True)
        names = sorted(ids, key=lambda name: ids[name])
        pieces = [bytes(value[character] for character in name) for name in names[len(SPECIALS) :]]
        return [b""] * len(SPECIALS) + pieces


def load_engine(path: Path) -> tokenizers.Tokenizer:
    """Read a tokenizer.json whose first 259 ids are this project's; UserError where it is damaged or foreign."""
    try:
        engine = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for a malformed file
        raise UserError(f"{path} is damaged or not a tokenizer ({error}). Copy it again from where it came.") from error
    found = byte_vocabulary()
    if any(engine.token_to_id(name) != id for name, id in found.items()):
        raise UserError(f"{path} numbers its special or byte tokens differently: not a tokenizer of this project.")
    return engine


def assemble(model: tokenizers.models.Model, pattern: str | None) -> tokenizers.Tokenizer:
    """Return an engine that splits text by `pattern` (each match alone, the text between matches alone), then into
    bytes."""
    engine = tokenizers.Tokenizer(model)
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = [pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated")] if pattern else []
    engine.pre_tokenizer = pre_tokenizers.Sequence([*split, to_bytes])
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens(list(SPECIALS))
    begin_tunes(engine)
    return engine


def begin_tunes(engine: tokenizers.Tokenizer) -> None:
    """Have the library put the beginning-of-tune id before a text, as in training; `Tokenizer.encode` adds none."""
    special = [(SPECIALS[BOS], BOS)]
    engine.post_processor = processors.TemplateProcessing(single=f"{SPECIALS[BOS]} $A", special_tokens=special)


def byte_vocabulary() -> dict[str, int]:
    """Return the special tokens and the 256 byte values: the first 259 ids of every vocabulary."""
    return {name: id for id, name in enumerate([*SPECIALS, *sorted(byte_characters())])}


def byte_characters() -> list[str]:
    """Return the printable character that stands for each byte value in tokenizer.json (GPT-2's table)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    stand_ins = iter(range(256, 512))
    return [chr(byte if byte in printable else next(stand_ins)) for byte in range(256)]


def spell(text: str) -> str:
    """Return `text` as tokenizer.json spells it: one stand-in character per UTF-8 byte."""
    characters = byte_characters()
    return "".join(characters[byte] for byte in text.encode("utf-8"))
