"""The models equal the library's classes in parameters, logits, gradients and files, in both directions."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic import models
from symbolic.config import GPT2Config, Mamba2Config, ModelConfig
from symbolic.models import ssd
from symbolic.models.stored.model_folder import CLASSES, library_config

os.environ.setdefault("HF_HUB_OFFLINE", "1")
Make = Callable[..., Any]


@pytest.fixture
def config(config: ModelConfig) -> ModelConfig:
    """Each shape that the library has a class for."""
    if config.family not in CLASSES:
        pytest.skip("the library has no class of it")
    return config


def library_model(model: Any) -> nn.Module:
    """The library's class with our weights copied into it."""
    import transformers

    settings = library_config(model.config, tied=model.tied)
    kind = CLASSES[model.config.family]
    shape = transformers.AutoConfig.for_model(**{k: v for k, v in settings.items() if k not in ("architectures",)})
    theirs = getattr(transformers, kind)(shape).eval()
    assert set(theirs.state_dict()) == set(model.state_dict())
    theirs.load_state_dict(model.state_dict())
    return theirs


def loss_and_gradients(model: nn.Module, tokens: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """The gradients of the next-token loss by parameter name."""
    model.zero_grad()
    F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def check_same(model: Any, theirs: Any, tokens: Tensor, rtol: float, atol: float) -> None:
    ours, expected = model(tokens), theirs(tokens).logits
    torch.testing.assert_close(ours, expected.to(ours.dtype), rtol=rtol, atol=atol)
    left, right = loss_and_gradients(model, tokens, ours), loss_and_gradients(theirs, tokens, expected)
    assert set(left) == set(right) and len(left) == len(dict(model.named_parameters()))
    for name in left:
        scale = right[name].abs().max().item()
        assert scale > 0, name
        torch.testing.assert_close(left[name], right[name], rtol=rtol, atol=atol * scale, msg=lambda m, n=name: n + m)


def test_same_parameters(config: ModelConfig) -> None:
    model = models.build(config)
    shapes = {name: t.shape for name, t in library_model(model).state_dict().items()}
    assert {name: t.shape for name, t in model.state_dict().items()} == shapes


def test_logits_and_gradients(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    model = make(config)
    check_same(model, library_model(model), tokens, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("attention", ["explicit", "sdpa"])
def test_gpt2_in_float64(attention: str, make: Make) -> None:
    config = GPT2Config(n_layer=2, n_embd=32, n_head=4, n_positions=64, vocab_size=50)
    model = make(config, attention=attention).double()
    tokens = torch.randint(0, 50, (2, 33), generator=torch.Generator().manual_seed(1))
    check_same(model, library_model(model).double(), tokens, rtol=1e-9, atol=1e-11)


def test_the_library_loads_ours(config: ModelConfig, make: Make, tokens: Tensor, tmp_path: Path) -> None:
    import transformers

    model = make(config)
    models.save(model, tmp_path)
    theirs, report = getattr(transformers, CLASSES[config.family]).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(transformers.AutoModelForCausalLM.from_pretrained(tmp_path)) is type(theirs)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs.eval()(tokens).logits, rtol=1e-4, atol=2e-5)
    special = theirs.config
    assert (special.pad_token_id, special.bos_token_id, special.eos_token_id) == (0, 1, 2)


@pytest.mark.parametrize("tied", [True, False])
def test_ours_load_the_librarys(config: ModelConfig, make: Make, tokens: Tensor, tied: bool, tmp_path: Path) -> None:
    theirs = library_model(make(config, tied=tied))
    theirs.save_pretrained(tmp_path)
    model, loaded = models.load(tmp_path)
    assert loaded == config and model.tied == tied
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=2e-5)


def test_gpt2_starts_as_the_library_does() -> None:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=8, n_embd=128, n_head=4)
    model, theirs = models.build(config), library_model(models.build(config))
    theirs.init_weights()
    fresh = type(theirs)(theirs.config)
    for (name, ours), other in zip(model.named_parameters(), fresh.parameters()):
        torch.testing.assert_close(ours.std(), other.std(), rtol=0.1, atol=1e-6, msg=name)


@pytest.mark.parametrize("form", ["native", "chunked"])
def test_mamba2_forms_have_the_librarys_gradients(form: str, make: Make) -> None:
    """At the published head and state sizes, over a chunk of 64 and a part of one."""
    if form == "native" and ssd.problem():
        pytest.skip(str(ssd.problem()))
    model = make(Mamba2Config(n_layer=1, d_model=64, d_state=64, head_dim=32, vocab_size=50), scan=form)
    tokens = torch.randint(0, 50, (2, 150), generator=torch.Generator().manual_seed(1))
    check_same(model, library_model(model), tokens, rtol=1e-4, atol=2e-5)
