"""MIDI pieces as tokens of MidiTok: REMI, TSD and MIDI-like, and byte-pair tokens learnt over each.

The text that is encoded is a canonical piece (`symbolic.formats.midi_text`), and `decode` gives it back; ids 0, 1, 2
are PAD, BOS and EOS as in every vocabulary here. `save` writes MidiTok's own tokenizer.json, which plain
`miditok.REMI(params=...)` (TSD, MIDILike) loads; tokenizer_config.json beside it holds what MidiTok does not.

What the vocabulary holds follows from the training pieces: velocities when a piece has dynamics, programs when one is
not for a single piano, as the canonical text has them. Without programs all parts are read as one. Times are exact
to a 24th of a beat up to 4 beats and to a quarter of a beat up to 16, where a beat is the metre's (an eighth in 6/8).
Byte-pair tokens stay inside a bar.

Huang and Yang, Pop Music Transformer, 2020 (REMI); Oore et al. 2018 (MIDI-like); Fradet et al., MidiTok, 2021, and
Byte Pair Encoding for Symbolic Music, EMNLP 2023.
"""

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.errors import UserError
from symbolic.formats import midi_text
from symbolic.formats.midi_text import DRUMS, MidiPiece
from symbolic.notation.theory import NotationError
from symbolic.tokens.tokenizer import BOS, CONFIG_FILE, EOS, PAD, TOKENIZER_FILE, VOCAB_SIZE, Tokenizer

CLASSES = {"remi": "REMI", "tsd": "TSD", "midilike": "MIDILike"}
SPECIALS = ("PAD_None", "BOS_None", "EOS_None")
BEAT_RESOLUTION = {(0, 4): 24, (4, 16): 4}
METRES = {denominator: list(range(1, midi_text.MAX_BEATS + 1)) for denominator in midi_text.DENOMINATORS}
_VERSIONS = ("miditok_version", "symusic_version", "hf_tokenizers_version")  # no part of what a tokenizer does


class MidiTokenizer(Tokenizer):
    """A MidiTok tokenizer of one `kind` around MidiTok's; immutable after it is made."""

    notation = "midi"
    engine: Any

    def __init__(self, engine: Any, kind: str, vocab_size: int = VOCAB_SIZE) -> None:
        self.engine, self.kind, self.vocab_size = engine, kind, vocab_size
        self.n_tokens: int = len(engine)
        if vocab_size < self.n_tokens:
            raise UserError(
                f"tokenizer.vocab_size is {vocab_size}, but the {kind} vocabulary holds {self.n_tokens} ids. "
                f"Set it, and model.vocab_size, to {64 * math.ceil(self.n_tokens / 64)} or more."
            )

    @property
    def has_programs(self) -> bool:
        """Whether instruments are told apart."""
        return bool(self.engine.config.use_programs)

    def encode(self, text: str) -> list[int]:
        """Return ids of a canonical piece, without BOS and EOS. Raises NotationError where `text` is none."""
        piece = midi_text.parse(text)
        found = self.engine.encode(midi_text.to_symusic(piece if self.has_programs else _one_part(piece)))
        return list((found[0] if isinstance(found, list) else found).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return ids of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the canonical piece of `ids`; '' when they hold no note. Tokens in an impossible order are passed
        over."""
        from miditok import TokSequence

        kept = [int(id) for id in ids if PAD < int(id) < self.n_tokens and int(id) not in (BOS, EOS)]
        sequence = TokSequence(ids=kept, are_ids_encoded=self.engine.is_trained)
        try:
            native = self.engine.decode(sequence if self.engine.config.use_programs else [sequence])
            return midi_text.canonical(midi_text.from_symusic(native))
        except NotationError:
            return ""

    def errors(self, ids: Sequence[int]) -> float:
        """Return the share of tokens that may not stand where they do, as MidiTok counts them (TSE, Fradet et al.
        2023)."""
        from miditok import TokSequence

        kept = [id for id in ids if EOS < id < self.n_tokens]
        if not kept:
            return 0.0
        sequence = TokSequence(ids=kept, are_ids_encoded=self.engine.is_trained)
        counted = self.engine.tokens_errors(sequence)
        return float(counted[0] if isinstance(counted, list) else counted)

    def token_text(self, id: int) -> str:
        """Return MidiTok's name of one id: Pitch_60, Duration_1.0.24, or several of them joined."""
        if not 0 <= id < self.vocab_size:
            raise IndexError(f"id {id} is outside the vocabulary of {self.vocab_size}")
        return self._names[id] if id < self.n_tokens else ""

    def token_bytes(self, id: int) -> bytes:
        """Return the id's name as bytes: a piece's text does not come apart by tokens, as that of a tune does."""
        return self.token_text(id).encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, versions left out."""
        plain = {name: value for name, value in self._description().items() if name not in _VERSIONS}
        return files.digest(json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    def save(self, folder: Path | str) -> None:
        """Write MidiTok's tokenizer.json, and tokenizer_config.json."""
        files.write_json(Path(folder) / TOKENIZER_FILE, self._description())
        config = {"tokenizer_class": type(self.engine).__name__, "library": "miditok"}
        files.write_json(
            Path(folder) / CONFIG_FILE, {**config, "kind": self.kind, "padded_vocab_size": self.vocab_size}
        )

    def _description(self) -> dict[str, Any]:
        return dict(json.loads(json.dumps(self.engine.to_dict())))

    @cached_property
    def _names(self) -> list[str]:
        if not self.engine.is_trained:
            return [self.engine[id] for id in range(self.n_tokens)]
        return [" ".join(_learnt(self.engine, id)) for id in range(self.n_tokens)]


def build(kind: str, vocab_size: int, texts: Iterable[str]) -> MidiTokenizer:
    """Return the tokenizer of `kind` for training pieces `texts`; of a `-bytepair` kind, with tokens learnt from
    them."""
    base, _, learnt = kind.partition("-")
    held = list(texts) if learnt else texts
    velocities, programs = _features(held)
    engine = _engine_class(base)(_config(velocities, programs, bool(learnt)))
    if not learnt:
        return MidiTokenizer(engine, kind, vocab_size)
    if vocab_size <= len(engine) + 1:
        raise UserError(
            f"tokenizer.vocab_size is {vocab_size}, but {base} alone takes {len(engine)} ids: raise it, and "
            f"model.vocab_size, or set tokenizer.kind to {base}."
        )
    plain = MidiTokenizer(engine, base, vocab_size)
    engine.train(vocab_size, model="BPE", iterator=_Bytes(plain, list(held)))
    return MidiTokenizer(engine, kind, vocab_size)


def load(folder: Path | str, kind: str, vocab_size: int) -> MidiTokenizer:
    """Return the tokenizer that `save` wrote; UserError when it is damaged."""
    path = Path(folder) / TOKENIZER_FILE
    description = files.read_json(path)
    base = kind.partition("-")[0]
    try:
        engine = _engine_class(base)(params=path)
        named = [engine.vocab.get(name) for name in SPECIALS] if not engine.is_trained else [PAD, BOS, EOS]
    except Exception as error:  # MidiTok lets whatever it meets through
        raise UserError(f"{path} is damaged or not MidiTok's ({error}). Copy it again from where it came.") from error
    if named != [PAD, BOS, EOS] or description.get("tokenization") != CLASSES[base]:
        raise UserError(f"{path} is not the {kind} tokenizer that {CONFIG_FILE} beside it names.")
    return MidiTokenizer(engine, kind, vocab_size)


def _engine_class(base: str) -> Any:
    import miditok

    return getattr(miditok, CLASSES[base])


def _config(velocities: bool, programs: bool, learnt: bool) -> Any:
    from miditok import TokenizerConfig

    return TokenizerConfig(
        pitch_range=(0, 127),
        beat_res=BEAT_RESOLUTION,
        num_velocities=len(midi_text.VELOCITIES),
        special_tokens=["PAD", "BOS", "EOS"],
        encode_ids_split="bar" if learnt else "no",
        use_velocities=velocities,
        use_programs=programs,
        one_token_stream_for_programs=programs,
        use_pitchdrum_tokens=False,
        use_tempos=True,
        num_tempos=len(midi_text.TEMPOS),
        tempo_range=(midi_text.TEMPOS[0], midi_text.TEMPOS[-1]),
        use_time_signatures=True,
        time_signature_range=METRES,
    )


def _features(texts: Iterable[str]) -> tuple[bool, bool]:
    """Return whether any piece has dynamics, and whether any has another program than 0; both stop the search."""
    velocities = programs = False
    for text in texts:
        lines = text.splitlines()
        velocities = velocities or (bool(lines) and lines[-1].count(" ") == 3)
        programs = programs or any(line[:2] == "I:" and line != "I:0" for line in lines)
        if velocities and programs:
            break
    return velocities, programs


class _Bytes:
    """What MidiTok's trainer reads: for each piece the bytes of its bars."""

    def __init__(self, tokenizer: MidiTokenizer, texts: list[str]) -> None:
        self.tokenizer, self.texts = tokenizer, texts

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[list[str]]:
        engine = self.tokenizer.engine
        for text in self.texts:
            piece = midi_text.parse(text)
            native = midi_text.to_symusic(piece if self.tokenizer.has_programs else _one_part(piece))
            found = engine.encode(native, encode_ids=False)
            sequence = found[0] if isinstance(found, list) else found
            yield [engine._ids_to_bytes(bar.ids, as_one_str=True) for bar in sequence.split_per_bars() if bar.ids]


def _one_part(piece: MidiPiece) -> MidiPiece:
    """Return all pitched parts as one of program 0."""
    if [part.program for part in piece.parts] == [0]:
        return piece
    notes = [note for part in piece.parts if part.program != DRUMS for note in part.notes]
    return midi_text.arranged(piece.metres, piece.tempos, {0: notes})


def _learnt(engine: Any, id: int) -> list[str]:
    """Return the base tokens behind a learnt one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        byte = engine._model.id_to_token(id)
    return list(engine._vocab_learned_bytes_to_tokens.get(byte, []))
