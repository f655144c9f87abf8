"""A run begins with the weights of another model: rows of its embedding follow the tokens, not their numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import config, models, tokens
from symbolic.config import GPT2Config, Mamba2Config, ModelConfig
from symbolic.errors import UserError
from symbolic.tokens import Tokenizer, counted
from symbolic.training import warm_start

SHAPES: list[ModelConfig] = [
    GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64),
    Mamba2Config(n_layer=2, d_model=32, d_state=16, head_dim=16, chunk_size=16),
]


def saved(shape: ModelConfig, tokenizer: Tokenizer, folder: Path) -> Any:
    torch.manual_seed(1)
    model = models.build(shape)
    models.save(model, folder)
    tokenizer.save(folder)
    return model


def changed(shape: ModelConfig, **changes: int) -> ModelConfig:
    return type(shape)(**{**vars(shape), **changes})


@pytest.mark.parametrize("shape", SHAPES, ids=["gpt2", "mamba2"])
def test_one_vocabulary_gives_equal_scores(shape: ModelConfig, tmp_path: Path) -> None:
    tokenizer = tokens.build("grammar")
    before = saved(shape, tokenizer, tmp_path)
    torch.manual_seed(2)
    after = models.build(shape)
    ids = torch.tensor([[1, *tokenizer.encode("M:6/8\nL:1/8\nK:G\nGAB c2d|\n")]])
    assert not torch.equal(after(ids), before(ids))
    warm_start.fill(after, tokenizer, warm_start.read(str(tmp_path)))
    assert torch.equal(after(ids), before(ids))


@pytest.mark.parametrize("shape", SHAPES, ids=["gpt2", "mamba2"])
def test_rows_follow_the_tokens(shape: ModelConfig, tmp_path: Path) -> None:
    plain = tokens.build("grammar")
    before = saved(shape, plain, tmp_path)
    ours = tokens.build(counted.KIND, counted.VOCAB_SIZE)
    assert isinstance(ours, counted.CountedTokenizer)
    torch.manual_seed(2)
    after = models.build(changed(shape, vocab_size=counted.VOCAB_SIZE))
    fresh = after.lm_head.weight.detach().clone()
    warm_start.fill(after, ours, warm_start.read(str(tmp_path)))

    def id(text: str) -> int:
        return ours.encode_counted(text)[0]

    theirs, rows = before.lm_head.weight, after.lm_head.weight
    for text in ("G", "K:G\n", "2", ":|"):
        assert torch.equal(rows[id(text)], theirs[plain.encode(text)[0]]), text
    assert torch.equal(rows[:3], theirs[:3])
    assert torch.equal(rows[id("2@4;")], theirs[plain.encode("2")[0]] + fresh[id("2@4;")])
    assert torch.equal(rows[id("|@B7;")], theirs[plain.encode("|")[0]] + fresh[id("|@B7;")])
    assert torch.equal(rows[id("@4;")], fresh[id("@4;")])


def test_more_positions_begin_as_new(tmp_path: Path) -> None:
    tokenizer = tokens.build("grammar")
    before = saved(SHAPES[0], tokenizer, tmp_path)
    after = models.build(changed(SHAPES[0], n_positions=80))
    fresh = after.state_dict()["transformer.wpe.weight"].clone()
    warm_start.fill(after, tokenizer, warm_start.read(str(tmp_path)))
    positions = after.state_dict()["transformer.wpe.weight"]
    assert torch.equal(positions[:64], before.state_dict()["transformer.wpe.weight"])
    assert torch.equal(positions[64:], fresh[64:])


def test_another_body_is_refused_by_its_keys(tmp_path: Path) -> None:
    tokenizer = tokens.build("grammar")
    saved(SHAPES[0], tokenizer, tmp_path)
    model = models.build(changed(SHAPES[0], n_layer=3))
    with pytest.raises(UserError, match=r"model.n_layer is 3 here and 2 there.*Take its shape"):
        warm_start.fill(model, tokenizer, warm_start.read(str(tmp_path)))


@pytest.mark.slow
def test_the_ready_made_models_fit_the_configurations_that_count() -> None:
    for family in ("gpt2", "mamba2"):
        settings = config.load(Path(__file__).parents[3] / "configs" / f"{family}-6m-counted.yaml")
        model = models.build(settings.model)
        tokenizer = tokens.build(settings.tokenizer.kind, settings.tokenizer.vocab_size)
        warm_start.fill(model, tokenizer, warm_start.read(f"{family}-6m"))
