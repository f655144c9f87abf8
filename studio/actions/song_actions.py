"""Songs, stage by stage, in the folders that `python -m audio_bridge song` makes.

A take of a song that was made from another begins as a copy of its folder, so only what changes is made again.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from studio.actions.context import ActionContext, cpu_seconds
from studio.library import take_files
from symbolic import files

UNTIL = {"words": "words", "score": "score", "song": None}
_SHOWN = {"words": ("lyrics.txt",), "score": ("song.abc", "song.mid", "song.musicxml", "song.lrc"),
          "backing": ("backing.wav",), "vocal": ("guide.wav",), "mix": ("song.mp3", "song.wav"),
          "karaoke": ("karaoke.html",)}  # fmt: skip


def make_song(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Make a song up to `until`. With `source`, a take's id, its files, options and variations are gone on from."""
    from audio_bridge.song import song

    started = cpu_seconds()
    asked = {name: value for name, value in options.items() if name in song.DEFAULTS and value is not None}
    folder = context.folder
    source = options.get("source")
    if source and not (folder / song.RECORD).is_file():
        _copy(context.data / "takes" / source, folder)
    known = files.read_json(folder / song.RECORD) if (folder / song.RECORD).is_file() else {}
    chosen = {**song.DEFAULTS, **asked}
    variations = options.get("variations") or {}
    record = song.make(
        folder,
        chosen,
        known.get("stages", {}),
        variations,
        until=UNTIL[options["until"]],
        say=lambda stage, state: _tell(context, stage, state, started),
    )
    return _result(folder, record)


def next_options(record: dict[str, Any], redo: str, until: str, lyrics: str | None, seed: int) -> dict[str, Any]:
    """The options of a take made from another, whose take.json is `record`.

    Other words have another seed of their own; another melody raises the melody's variation and keeps the words.
    """
    options = dict(record["options"])
    variations = dict(options.get("variations") or {})
    if lyrics is not None:
        options["lyrics"] = lyrics
    if redo == "words":
        options |= {"lyrics": None, "seed": seed}
        variations = {}
    elif redo:
        variations[redo] = variations.get(redo, 0) + 1
    return {**options, "until": until, "variations": variations, "source": record["id"]}


def _tell(context: ActionContext, stage: str, state: str, started: float) -> None:
    """One event for the beginning and one for the end of a stage, the latter with what can be fetched now and the
    processor time of the song so far."""
    if state == "...":
        context.say(kind="stage", stage=stage, state="started")
        return
    names = [name for name in _SHOWN.get(stage, ()) if (context.folder / name).is_file()]
    event: dict[str, Any] = {"kind": "stage", "stage": stage, "state": state.partition(":")[0], "files": names}
    event["cpu_seconds"] = round(cpu_seconds() - started, 3)
    if stage == "words":
        event["text"] = (context.folder / "lyrics.txt").read_text(encoding="utf-8")
    context.say(**event)


def _copy(source: Path, target: Path) -> None:
    """The files of a song, linked where the disk allows: stages replace files and never write into them."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.name == take_files.RECORD or not take_files.is_known(path.name) or (target / path.name).exists():
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)


def _result(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """What of song.json a page shows."""
    stages = record["stages"]
    notes = [note for stage in stages.values() for note in stage.get("facts", {}).get("notes", [])]
    notes += [stage["skipped"] for name, stage in stages.items() if "skipped" in stage and name != "conditioned"]
    facts = stages.get("score", {}).get("facts", {})
    words = (folder / "lyrics.txt").read_text(encoding="utf-8")
    writer = stages["words"]["facts"]["writer"]
    return {
        "words": words, "writer": writer, "seconds": record["seconds_of_music"], "notes": notes,
        **{name: facts[name] for name in ("qpm", "key", "metre") if name in facts},
    }  # fmt: skip
