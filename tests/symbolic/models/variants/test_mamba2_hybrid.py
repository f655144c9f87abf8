"""The hybrid, beyond what all families are tested for: where attention is, and that it is Mamba-2 elsewhere."""

from typing import Any

import pytest
import torch

from symbolic import config, models
from symbolic.config import Mamba2Config, Mamba2HybridConfig
from symbolic.models.mamba_backbone import Block
from symbolic.models.variants.mamba2_hybrid import AttentionBlock

SHAPE: dict[str, Any] = {"d_model": 32, "d_state": 16, "head_dim": 16, "chunk_size": 8, "vocab_size": 50}


@pytest.mark.parametrize(("n_layer", "every", "places"), [(6, 6, [3]), (12, 6, [3, 9]), (7, 6, [3]), (5, 2, [1, 3])])
def test_the_middle_layer_of_so_many_is_attention(n_layer: int, every: int, places: list[int]) -> None:
    shape = Mamba2HybridConfig(n_layer=n_layer, attention_every=every, n_head=4, **SHAPE)
    blocks = models.build(shape).blocks
    assert [i for i, block in enumerate(blocks) if isinstance(block, AttentionBlock)] == places
    assert all(isinstance(block, Block) for i, block in enumerate(blocks) if i not in places)


def test_with_silent_attention_it_is_the_mamba2_of_its_other_layers() -> None:
    torch.manual_seed(0)
    hybrid: Any = models.build(Mamba2HybridConfig(n_layer=3, attention_every=2, n_head=4, **SHAPE)).eval()
    plain: Any = models.build(Mamba2Config(n_layer=2, **SHAPE)).eval()
    torch.nn.init.zeros_(hybrid.blocks[1].out_proj.weight)
    weights = {
        name.replace("layers.2.", "layers.1."): t for name, t in hybrid.state_dict().items() if ".1." not in name
    }
    plain.load_state_dict(weights)
    tokens = torch.randint(0, 50, (2, 37), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(hybrid(tokens), plain(tokens))


def test_attention_reaches_back_further_than_the_window() -> None:
    """The first token changes the last scores through the attention layer, whatever the recurrences forget."""
    torch.manual_seed(0)
    model: Any = models.build(Mamba2HybridConfig(n_layer=3, attention_every=2, n_head=4, **SHAPE)).eval()
    with torch.no_grad():
        for block in (model.blocks[0], model.blocks[2]):
            block.mixer.A_log.fill_(8.0)  # decays of exp(-2981 delta): nothing is kept
        model.blocks[1].qkv_proj.weight.mul_(20)
        model.blocks[1].out_proj.weight.mul_(20)
    tokens = torch.randint(0, 50, (1, 30), generator=torch.Generator().manual_seed(1))
    other = tokens.clone()
    other[0, 0] = (other[0, 0] + 1) % 50
    assert float((model(tokens)[0, -1] - model(other)[0, -1]).abs().max().detach()) > 1e-4


def test_shapes_that_do_not_fit_are_refused() -> None:
    whole = config.load(config.bundled_folder() / "mamba2-hybrid-1m.yaml")
    assert list(config.problems(whole)) == []
    text = config.dump(whole)
    for key, value, says in (
        ("model.n_head", "5", "does not divide model.d_model"),
        ("model.attention_every", "40", "leaves none of model.n_layer 6 to attention"),
    ):
        with pytest.raises(config.UsageError, match=says):
            config.parse(text, [(key, value)])
