"""Every kind of the configuration can be built, and comes back from its folder."""

import typing
from pathlib import Path

import pytest

from symbolic.config import MIDI_KINDS, TokenizerConfig
from symbolic.errors import UsageError
from symbolic.tokens import kinds

TEXTS = ("M:4/4\nL:1/8\nK:G\nG2B2 d2g2|e4 d4|]\n", "M:6/8\nL:1/8\nK:D\nd2f a2f|d6|]\n")


def test_the_configuration_names_the_kinds_that_there_are() -> None:
    named = typing.get_args(typing.get_type_hints(TokenizerConfig)["kind"])
    assert set(named) == {*kinds.KINDS, *MIDI_KINDS} and len(named) == len(kinds.KINDS) + len(MIDI_KINDS)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_kind_comes_back_from_its_folder(kind: str, tmp_path: Path) -> None:
    tokenizer = kinds.build(kind, 1024, TEXTS, ["S:2\n"])
    assert tokenizer.kind == kind and tokenizer.vocab_size == 1024
    tokenizer.save(tmp_path)
    again = kinds.load(tmp_path)
    assert type(again) is type(tokenizer) and again.digest == tokenizer.digest
    assert [again.decode(again.encode(text)) for text in TEXTS] == list(TEXTS)


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="grammar"):
        kinds.build("words")
