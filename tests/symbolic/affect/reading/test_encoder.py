"""A sentence encoder of any name, here a tiny one with random weights."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect.reading.encoder import SentenceEncoder
from symbolic.errors import UserError


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "war", "is", "over"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    BertModel(
        BertConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ).save_pretrained(tmp_path)
    return str(tmp_path)


def test_padding_does_not_change_a_sentence(tiny: str) -> None:
    encoder = SentenceEncoder(tiny, "cpu")
    alone = encoder.embed(["the war"])
    together = encoder.embed(["the war is over the war is over", "the war"])
    assert together.shape == (2, 16)
    assert together[1] == pytest.approx(alone[0], abs=1e-5)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1])


def test_an_unknown_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        SentenceEncoder(str(tmp_path / "none"), "cpu")
