"""Run directories and what people type for them."""

from pathlib import Path

import pytest

from symbolic import runs
from symbolic.errors import UsageError


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def make_run(folder: Path, *steps: int, best: bool = False) -> Path:
    folder.mkdir(parents=True)
    runs.config_file(folder).write_text("name: a\n")
    for step in steps:
        make_model(runs.checkpoint_folder(folder, step))
    if best:
        make_model(runs.best_folder(folder))
    return folder


def test_paths_are_those_of_the_docstring() -> None:
    folder = runs.run_folder("a")
    assert folder == Path("runs/a")
    assert runs.checkpoint_folder(folder, 500) == Path("runs/a/checkpoints/step-00000500")
    documented = runs.__doc__ or ""
    for path in (runs.config_file(folder), runs.run_file(folder), runs.metrics_file(folder), runs.best_folder(folder)):
        assert f"      {path.name}" in documented


def test_checkpoints_come_oldest_first_and_nothing_else(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", 20, 5, 100_000_000)
    (folder / "checkpoints" / ".step-00000030.tmp").mkdir()
    (folder / "checkpoints" / "step-new").mkdir()
    assert [step for step, _ in runs.checkpoints(folder)] == [5, 20, 100_000_000]
    assert runs.checkpoints(tmp_path / "none") == []


def test_a_run_means_its_best_model_else_its_newest(tmp_path: Path) -> None:
    newest = make_run(tmp_path / "a", 5, 20)
    assert runs.resolve(newest) == runs.checkpoint_folder(newest, 20)
    best = make_run(tmp_path / "b", 5, 20, best=True)
    assert runs.resolve("b", root=tmp_path) == runs.best_folder(best)


def test_a_checkpoint_or_any_model_folder_means_itself(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", 5, 20, best=True)
    assert runs.resolve(runs.checkpoint_folder(folder, 5)) == runs.checkpoint_folder(folder, 5)
    assert runs.resolve(make_model(tmp_path / "hf")) == tmp_path / "hf"


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    make_run(tmp_path / "gpt2-6m")
    with pytest.raises(UsageError, match="no checkpoint yet"):
        runs.resolve(tmp_path / "gpt2-6m")
    with pytest.raises(UsageError, match=r"Did you mean .*gpt2-6m\?"):
        runs.resolve("gtp2-6m", root=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="neither a run"):
        runs.resolve(tmp_path / "empty")
    with pytest.raises(UsageError, match="none"):
        runs.resolve("x", root=tmp_path / "absent")


def test_a_folder_of_runs_names_those_in_it(tmp_path: Path) -> None:
    for name in ("gpt2", "mamba2"):
        make_run(tmp_path / "quickstart" / name, 5)
    (tmp_path / "quickstart" / "sounds").mkdir()
    with pytest.raises(UsageError, match=r"neither a run.*name one of quickstart/gpt2, quickstart/mamba2\.$"):
        runs.resolve("quickstart", root=tmp_path)
    with pytest.raises(UsageError, match=r"Did you mean quickstart/gpt2\?"):
        runs.resolve("quikstart/gpt2", root=tmp_path)
    with pytest.raises(UsageError, match=r"Runs in .*: quickstart/gpt2, quickstart/mamba2; ready-made"):
        runs.resolve("x", root=tmp_path)
    assert runs.resolve("quickstart/gpt2", root=tmp_path).name == "step-00000005"


def test_a_ready_made_name_is_reserved_and_its_namesake_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = runs.ready_made()[0]
    run = make_run(tmp_path / "runs" / ready.name, 5)
    assert runs.resolve(ready.name, root=tmp_path / "runs") == ready
    assert (
        f"note: {ready.name} is the ready-made model; for your own of that name say {run}." in capsys.readouterr().err
    )
    assert runs.resolve(run) == runs.checkpoint_folder(run, 5)
    assert runs.resolve(ready.name, root=tmp_path / "none") == ready
    assert capsys.readouterr().err == ""


def test_a_run_stands_for_its_configuration(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    assert runs.configuration("a", root=tmp_path) == runs.configuration(run) == (run / "config.yaml", run)
    assert runs.configuration("configs/gpt2-6m.yaml", root=tmp_path) == (Path("configs/gpt2-6m.yaml"), None)
