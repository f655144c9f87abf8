"""OpenVINO computes what the library does, one row at a time, with and without the cache."""

from pathlib import Path

import pytest
import torch

from benchmarks import weights
from benchmarks.peers import Absent, library, openvino_runtime

PROMPTS = [[1, 20, 30, 40], [1, 21, 31, 41]]


def test_it_computes_the_same(tmp_path: Path) -> None:
    for name in ("onnx", "openvino"):
        pytest.importorskip(name)
    settings = {"folder": str(weights.choose("gpt2-debug", {}, tmp_path).folder), "threads": 1, "precision": "float32"}
    theirs, reference = openvino_runtime.make(**settings), library.make(**settings, cache="dynamic")
    for prompt in PROMPTS:
        one, two = (torch.tensor(peer.logits([prompt])) for peer in (theirs, reference))
        assert torch.allclose(one, two, atol=1e-4)
        assert theirs.generate([prompt], 6) == reference.generate([prompt], 6)
    with pytest.raises(Absent, match="several rows"):
        theirs.generate(PROMPTS, 6)


def test_other_precisions_are_not_measured() -> None:
    assert openvino_runtime.precision_hint("float32") == "f32"
    with pytest.raises(Absent, match="not in int8"):
        openvino_runtime.precision_hint("int8")
