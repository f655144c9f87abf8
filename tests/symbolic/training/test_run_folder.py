"""A run's folder: what is refused, what is written, for the settings of any kind of run."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from symbolic import config, files, runs
from symbolic.config import Config, within
from symbolic.errors import UsageError, UserError
from symbolic.training import run_folder

CONFIGS = Path(__file__).parents[3] / "configs"


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str = "x"
    rate: float = within(0.0, 1.0, default=0.5)
    save_every: int = within(1, default=10)


def begun(folder: Path) -> Path:
    run_folder.claim(folder, Settings(), {"terms": []})
    runs.checkpoint_folder(folder, 3).mkdir(parents=True)
    return folder


def test_a_claim_records_settings_and_machine(tmp_path: Path) -> None:
    begun(tmp_path / "a")
    record = files.read_json(runs.run_file(tmp_path / "a"))
    assert record["name"] == "x" and record["terms"] == [] and record["machine"]["torch"]
    run_folder.finish(tmp_path / "a", {"steps": 3}, terms=["free"])
    record = files.read_json(runs.run_file(tmp_path / "a"))
    assert record["summary"] == {"steps": 3} and record["terms"] == ["free"] and record["machine"]


def test_a_run_is_neither_overwritten_nor_gone_on_with_under_other_settings(tmp_path: Path) -> None:
    folder = begun(tmp_path / "a")
    with pytest.raises(UsageError, match=r"exists\. Add --resume"):
        run_folder.check_folder(folder, Settings(), False)
    run_folder.check_folder(folder, Settings(), True)
    run_folder.check_folder(folder, Settings(save_every=5), True, free_keys={"save_every"})
    with pytest.raises(UsageError, match=r"cannot resume .*a: rate differs from .*another with --there"):
        run_folder.check_folder(folder, Settings(rate=0.25, save_every=5), True, "--there", {"save_every"})


def test_a_run_without_a_checkpoint_begins_anew_under_any_settings(tmp_path: Path) -> None:
    run_folder.claim(tmp_path, Settings(), {})
    run_folder.check_folder(tmp_path, replace(Settings(), rate=0.1), True)


def test_folders_of_others_and_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "config.yaml").write_text("album: summer\n")
    with pytest.raises(UsageError, match="photos is not empty and holds no run"):
        run_folder.check_folder(tmp_path / "photos", Settings(), True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is a file"):
        run_folder.check_folder(tmp_path / "file", Settings(), False)
    with pytest.raises(UserError, match="file is not a folder that you may write to"):
        run_folder.check_folder(tmp_path / "file" / "run", Settings(), False)


def test_a_run_may_be_given_an_earlier_end_which_is_recorded(tmp_path: Path) -> None:
    def planned(steps: int) -> Config:
        return config.load(CONFIGS / "gpt2-debug.yaml", [("train.steps", str(steps))])

    run_folder.claim(tmp_path, planned(2000), {"from_step": 0})
    runs.checkpoint_folder(tmp_path, 1500).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"train.steps"):  # as many were made
        run_folder.check_folder(tmp_path, planned(1500), True)
    with pytest.raises(UsageError, match=r"train.steps"):  # more are for a run that has ended
        run_folder.check_folder(tmp_path, planned(3000), True)
    run_folder.check_folder(tmp_path, planned(1650), True)
    run_folder.claim(tmp_path, planned(1650), {"from_step": 1500})
    run_folder.claim(tmp_path, planned(1650), {"from_step": 1600})
    assert files.read_json(runs.run_file(tmp_path))["earlier_plans"] == [{"steps": 2000, "until_step": 1500}]
