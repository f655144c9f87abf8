"""ONNX Runtime's graph of our weights computes what the library does, with and without the cache."""

from pathlib import Path

import pytest
import torch

from benchmarks import weights
from benchmarks.peers import Absent, library, onnx_runtime

PROMPTS = [[1, 20, 30, 40], [1, 21, 31, 41]]


def test_it_computes_the_same(tmp_path: Path) -> None:
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name)
    settings = {"folder": str(weights.choose("gpt2-debug", {}, tmp_path).folder), "threads": 1}
    theirs = onnx_runtime.make(**settings, precision="float32")
    reference = library.make(**settings, precision="float32", cache="dynamic")
    one, two = (torch.tensor(peer.logits(PROMPTS)) for peer in (theirs, reference))
    assert torch.allclose(one, two, atol=1e-4)
    assert theirs.generate(PROMPTS, 6) == reference.generate(PROMPTS, 6)
    small = torch.tensor(onnx_runtime.make(**settings, precision="int8").logits(PROMPTS))
    assert 0 < (small - two).abs().max() < 0.5
    with pytest.raises(Absent, match="no operator for mamba"):
        onnx_runtime.make(
            folder=str(weights.choose("mamba-debug", {}, tmp_path / "m").folder), threads=1, precision="int8"
        )
