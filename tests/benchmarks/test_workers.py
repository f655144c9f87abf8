"""Workers take turns in processes of their own; the engines under comparison agree; the GGUF file is as specified."""

import os
import struct
from pathlib import Path

import pytest
import torch

from benchmarks import gguf, weights
from benchmarks.peers import Absent
from benchmarks.workers import Worker
from symbolic import models
from symbolic.config import GPT2Config

PROMPTS = [[1, 20, 30, 40], [1, 21, 31, 41]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights.choose("gpt2-debug", {}, tmp_path_factory.mktemp("weights")).folder


def test_a_module_that_is_not_installed_is_absent_with_its_name() -> None:
    with Worker("benchmarks.peers.nobody", {}) as worker, pytest.raises(Absent, match="nobody is not installed"):
        worker.begin()


def test_a_worker_that_breaks_gives_its_last_words() -> None:
    with Worker("benchmarks.workers", {}) as worker, pytest.raises(Absent, match=r"ended with status 1: .*make"):
        worker.begin()


@pytest.mark.slow
def test_engines_agree_and_workers_rest_between_turns(folder: Path) -> None:
    settings = {"folder": str(folder), "threads": 1, "precision": "float32"}
    ours = Worker("benchmarks.peers.ours", {**settings, "step": "torch"}, {"OMP_NUM_THREADS": "1"})
    library = Worker("benchmarks.peers.library", {**settings, "cache": "dynamic"}, {"OMP_NUM_THREADS": "1"})
    with ours, library:
        ours.begin()
        library.begin()
        assert state(ours) == state(library) == "T"  # stopped
        one, two = (worker.ask("logits", prompts=PROMPTS)["value"] for worker in (ours, library))
        assert torch.allclose(torch.tensor(one), torch.tensor(two), atol=1e-4)
        answer = ours.ask("generate", prompts=PROMPTS, n=5)
        assert [len(row) for row in answer["value"]] == [5, 5]
        assert min(answer["seconds"], answer["core_seconds"]) > 0 and answer["peak_mib"] > 1 and state(ours) == "T"


def state(worker: Worker) -> str:
    """The process's state letter; it stops a moment after it is told to."""
    for _ in range(1000):
        text = Path(f"/proc/{worker.process.pid}/stat").read_text()
        letter = text.rpartition(")")[2].split()[0]
        if letter == "T":
            break
        os.sched_yield()
    return letter


def test_gguf_holds_every_weight_where_it_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=16, vocab_size=64)
    model = models.build(shape)
    gguf.write(model, tmp_path / "model.gguf", torch.float32)
    data = (tmp_path / "model.gguf").read_bytes()
    magic, version, n_tensors, n_keys = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"GGUF", 3) and n_tensors == 2 + 2 + 4 * 2 + 2 * 2 + 1
    assert n_keys == 2 + 7 and len(data) % gguf.ALIGNMENT == 0
    transposed = model.state_dict()["transformer.h.0.attn.c_attn.weight"].t().contiguous()
    assert transposed.numpy().tobytes() in data


def test_gguf_q8_0_blocks() -> None:
    """A block is a float16 scale and 32 int8; scale x integer is the number to half a step."""
    numbers = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    blocks = gguf.quantised(numbers)
    assert blocks.shape == (3, 64) and len(blocks.data) == 6 * (2 + 32)
    for i in range(6):
        scale, *whole = struct.unpack_from("<e32b", blocks.data, i * 34)
        back = scale * torch.tensor(whole)
        assert (back - numbers.view(6, 32)[i]).abs().max() < 0.6 * scale and max(map(abs, whole)) == 127
    data = gguf.encode({}, [("a", blocks)])
    assert struct.pack("<IQQIQ", 2, 64, 3, gguf.TENSOR_Q8_0, 0) in data


def test_gguf_keeps_small_tensors_in_float32() -> None:
    tensors = [("a", torch.ones(3)), ("b", torch.ones(2, 2, dtype=torch.bfloat16))]
    data = gguf.encode({"general.architecture": "gpt2", "x": 1.5}, tensors)
    assert struct.pack("<IQIQ", 1, 3, gguf.TENSOR_FLOAT32, 0) in data
    assert struct.pack("<IQQIQ", 2, 2, 2, gguf.TENSOR_BFLOAT16, 32) in data
    assert data.endswith(struct.pack("<3f", 1, 1, 1) + bytes(20) + bytes([0x80, 0x3F] * 4) + bytes(24))
