"""What is shipped: the best checkpoint of a run, or the mean of all, each step once."""

from pathlib import Path

import pytest
import torch

from experiments import ready_made
from symbolic import config, files, models, runs, tokens
from symbolic.config import Mamba2Config
from symbolic.errors import UserError
from symbolic.training import checkpoint

CONFIGS = Path(__file__).parents[2] / "configs"
SHAPE = Mamba2Config(n_layer=1, d_model=16, d_state=4, head_dim=8, vocab_size=768, dropout=0.2)
ORIGIN = checkpoint.Origin("c" * 64, "t" * 64, [{"title": "a"}], {})


def test_mean_of_the_checkpoints(tmp_path: Path) -> None:
    run, tokenizer = tmp_path / "run", tokens.build("grammar")
    files.write_whole(runs.config_file(run), "name: run\n")
    places = {10: runs.best_folder(run), 20: runs.checkpoint_folder(run, 20), 30: runs.checkpoint_folder(run, 30)}
    made = {}
    for step, folder in places.items():
        torch.manual_seed(step)
        made[step] = models.build(SHAPE)
        checkpoint.save(folder, made[step], tokenizer, checkpoint.TrainingProgress(step, 8 * step), ORIGIN)
    assert ready_made._export(run, tmp_path / "best", is_mean=False) == [10]
    assert ready_made._export(run, tmp_path / "mean", is_mean=True) == [10, 20, 30]
    best, mean = (models.load(tmp_path / name, dtype=torch.float32)[0].state_dict() for name in ("best", "mean"))
    for name, value in made[10].state_dict().items():
        assert torch.equal(best[name], value.bfloat16().float())
        expected = torch.stack([made[step].state_dict()[name] for step in made]).mean(0)
        assert torch.equal(mean[name], expected.bfloat16().float())
    record = checkpoint.verify(tmp_path / "mean")
    assert (record["step"], record["tokens"], record["terms"]) == (30, 240, [{"title": "a"}])


def test_a_model_that_began_with_another_tells_of_it(tmp_path: Path) -> None:
    tokenizer, first, run = tokens.build("grammar"), tmp_path / "first", tmp_path / "run"
    origin = checkpoint.Origin("c" * 64, "t" * 64, [], {"name": "plain"})
    checkpoint.save(first, models.build(SHAPE), tokenizer, checkpoint.TrainingProgress(5, 40, 3.0), origin)
    start = {"model": "plain", "step": 5, "weights_sha256": files.sha256(first / "model.safetensors")}
    second = checkpoint.Origin("c" * 64, "t" * 64, [], {"name": "run"}, start)
    checkpoint.save(runs.best_folder(run), models.build(SHAPE), tokenizer, checkpoint.TrainingProgress(9, 72), second)
    files.write_whole(runs.config_file(run), "name: run\n")
    settings = config.load(CONFIGS / "mamba2-debug.yaml", [("start", str(first))])
    assert ready_made._start(run, settings) == {**start, "tokens": 40, "seconds": 3.0, "config": "plain"}
    checkpoint.save(first, models.build(SHAPE), tokenizer, checkpoint.TrainingProgress(6, 48), origin)
    with pytest.raises(UserError, match="another digest"):
        ready_made._start(run, settings)
