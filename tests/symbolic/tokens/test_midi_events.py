"""MIDI tokens: pieces come back from their ids, MidiTok loads what is saved, one protocol with ABC's vocabularies."""

from pathlib import Path

import miditok
import pytest

from symbolic import tokens
from symbolic.errors import UserError
from symbolic.formats import midi_text
from symbolic.formats.midi_text import DRUMS, PieceNote
from symbolic.notation import abc_parser
from symbolic.tokens import midi_events

KINDS = ("remi", "tsd", "midilike")


@pytest.fixture(scope="module")
def texts(real_tunes: list[str]) -> list[str]:
    chosen = real_tunes[:: len(real_tunes) // 24]
    return [midi_text.canonical(midi_text.from_score(abc_parser.parse(text))) for text in chosen]


@pytest.mark.parametrize("kind", [*KINDS, "remi-bytepair", "tsd-bytepair", "midilike-bytepair"])
def test_real_tunes_come_back_and_plain_miditok_loads_the_file(kind: str, texts: list[str], tmp_path: Path) -> None:
    tokenizer = tokens.build(kind, 768, texts)
    ids = tokenizer.encode_many(texts)
    assert [tokenizer.decode(one) for one in ids] == texts
    assert min(map(min, ids)) > tokenizer.eos
    assert max(map(max, ids)) < tokenizer.n_tokens <= 768
    tokenizer.save(tmp_path)
    loaded = tokens.load(tmp_path)
    assert (loaded.digest, loaded.kind, loaded.notation) == (tokenizer.digest, kind, "midi")
    assert loaded.encode_many(texts) == ids
    plain = getattr(miditok, midi_events.CLASSES[kind.partition("-")[0]])(params=tmp_path / "tokenizer.json")
    found = plain.encode(midi_text.to_symusic(midi_text.parse(texts[0])))
    assert list(found[0].ids) == ids[0]


def test_byte_pairs_are_fewer(texts: list[str]) -> None:
    plain, learnt = (
        sum(map(len, tokens.build(kind, 768, texts).encode_many(texts))) for kind in ("tsd", "tsd-bytepair")
    )
    assert learnt < 0.6 * plain


def test_instruments_and_dynamics_only_where_the_pieces_have_them() -> None:
    rich = midi_text.arranged(
        [], [], {40: [PieceNote(0, 60, 24, 63)], DRUMS: [PieceNote(0, 36, 12, 127), PieceNote(24, 38, 12, 95)]}
    )
    text = midi_text.canonical(rich)
    tokenizer = tokens.build("remi", 1024, [text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    plain = tokens.build("remi", 768, [midi_text.canonical(midi_text.arranged([], [], {0: [PieceNote(0, 60, 24)]}))])
    assert plain.n_tokens < tokenizer.n_tokens
    assert midi_text.parse(plain.decode(plain.encode(text))).parts == (midi_text.MidiPart(0, (PieceNote(0, 60, 24),)),)


def test_tokens_in_a_wrong_order_are_counted_and_passed_over(texts: list[str]) -> None:
    tokenizer = midi_events.build("remi", 768, texts)
    ids = tokenizer.encode(texts[0])
    assert tokenizer.errors(ids) == 0
    assert tokenizer.errors(ids[::-1]) > 0.3
    assert isinstance(tokenizer.decode(ids[::-1]), str)
    assert tokenizer.decode([]) == ""
    assert tokenizer.token_text(ids[0]) == "Bar_None"


def test_a_small_vocabulary_and_a_damaged_file_are_named(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vocab_size"):
        tokens.build("remi", 256, texts)
    with pytest.raises(UserError, match="alone takes"):
        tokens.build("remi-bytepair", 640, texts)
    tokens.build("tsd", 768, texts).save(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"config": {}}')
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        tokens.load(tmp_path)
