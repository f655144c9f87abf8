"""Statuses of results, and the table of where they come from."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import result_file
from experiments import check, code_graph
from symbolic import config, files


def result(**extra: Any) -> dict[str, Any]:
    made = {"command": "python -m experiments.seeds", "machine": {"commit": "a" * 40}, "settings": {"data": "nowhere"}}
    return {**made, **extra}


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that git is said to have found changed."""
    files_changed: list[str] = []
    monkeypatch.setattr(code_graph, "changed_since", lambda root, commit, used: files_changed)
    return files_changed


def status(**extra: Any) -> tuple[str, str]:
    found = check.status_of(Path("x.json"), result(**extra))
    return found.status, " ".join(found.reasons)


def test_current_changed_and_history(changed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert status() == ("current", "")
    changed += ["symbolic/a.py", "symbolic/b.py", "symbolic/c.py", "symbolic/d.py"]
    assert status() == ("changed", "other code: symbolic/a.py, symbolic/b.py, symbolic/c.py and 1 more")
    monkeypatch.setattr(code_graph, "changed_since", lambda root, commit, used: None)
    assert status() == ("history", "commit aaaaaaaaaaaa is not known here")
    assert status(command="python -m experiments.gone")[1] == "its script is no more"


def test_uncommitted_changes_count_where_they_were_read(changed: list[str]) -> None:
    dirty = {"commit": "a" * 40 + "+"}
    assert status(machine=dirty)[0] == "history"
    assert status(machine=dirty, modified=["README.md"]) == ("current", "")
    assert status(machine=dirty, modified=["README.md", "experiments/seeds.py"])[0] == "history"


def test_another_configuration_or_other_data_is_named(changed: list[str], tmp_path: Path) -> None:
    own = config.digest(config.load(result_file.ROOT / "configs" / "gpt2-debug.yaml"))
    assert status(config_digests={"gpt2-debug": own, "gone": "00"}) == ("current", "")
    assert status(config_digests={"configs/gpt2-debug.yaml": "00"})[1] == "other configuration: gpt2-debug.yaml"
    (tmp_path / "tunes").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "tunes" / f"{split}.jsonl").write_text("{}\n")
    assert status(settings={"data": str(tmp_path)}, data_digest="00")[1].startswith("other data")
    assert status(settings={"data": str(tmp_path)}, data_digest=result_file.data_digest(tmp_path)) == ("current", "")


def test_every_result_file_stands_in_the_table_as_it_is() -> None:
    assert check.PAGE.read_text(encoding="utf-8") == check.page(check.result_paths())


def test_every_result_names_a_script_that_is_there() -> None:
    for path in check.result_paths():
        script = check.script_of(files.read_json(path))
        assert (result_file.ROOT / Path(*script.split("."))).with_suffix(".py").is_file(), path
