"""A folder that cannot be loaded is refused with its file, the tensor or key, and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from symbolic import models
from symbolic.config import GPT2Config, LSTMConfig, Mamba2Config, MambaConfig, ModelConfig
from symbolic.errors import UserError
from symbolic.models.stored.model_folder import OURS

CONFIG = MambaConfig(n_layer=1, d_model=16, vocab_size=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good folder, to be spoilt."""
    models.save(models.build(CONFIG), tmp_path / "model")
    return tmp_path / "model"


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_tensors(folder: Path, drop: str = "", **changes: torch.Tensor) -> None:
    tensors = {**load_file(folder / "model.safetensors"), **changes}
    tensors.pop(drop, None)
    save_file(tensors, folder / "model.safetensors")


def test_what_is_written(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    settings = json.loads((folder / "config.json").read_text())
    assert settings["architectures"] == ["MambaForCausalLM"] and settings["model_type"] == "mamba"
    assert settings["tie_word_embeddings"] is True
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        assert weights.metadata() == {"format": "pt"}
        assert "lm_head.weight" not in weights.keys()  # noqa: SIM118


def test_metadata_travels(tmp_path: Path) -> None:
    models.save(models.build(CONFIG), tmp_path, {"tokenizer": "abc", "step": "12"})
    with safe_open(tmp_path / "model.safetensors", framework="pt") as weights:
        assert weights.metadata() == {"format": "pt", "tokenizer": "abc", "step": "12"}


def test_truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors is truncated.*Copy the whole folder again"):
        models.load(folder)


def test_absent_files(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        models.load(folder)
    with pytest.raises(UserError, match=r"cannot read .*nowhere/config\.json"):
        models.load(tmp_path / "nowhere")


def test_missing_tensor(folder: Path) -> None:
    change_tensors(folder, drop="backbone.layers.0.mixer.D")
    with pytest.raises(UserError, match=r"the tensor backbone\.layers\.0\.mixer\.D is missing"):
        models.load(folder)


def test_extra_tensor(folder: Path) -> None:
    change_tensors(folder, **{"backbone.layers.1.norm.weight": torch.ones(16)})
    with pytest.raises(UserError, match=r"backbone\.layers\.1\.norm\.weight does not belong"):
        models.load(folder)


def test_misshapen_tensor(folder: Path) -> None:
    change_config(folder, vocab_size=21)
    with pytest.raises(UserError, match=r"embeddings\.weight has shape \(20, 16\).*describes \(21, 16\)"):
        models.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama', not one of gpt2, mamba, mamba2"),
        ({"use_bias": True}, "use_bias is True; this project's mamba has False only"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
    ],
)
def test_settings_that_these_models_lack(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_config(folder, **changes)
    with pytest.raises(UserError, match=f"config.json: {message}"):
        models.load(folder)


def test_missing_key(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    del settings["hidden_size"]
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="the key 'hidden_size' is missing"):
        models.load(folder)


def test_a_limit_on_step_sizes_is_refused(tmp_path: Path) -> None:
    models.save(models.build(Mamba2Config(n_layer=1, d_model=16, head_dim=8, vocab_size=20)), tmp_path)
    change_config(tmp_path, time_step_limit=[0.0, 0.5])
    with pytest.raises(UserError, match="time_step_limit"):
        models.load(tmp_path)


def test_old_names_and_shards(tmp_path: Path) -> None:
    """GPT-2 as first released: no prefix, masks stored; and weights split over files by an index."""
    config = GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=8, vocab_size=20)
    model = models.build(config)
    models.save(model, tmp_path)
    tensors = {k.removeprefix("transformer."): v for k, v in load_file(tmp_path / "model.safetensors").items()}
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 8, 8)
    (tmp_path / "model.safetensors").unlink()
    names = sorted(tensors)
    where = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(names)}
    for part in set(where.values()):
        save_file({n: tensors[n] for n in names if where[n] == part}, tmp_path / part)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    again, _ = models.load(tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_round_trip_is_exact(config: ModelConfig, make: Any, tmp_path: Path) -> None:
    model = make(config)
    models.save(model, tmp_path, {"step": "7"})
    again, loaded = models.load(tmp_path)
    assert loaded == config
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_families_of_ours_are_told_from_the_librarys(config: ModelConfig, make: Any, tmp_path: Path) -> None:
    import transformers

    if config.family not in OURS:
        pytest.skip("the library has a class of it")
    models.save(make(config), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["model_type"] == config.family and settings["architectures"] == [OURS[config.family]]
    with pytest.raises(ValueError, match=config.family):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path)


def test_an_lstm_folder_is_ours_alone(tmp_path: Path) -> None:
    import transformers

    models.save(models.build(LSTMConfig(n_layer=1, d_model=16, vocab_size=20)), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert (settings["model_type"], settings["architectures"]) == ("lstm", ["symbolic.models.lstm.LSTM"])
    with pytest.raises(ValueError, match="lstm"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    del settings["d_model"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="the key 'd_model' is missing"):
        models.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": "two"}, "n_layer: 'two' is no number of the right kind"),
        ({"state_size": True}, "d_state: True is no number of the right kind"),
        ({"state_size": 0}, "d_state: 0 is out of range"),
        ({"num_hidden_layers": 99_999_999}, "99,999,999 layers"),
        ({"hidden_size": 2**24}, "weights; the files beside it hold"),
        ({"vocab_size": 2**40}, "weights; the files beside it hold"),
        ({"model_type": ["mamba"]}, "model_type is"),
        ({"expand": "much"}, "a value is of the wrong kind"),
    ],
)
def test_a_config_that_is_not_of_its_weights_is_refused_before_room_is_made(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    change_config(folder, **changes)
    with pytest.raises(UserError, match=message):
        models.load(folder)


def test_an_index_names_files_that_lie_beside_it(folder: Path) -> None:
    for index in ([], {}, {"weight_map": {"a": "../model.safetensors"}}, {"weight_map": {"a": 1}}):
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(UserError, match=r"model\.safetensors\.index\.json does not name the files"):
            models.load(folder)
    (folder / "config.json").write_text('["mamba"]')
    with pytest.raises(UserError, match="holds no JSON object"):
        models.load(folder)
