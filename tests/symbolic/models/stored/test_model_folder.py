"""A model's folder read without PyTorch: the same shapes, names and numbers as the models of PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from symbolic import models
from symbolic.config import GPT2Config, LSTMConfig, Mamba2Config, MambaConfig, ModelConfig
from symbolic.errors import UserError
from symbolic.models.stored import model_folder

SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=24, n_head=2, n_positions=20, vocab_size=30),
    "mamba": MambaConfig(n_layer=2, d_model=20, d_state=5, d_conv=3, dt_rank=3, vocab_size=30),
    "mamba2": Mamba2Config(n_layer=2, d_model=24, d_state=6, head_dim=12, n_groups=2, vocab_size=30),
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", SHAPES)
def test_shapes_are_those_of_the_models(family: str, tied: bool) -> None:
    weights = models.build(SHAPES[family], tied=tied).state_dict()
    wanted = {name: tuple(t.shape) for name, t in weights.items() if not (tied and name == "lm_head.weight")}
    assert model_folder.weight_shapes(SHAPES[family], tied) == wanted


@pytest.mark.parametrize("number_type", ["float32", "bfloat16"])
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", SHAPES)
def test_numbers_are_those_that_pytorch_reads(
    family: str, stored: torch.dtype, number_type: str, tmp_path: Path
) -> None:
    models.save(models.build(SHAPES[family]).to(stored), tmp_path)
    wanted, config = models.load(tmp_path, dtype=getattr(torch, number_type))
    read = model_folder.read_model(tmp_path, number_type)
    assert read.config == config and set(read.tensors) == set(wanted.state_dict())
    for name, tensor in wanted.state_dict().items():
        assert np.array_equal(read.tensors[name], tensor.float().numpy()), name


def test_rounding_is_that_of_pytorch() -> None:
    values = torch.randn(5000, generator=torch.Generator().manual_seed(1))
    values = torch.cat([values, torch.tensor([0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, 3e38, float("inf"), float("nan")])])
    rounded = model_folder.round_to_bfloat16(values.numpy())
    assert np.array_equal(rounded, values.bfloat16().float().numpy(), equal_nan=True)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    models.save(models.build(SHAPES["gpt2"]), tmp_path)
    config = (tmp_path / "config.json").read_text()
    for old, new, said in (
        ('"n_positions": 20', '"n_positions": 21', r"wpe\.weight has shape \(20, 24\)"),
        ('"n_layer": 2', '"n_layer": 1', "does not belong"),
        ('"n_layer": 2', '"n_layer": 3', "missing"),
        ('"n_layer": 2', '"n_layer": 900000000', "900,000,000 layers"),
    ):
        assert old in config
        (tmp_path / "config.json").write_text(config.replace(old, new))
        with pytest.raises(UserError, match=said):
            model_folder.read_model(tmp_path)
    (tmp_path / "config.json").write_text(config)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-8])
    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        model_folder.read_model(tmp_path)


def test_a_family_of_ours_has_its_settings_read_back(tmp_path: Path) -> None:
    shape = LSTMConfig(n_layer=1, d_model=8, vocab_size=30)
    models.save(models.build(shape), tmp_path)
    assert model_folder.read_config(tmp_path)[0] == shape


def test_it_does_without_pytorch() -> None:
    code = "import sys; from symbolic.models.stored import model_folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
