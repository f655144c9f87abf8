"""The folder of a training run: who may write into it, and its records `config.yaml` and `run.json`.

Nothing is overwritten, and a run goes on under the settings that it was begun with. The files of a run are listed in
`symbolic.runs`; tune models, lyric models and MusicGen keep the same ones.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import Config
from symbolic.errors import UsageError

# Keys that a resumed run may change: they alter no loss.
FREE_KEYS = {"name", "device", "compile", "threads", "sharding", "data.folder", "data.sources"} | {
    f"train.{key}" for key in ("evaluate_every", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "logs")
}


def check_folder(
    folder: Path, config: Any, resume: bool, option: str = "--folder", free_keys: Collection[str] = FREE_KEYS
) -> None:
    """Refuse to overwrite anything, and to go on with a run under another configuration; nothing is written.

    config: the dataclass of the run's settings. option: what names the folder, for messages. free_keys: dotted keys
    that a resumed run may change.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another {option}.")
    files.check_writable(runs.config_file(folder))
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not _is_ours(folder, type(config)):
        raise UsageError(f"{folder} is not empty and holds no run: choose another {option}, a new or empty folder.")
    if not resume:
        raise UsageError(f"the run {folder} exists. Add --resume to go on with it, or choose another {option}.")
    if not runs.config_file(folder).exists() or not runs.checkpoints(folder):
        return  # nothing to go on from: a fresh start under any configuration
    before = configuration.load_as(type(config), runs.config_file(folder))
    free = {*free_keys, *(["train.steps"] if _may_end_elsewhere(folder, before, config) else [])}
    changed = [key for key in configuration.differences(before, config) if key not in free]
    if changed:
        raise UsageError(
            f"cannot resume {folder}: {', '.join(changed)} {'differs' if len(changed) == 1 else 'differ'} from "
            f"{runs.config_file(folder)}. Take the run's values, or start another with {option}."
        )


def claim(folder: Path, config: Any, record: dict[str, Any]) -> None:
    """Write the resolved configuration, and into run.json the machine, when the run was started, and `record`.

    A run that goes on to another end than it was begun with has its earlier numbers of steps there as `earlier_plans`.
    """
    from symbolic import machine

    if plans := _earlier_plans(folder, config, record.get("from_step", 0)):
        record = {**record, "earlier_plans": plans}
    files.write_whole(runs.config_file(folder), configuration.dump(config))
    started = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"name": config.name, "started": started, "machine": machine.card(), **record}
    files.write_json(runs.run_file(folder), record)


def finish(folder: Path, summary: dict[str, Any], **changes: Any) -> None:
    """Put the summary of a finished run into its run.json."""
    record = files.read_json(runs.run_file(folder))
    files.write_json(runs.run_file(folder), {**record, **changes, "summary": summary})


def finished_summary(folder: Path, config: Config) -> dict[str, Any] | None:
    """Return the summary of a run that made all its steps and whose model is there."""
    if not runs.run_file(folder).exists() or not runs.is_model(runs.best_folder(folder)):
        return None
    summary = files.read_json(runs.run_file(folder)).get("summary")
    return summary if summary and summary["steps"] == config.train.steps else None


def _may_end_elsewhere(folder: Path, before: Any, config: Any) -> bool:
    """Return whether a finished run is given more steps, or one that is not finished an earlier end.

    From there on its learning rate is that of a run of so many steps.
    """
    if not isinstance(config, Config):
        return False
    if config.train.steps > before.train.steps:
        return finished_summary(folder, before) is not None
    return config.train.steps > max(step for step, _ in runs.checkpoints(folder))


def _earlier_plans(folder: Path, config: Any, from_step: int) -> list[dict[str, int]]:
    """Return how many steps the run was to have before, and until which step that was so."""
    if not (isinstance(config, Config) and from_step and runs.run_file(folder).exists()):
        return []
    known = list(files.read_json(runs.run_file(folder)).get("earlier_plans", []))
    before = configuration.load(runs.config_file(folder))
    if before.train.steps == config.train.steps:
        return known
    return [*known, {"steps": before.train.steps, "until_step": from_step}]


def _is_ours(folder: Path, kind: Any) -> bool:
    """Return whether a folder is a run, if only just begun; other programs have a config.yaml, too."""
    if runs.run_file(folder).is_file():
        return True
    try:
        configuration.load_as(kind, runs.config_file(folder))
    except UsageError:
        return False
    return True
