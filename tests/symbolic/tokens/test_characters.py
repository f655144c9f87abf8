"""One id a byte: any text comes back, and a tune has as many ids as characters."""

import pytest

from symbolic.tokens import characters


@pytest.mark.parametrize("text", ["X:1\nK:G\nG2B2|", "", "é – 音", "\x00\t\r\n", "<bos><eos><pad>"])
def test_one_id_for_each_byte(text: str) -> None:
    tokenizer = characters.build(300)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text.encode()) and tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert all(3 <= id < 259 for id in ids)


def test_the_vocabulary_is_padded() -> None:
    assert (characters.build(300).vocab_size, characters.build(300).n_tokens) == (300, 259)
