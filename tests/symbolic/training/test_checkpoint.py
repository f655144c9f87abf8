"""Checkpoints: whole or absent, refused when broken, read by the library, exact."""

import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open

from symbolic import checkpoint_record, files, models, runs, tokens
from symbolic.config import GPT2Config, TrainConfig
from symbolic.errors import UserError
from symbolic.training import checkpoint, optim
from symbolic.training.checkpoint import Origin, TrainingProgress

if TYPE_CHECKING:
    from symbolic.models import Model

SHAPE = GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=32)
TRAIN = TrainConfig(
    steps=9, batch_size=1, learning_rate=1e-2, warmup_steps=0, evaluate_every=9, checkpoint_every=9, keep_checkpoints=2
)
ORIGIN = Origin("c" * 64, "t" * 64, [{"name": "made", "terms": "none"}], {"name": "a"})
TOKENIZER = tokens.build("characters")


def make_optimizer(model: "Model") -> torch.optim.Optimizer:
    return optim.build(model, TRAIN)


def step(model: "Model", optimizer: torch.optim.Optimizer) -> float:
    rows = torch.randint(3, 99, (2, 9))
    loss = torch.nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def trained() -> "tuple[Model, torch.optim.Optimizer]":
    torch.manual_seed(0)
    model = models.build(SHAPE)
    optimizer = make_optimizer(model)
    step(model, optimizer)
    return model, optimizer


def save(folder: Path, number: int = 1) -> "tuple[Model, torch.optim.Optimizer]":
    model, optimizer = trained()
    progress = TrainingProgress(number, tokens=16, seconds=1.5, data={"epoch": 0, "batch": 3})
    checkpoint.save(folder, model, TOKENIZER, progress, ORIGIN, optimizer)
    return model, optimizer


def test_a_loaded_checkpoint_goes_on_exactly(tmp_path: Path) -> None:
    model, optimizer = save(tmp_path / "a")
    onward = [step(model, optimizer) for _ in range(3)]  # batches drawn from PyTorch's generator, too
    torch.manual_seed(99)
    model, optimizer, progress = checkpoint.load(tmp_path / "a", "cpu", make_optimizer)
    assert [step(model, optimizer) for _ in range(3)] == onward
    assert progress == TrainingProgress(1, tokens=16, seconds=1.5, data={"epoch": 0, "batch": 3})


def test_the_library_loads_it_with_equal_logits(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, _ = save(tmp_path / "a")
    library = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    rows = torch.randint(3, 99, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(library(rows).logits, model.eval()(rows), atol=1e-5, rtol=1e-5)
    text = "M:6/8\nL:1/8\nK:G\nGAB c2d|\n"
    assert AutoTokenizer.from_pretrained(tmp_path / "a")(text)["input_ids"] == [1, *TOKENIZER.encode(text)]


def test_record_and_weights_say_where_they_come_from(tmp_path: Path) -> None:
    save(tmp_path / "a", 7)
    record = checkpoint.verify(tmp_path / "a")
    assert (record["step"], record["config_digest"], record["terms"]) == (7, "c" * 64, ORIGIN.terms)
    with safe_open(tmp_path / "a" / "model.safetensors", framework="pt") as weights:
        assert weights.metadata()["step"] == "7" and weights.metadata()["tokenizer_digest"] == "t" * 64
    kinds = {path.suffix for path in (tmp_path / "a").iterdir()}
    assert kinds == {".json", ".safetensors"}


@pytest.mark.parametrize(
    "name", ["model.safetensors", "training.safetensors", "config.json", "tokenizer.json", "training.json"]
)
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    save(tmp_path / "a")
    whole = (tmp_path / "a" / name).read_bytes()
    (tmp_path / "a" / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=name) as caught:
        checkpoint.load(tmp_path / "a", "cpu", make_optimizer)
    assert "cut" in str(caught.value) and "Copy" in str(caught.value) and "--resume" not in str(caught.value)


def test_a_changed_byte_and_a_missing_file_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a")
    path = tmp_path / "a" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        checkpoint.verify(tmp_path / "a")
    path.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        checkpoint.verify(tmp_path / "a")


def test_a_best_model_cannot_be_resumed_from(tmp_path: Path) -> None:
    model, _ = trained()
    checkpoint.save(tmp_path / "best", model, TOKENIZER, TrainingProgress(1), ORIGIN)
    assert not (tmp_path / "best" / "training.safetensors").exists()
    with pytest.raises(UserError, match="holds no optimiser state"):
        checkpoint.load(tmp_path / "best", "cpu", make_optimizer)


def test_the_newest_whole_one_is_found_and_the_broken_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert checkpoint.newest(tmp_path, said.append) is None
    for number in (1, 2):
        save(runs.checkpoint_folder(tmp_path, number), number)
    assert checkpoint.newest(tmp_path, said.append) == runs.checkpoint_folder(tmp_path, 2)
    assert said == []
    (runs.checkpoint_folder(tmp_path, 2) / "model.safetensors").write_bytes(b"cut")
    assert checkpoint.newest(tmp_path, said.append) == runs.checkpoint_folder(tmp_path, 1)
    assert len(said) == 1 and "step-00000002/model.safetensors" in said[0]
    (runs.checkpoint_folder(tmp_path, 1) / "training.json").unlink()
    with pytest.raises(UserError, match=r"no checkpoint .* is whole.*Delete"):
        checkpoint.newest(tmp_path, said.append)
    assert "Trying" not in said[-1]
    checkpoint.save(runs.best_folder(tmp_path), trained()[0], TOKENIZER, TrainingProgress(1), ORIGIN)
    with pytest.raises(UserError, match=r"cannot be resumed\. .*best is whole: `generate` takes it"):
        checkpoint.newest(tmp_path, said.append)
    assert not any("--resume" in line for line in said)


def test_pruning_keeps_the_newest_and_discarding_the_earlier(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4):
        files.write_json(runs.checkpoint_folder(tmp_path, number) / "training.json", {})
    checkpoint.prune(tmp_path, 3)
    assert [number for number, _ in runs.checkpoints(tmp_path)] == [2, 3, 4]
    half_written = tmp_path / "checkpoints" / ".step-00000005.abc"
    half_written.mkdir()
    checkpoint.discard_after(tmp_path, 3)
    assert [number for number, _ in runs.checkpoints(tmp_path)] == [2, 3]
    assert not half_written.exists()


def test_a_full_disk_leaves_nothing_and_the_old_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(UserError, match=r"a: No space left on device.*Free some space"):
        save(tmp_path / "a", 2)
    with pytest.raises(UserError, match="No space left"):
        save(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert checkpoint.verify(tmp_path / "a")["step"] == 1


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", 7)
    path = tmp_path / "a" / checkpoint.RECORD
    path.write_text(path.read_text().replace('"step": 7', '"step": 8'))
    with pytest.raises(UserError, match=r"training.json is damaged"):
        checkpoint.verify(tmp_path / "a")


@pytest.mark.parametrize("written", [None, [], {"a": 1}, {"a": {"bytes": "1", "sha256": "0"}}])
def test_a_record_without_its_own_digest_still_says_what_was_written(tmp_path: Path, written: object) -> None:
    """As early versions wrote them, with damage that its digest cannot show."""
    save(tmp_path / "a", 7)
    path = tmp_path / "a" / checkpoint.RECORD
    record = {key: value for key, value in json.loads(path.read_text()).items() if key != checkpoint_record.SELF}
    path.write_text(json.dumps({**record, "files": written}))
    with pytest.raises(UserError, match=r"training.json is damaged: it does not say which files"):
        checkpoint.verify(tmp_path / "a")


def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        save(tmp_path / name, 7)
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in "abcd"}) == 1


def test_a_kill_while_pruning_leaves_no_half_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2, 3):
        save(runs.checkpoint_folder(tmp_path, step), step)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)  # killed before anything is deleted
        checkpoint.prune(tmp_path, keep=1)
    assert [step for step, _ in runs.checkpoints(tmp_path)] == [3]
    checkpoint.discard_after(tmp_path, 3)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]


def adapted() -> "tuple[torch.nn.Module, torch.optim.Optimizer]":
    """A model of which one layer is trained."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)).requires_grad_(False)
    model[1].requires_grad_(True)
    return model, optim.build(model, TRAIN)


def learn(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
    loss = model(torch.randn(4, 3)).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def test_what_was_trained_of_a_library_s_model_goes_on_exactly(tmp_path: Path) -> None:
    model, optimizer = adapted()
    learn(model, optimizer)
    folder = runs.checkpoint_folder(tmp_path, 1)
    checkpoint.save_trained(folder, model, TrainingProgress(1, 4, 0.5), ORIGIN, optimizer)
    onward = [learn(model, optimizer) for _ in range(3)]
    with safe_open(folder / checkpoint.TRAINED, framework="pt") as weights:
        assert sorted(weights.keys()) == ["1.bias", "1.weight"] and weights.metadata()["step"] == "1"

    model, optimizer = adapted()
    assert checkpoint.go_on(tmp_path, model, optimizer, True, print) == TrainingProgress(1, 4, 0.5)
    assert [learn(model, optimizer) for _ in range(3)] == onward
    assert checkpoint.go_on(tmp_path, *adapted(), False, print) == TrainingProgress(0)
    assert runs.checkpoints(tmp_path) == []


def test_weights_of_another_adapter_are_refused(tmp_path: Path) -> None:
    model, optimizer = adapted()
    checkpoint.save_trained(tmp_path / "a", model, TrainingProgress(1), ORIGIN)
    with pytest.raises(UserError, match="holds no optimiser state"):
        checkpoint.load_trained(tmp_path / "a", model, optimizer)
    model[0].requires_grad_(True)  # type: ignore[index]
    with pytest.raises(UserError, match="is of another model"):
        checkpoint.load_trained(tmp_path / "a", model)
