"""Likelihood by unit and part, against a model whose probabilities are known."""

import math

import pytest
import torch
from torch import Tensor, nn

from symbolic import tokens
from symbolic.evaluate.metrics import likelihood_by_role
from symbolic.evaluate.metrics.likelihood_by_role import measures, predict
from symbolic.evaluate.report import tables

TEXTS = ["M:4/4\nL:1/8\nK:C\nCDEF CDEF|G8|\n", "M:6/8\nL:1/8\nK:G\n{c}B3 [Bd]3|é\n"]


class Even(nn.Module):
    """Every token of `size` is equally likely, whatever stands before."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.zeros(size))

    def forward(self, ids: Tensor) -> Tensor:
        return self.size.expand(*ids.shape, -1)


@pytest.mark.parametrize("kind", ["characters", "grammar"])
def test_every_token_costs_the_same(kind: str) -> None:
    tokenizer = tokens.build(kind)
    bits = math.log2(tokenizer.vocab_size)
    found = predict(Even(tokenizer.vocab_size), tokenizer, TEXTS, context=16)
    for text, one in zip(TEXTS, found, strict=True):
        n_tokens = len(tokenizer.encode(text))
        assert one.bits == pytest.approx(bits * (n_tokens + 1), rel=1e-6)  # the end of the tune counts in the whole
        assert one.n_bytes == len(text.encode())
        for sums in one.parts.values():
            assert sum(n_bytes for _, n_bytes, _ in sums.values()) == one.n_bytes
            assert sum(n for _, _, n in sums.values()) == n_tokens
            assert sum(b for b, _, _ in sums.values()) == pytest.approx(bits * n_tokens, rel=1e-6)
    assert [(one.n_notes, one.n_bars) for one in found] == [(9, 2), (4, 1)]  # graces and chord notes are written too


def test_a_set_sums_before_dividing() -> None:
    tokenizer = tokens.build("characters")
    result = measures(predict(Even(tokenizer.vocab_size), tokenizer, TEXTS, context=64))
    bits = math.log2(tokenizer.vocab_size)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    whole = result["bits_per_byte"]
    assert (
        whole["value"] == pytest.approx(bits * (n_bytes + 2) / n_bytes)
        and whole["low"] <= whole["value"] <= whole["high"]
    )
    assert result["bits_per_note"]["value"] == pytest.approx(bits * (n_bytes + 2) / 13)
    assert result["bits_per_bar"]["value"] == pytest.approx(bits * (n_bytes + 2) / 3)
    for kind in ("role", "occurrence"):
        parts = result[kind]
        assert sum(part["share"] for part in parts.values()) == pytest.approx(1)
        assert all(part["value"] == pytest.approx(bits) for part in parts.values())
    assert set(result["occurrence"]) == {"header", "first", "repeated"} and "bar line" in result["role"]
    shown = tables.console(likelihood_by_role.table({"one": result, "other": result}))
    assert "bits per byte" in shown and "tuplet" not in shown and "Tunes scored: one 2, other 2." in shown


def test_repeated_material_is_a_part() -> None:
    tokenizer = tokens.build("grammar")
    result = measures(predict(Even(tokenizer.vocab_size), tokenizer, TEXTS[:1], context=64, notes=2))
    assert result["occurrence"]["repeated"]["n_bytes"] == len("EF|G8|\n") - len("G8|\n") + len("G")
