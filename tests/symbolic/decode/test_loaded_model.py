"""Models loaded for decoding: the native step needs no PyTorch, and its tunes are those of the weights in PyTorch."""

import subprocess
import sys
from pathlib import Path

import pytest

from symbolic import models, tokens
from symbolic.config import GPT2Config
from symbolic.decode.engine import engine, native_step
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.loaded_model import load_source, trained_shape
from symbolic.errors import UsageError, UserError

compiler = pytest.mark.skipif(native_step.problem() is not None, reason="no C compiler")
SETTINGS = {"max_new_tokens": 40, "n_tokens": 1000, "eos": 2, "seed": 3}


@compiler
@pytest.mark.parametrize("options", [[], ["--constrain", "--bars", "4"], ["--dtype", "int8", "--metre", "3/4"]])
def test_tunes_are_written_without_pytorch(options: list[str], tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        "try: runpy.run_module('symbolic', run_name='__main__', alter_sys=True)\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    command = ["generate", "gpt2-6m", "-n", "1", "-o", str(tmp_path / "x.abc"), "--device", "cpu", *options]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.split()[-1]) == (0, "False"), done.stderr
    assert "K:" in (tmp_path / "x.abc").read_text()


@compiler
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", ["gpt2-6m", "mamba2-6m"])
def test_tunes_are_those_of_the_model_in_pytorch(name: str, dtype: str) -> None:
    source = load_source(name, "cpu", dtype, 1, step="native")
    assert isinstance(source.model, NativeModel)
    import torch

    of_torch, _ = models.load(source.folder, dtype=torch.bfloat16 if dtype == "bfloat16" else torch.float32)
    of_torch.config = source.model.config
    wanted = engine.generate(NativeModel(of_torch, weights=dtype, threads=1), [[1]] * 4, **SETTINGS)
    assert engine.generate(source.model, [[1]] * 4, **SETTINGS) == wanted


def test_pytorch_is_taken_where_it_is_asked_for() -> None:
    assert load_source("gpt2-6m", "cpu", step="torch").step == "torch float32"
    with pytest.raises(UsageError, match="auto, native, graph, torch"):
        load_source("gpt2-6m", "cpu", step="fast")
    with pytest.raises(UserError, match="records CUDA graphs"):
        load_source("gpt2-6m", "cpu", step="graph")


def test_a_tokenizer_of_another_run_is_refused(tmp_path: Path) -> None:
    models.save(models.build(GPT2Config(n_layer=1, n_embd=8, n_head=1, n_positions=8, vocab_size=64)), tmp_path)
    tokens.load(load_source("gpt2-6m", "cpu").folder).save(tmp_path)
    with pytest.raises(UserError, match=r"ids and the model 64.*not of one run"):
        load_source(str(tmp_path), "cpu", step="auto")


def test_positions_end_where_training_did() -> None:
    shape = GPT2Config(n_layer=1, n_embd=8, n_head=1, n_positions=768, vocab_size=64)
    assert trained_shape(shape, 512).n_positions == 512
    assert trained_shape(shape, None) is shape and trained_shape(shape, 1024) is shape
