"""The files that a take may have: names, types, and how they leave the house.

A name comes from a request and is looked up here; no path ever does. `tune-2.abc` is the second of several tunes.
"""

import math
import re
from pathlib import Path

RECORD = "take.json"
TYPES = {
    "abc": "text/vnd.abc; charset=utf-8",
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "lrc": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
}
PLAYED = ("mp3", "wav")  # the only ones that a page shows in place; all others are attachments
_SONG = (
    *("lyrics.txt", "song.abc", "song.mid", "song.musicxml", "song.lrc", "song.enhanced.lrc", "song.ultrastar.txt"),
    *("song.wav", "song.mp3", "backing.wav", "guide.wav", "conditioned.wav", "karaoke.html", "yue2.json"),
    *("song.json", "words.json", "melody.json", "setting.json", "chords.json"),
)
_EMOTION = ("given.mid", "given.txt", "story.txt", "story.json", "story.html", "plan.json")
_OTHER = ("given.abc", "conditioned.mp3", *_EMOTION, RECORD)
_TUNE = re.compile(r"tune(-([2-9]|1[0-6]))?\.(abc|mid|musicxml|mp3|wav)")
LABELS = {
    "song.mp3": "MP3", "song.wav": "WAV", "backing.wav": "Backing (WAV)", "song.mid": "MIDI",
    "song.musicxml": "MusicXML", "song.abc": "ABC", "song.lrc": "Lyrics with times (LRC)",
    "song.enhanced.lrc": "Word times (enhanced LRC)", "song.ultrastar.txt": "UltraStar",
    "karaoke.html": "Karaoke page", "lyrics.txt": "Words (text)", "guide.wav": "Guide vocal (WAV)",
    "conditioned.wav": "Conditioned sound (WAV)", "story.txt": "Story (text)",
    "story.html": "Story page with the sound", "story.json": "Story with its measures (JSON)",
    "plan.json": "Plan of the music (JSON)",
}  # fmt: skip


_ENDINGS = ("mp3", "wav", "mid", "musicxml", "abc", "html", "txt", "lrc", "json")  # as people ask for them


def in_order(present: dict[str, int]) -> list[tuple[str, int]]:
    """Names and bytes as a page lists them: what the take is about first, in the order of _ENDINGS, then the rest."""

    def place(item: tuple[str, int]) -> tuple[bool, int, int, str]:
        stem, _, ending = item[0].partition(".")
        rank = _ENDINGS.index(ending) if ending in _ENDINGS else len(_ENDINGS)
        name, _, number = stem.partition("-")
        return name not in ("song", "tune", "conditioned"), int(number or 1), rank, item[0]

    return sorted(present.items(), key=place)


def is_known(name: str) -> bool:
    """Whether a take may have a file of this name."""
    return name in _SONG or name in _OTHER or _TUNE.fullmatch(name) is not None


def find(folder: Path, name: str) -> Path | None:
    """The file of that name, if it may be there and is."""
    path = folder / name if is_known(name) else None
    return path if path is not None and path.is_file() else None


def present(folder: Path) -> dict[str, int]:
    """Bytes of each file that is there, by name."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path.stat().st_size for path in paths if is_known(path.name) and path.is_file()}


def changed(path: Path) -> float:
    """When a file or folder was last changed, seconds since 1970; infinity where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def media_type(name: str) -> str:
    """The type by the ending."""
    return TYPES[name.rpartition(".")[2]]


def label(name: str) -> str:
    """What a link to the file says."""
    if name in LABELS:
        return LABELS[name]
    stem, _, ending = name.rpartition(".")
    number = stem.removeprefix("tune").removeprefix("-")
    kind = {"abc": "ABC", "mid": "MIDI", "musicxml": "MusicXML", "mp3": "MP3", "wav": "WAV"}.get(ending, name)
    return f"{kind}, tune {number}" if number.isdigit() else kind


def download_name(title: str, name: str) -> str:
    """A file name for the person's disk, from the title: letters, digits and hyphens only."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")[:60] or "untitled"
    stem, _, ending = name.partition(".")
    tail = {"song": "", "tune": ""}.get(stem, f"-{stem}")
    return f"{plain}{tail}.{ending}"
