"""The law of all tokenizers, decode(encode(x)) == x, and the files that other programs load."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbolic import tokens
from symbolic.errors import UsageError, UserError
from symbolic.tokens.tokenizer import SPECIALS, Tokenizer, byte_characters, byte_vocabulary

LOOK_ALIKES = [
    "<eos>",
    "<bos>C8|]\n<eos>",
    "<pad><pad>",
    " <eos> ",
    "T:<eos>\n",
    '"<bos>"',
    "!<pad>!",
    "<<eos>>",
    "[K:<eos>]",
]
ABC_SOUP = st.text(alphabet="ABCabcz^_=,'/0123456789|:[](){}<>-\"!.~KMLVTw \n\r\t%é🎵")


KINDS = ("characters", "grammar", "bytepair")  # those whose engine reads the text as it stands; see test_counted.py


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return request.getfixturevalue("learnt_pairs") if request.param == "bytepair" else tokens.build(request.param, 768)


def test_round_trip_of_real_text(tokenizer: Tokenizer, raw_pieces: list[str]) -> None:
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_many(raw_pieces)] == raw_pieces


def test_round_trip_of_canonical_tunes(tokenizer: Tokenizer, canonical: list[str]) -> None:
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_many(canonical)] == canonical


def test_round_trip_of_hard_tunes(tokenizer: Tokenizer, hard_tune: str) -> None:
    ids = tokenizer.encode(hard_tune)
    assert tokenizer.decode(ids) == hard_tune
    assert max(ids) < tokenizer.n_tokens <= tokenizer.vocab_size == 768


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(), ABC_SOUP))
def test_round_trip_of_any_unicode(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode("utf-8")
    assert not {tokens.PAD, tokens.BOS, tokens.EOS} & set(ids)


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_text_that_looks_special_is_text(tokenizer: Tokenizer, text: str) -> None:
    assert min(tokenizer.encode(text)) > tokens.EOS
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_look_alikes_in_the_training_tunes_teach_no_special_token() -> None:
    learnt = tokens.build("bytepair", 300, LOOK_ALIKES * 50)
    assert all(min(learnt.encode(text)) > tokens.EOS for text in LOOK_ALIKES)


def test_encode_many_equals_encode(tokenizer: Tokenizer, hard_tunes: list[str]) -> None:
    assert tokenizer.encode_many(hard_tunes) == [tokenizer.encode(tune) for tune in hard_tunes]
    assert tokenizer.encode_many([]) == []
    assert tokenizer.encode("") == []


def test_decode_skips_special_and_unused_ids(tokenizer: Tokenizer) -> None:
    note = tokenizer.encode("C")
    assert tokenizer.decode([tokens.BOS, *note, tokens.PAD, *note, tokens.EOS]) == "CC"
    assert [tokenizer.token_text(id) for id in range(tokenizer.n_tokens, 768)] == [""] * (768 - tokenizer.n_tokens)
    with pytest.raises(IndexError, match="768"):
        tokenizer.decode([768])


def test_decode_equals_the_library_s(tokenizer: Tokenizer, hard_tune: str) -> None:
    ids = tokenizer.encode(hard_tune)
    assert tokenizer.decode(ids) == tokenizer.engine.decode(ids)
    assert tokenizer.decode(ids[1::2]) == tokenizer.engine.decode(ids[1::2])  # broken characters too


def test_token_text_of_part_of_a_character(tokenizer: Tokenizer) -> None:
    first, second = tokenizer.encode("é")
    assert (tokenizer.token_bytes(first), tokenizer.token_bytes(second)) == (b"\xc3", b"\xa9")
    assert tokenizer.token_text(first) == "\ufffd"
    assert tokenizer.decode([first, second]) == "é"


def test_every_vocabulary_begins_alike(tokenizer: Tokenizer) -> None:
    assert {tokenizer.engine.id_to_token(id): id for id in range(259)} == byte_vocabulary()
    assert (tokens.PAD, tokens.BOS, tokens.EOS) == (0, 1, 2) == (tokenizer.pad, tokenizer.bos, tokenizer.eos)
    assert sorted(tokenizer.token_bytes(id) for id in range(3, 259)) == [bytes([byte]) for byte in range(256)]


def test_tokens_have_distinct_bytes(tokenizer: Tokenizer) -> None:
    pieces = [tokenizer.token_bytes(id) for id in range(3, tokenizer.n_tokens)]
    assert len(set(pieces)) == len(pieces)
    assert b"" not in pieces


def test_byte_characters_are_the_library_s() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(byte_characters()) == sorted(ByteLevel.alphabet())


def test_save_and_load(tokenizer: Tokenizer, hard_tunes: list[str], tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    loaded = tokens.load(tmp_path)
    assert loaded.encode_many(hard_tunes + LOOK_ALIKES) == tokenizer.encode_many(hard_tunes + LOOK_ALIKES)
    assert (loaded.kind, loaded.vocab_size, loaded.n_tokens) == (tokenizer.kind, 768, tokenizer.n_tokens)
    assert loaded.digest == tokenizer.digest


def test_digest_tells_vocabularies_apart(canonical: list[str]) -> None:
    digests = [tokens.build(kind, 768, canonical[:500]).digest for kind in KINDS]
    digests += [
        tokens.build("bytepair", 768, canonical[500:1000]).digest,
        tokens.build("bytepair", 512, canonical[:500]).digest,
    ]
    assert len(set(digests)) == len(digests) == 5
    assert all(len(digest) == 64 for digest in digests)
    assert digests[2] == tokens.build("bytepair", 768, canonical[:500]).digest


@pytest.mark.parametrize("model_type", [None, "gpt2", "mamba", "mamba2"])
def test_transformers_loads_the_same_vocabulary(
    tokenizer: Tokenizer, model_type: str | None, hard_tunes: list[str], canonical: list[str], tmp_path: Path
) -> None:
    """Beside a model's config.json, too, where AutoTokenizer could prefer that family's own tokenizer."""
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path)
    if model_type:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, "vocab_size": 768}))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    texts = hard_tunes + LOOK_ALIKES + canonical[:100]
    assert loaded(texts)["input_ids"] == [[tokens.BOS, *ids] for ids in tokenizer.encode_many(texts)]
    assert [loaded.decode(ids) for ids in tokenizer.encode_many(texts)] == texts
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)
    loaded.save_pretrained(tmp_path / "again")
    assert tokens.load(tmp_path / "again").encode_many(texts) == tokenizer.encode_many(texts)
    assert tokens.load(tmp_path / "again").digest == tokenizer.digest


def test_pretrained_tokenizer_fast_loads_the_same_vocabulary(
    tokenizer: Tokenizer, hard_tunes: list[str], tmp_path: Path
) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer.save(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    found = loaded(hard_tunes + LOOK_ALIKES)["input_ids"]
    assert found == [[tokens.BOS, *ids] for ids in tokenizer.encode_many(hard_tunes + LOOK_ALIKES)]


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match=r"characters, grammar, counted, .*, bytepair"):
        tokens.build("words")


@pytest.mark.parametrize(("kind", "least"), [("characters", 259), ("bytepair", 259), ("grammar", 500)])
def test_vocabulary_too_small(kind: str, least: int) -> None:
    with pytest.raises(UserError, match=r"vocab_size is 100") as error:
        tokens.build(kind, 100, ["CDE"])
    assert int(str(error.value).split(" ids")[0].split()[-1]) >= least


def test_load_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json is missing"):
        tokens.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "mod')
    (tmp_path / "tokenizer_config.json").write_text('{"kind": "grammar"}')
    with pytest.raises(UserError, match="padded_vocab_size"):
        tokens.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"kind": "grammar", "padded_vocab_size": 768}')
    with pytest.raises(UserError, match="damaged"):
        tokens.load(tmp_path)


def test_load_refuses_a_foreign_vocabulary(tmp_path: Path) -> None:
    tokens.build("characters").save(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text().replace(SPECIALS[2], "<end>")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="differently"):
        tokens.load(tmp_path)
