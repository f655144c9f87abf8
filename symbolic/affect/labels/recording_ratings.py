"""Rated recordings: DEAM, PMEmo, emoMusic and MERGE. Columns are found by name, audio files by the song's number.

DEAM (Aljanaki, Yang, Soleymani 2017, PLoS ONE 12(3)): dynamic valence and arousal on -1..1 every 0.5 s from 15.0 s on
(the first 15 s are not rated but heard), one column a sample; the two files do not have the same number of columns, so
samples are joined by name, and blanks end a song. Static ratings are 1..9 in two files with blanks before the names.
PMEmo (Zhang and others 2018): 0..1; emoMusic (Soleymani and others 2013): 1..9; MERGE (Louro and others 2024): a
quadrant for each song in `*_metadata.csv`, valence and arousal on 0..1 in `*_av_values.csv` beside it.
"""

import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.labels.rated_items import QUADRANTS, LabelTable, RatedItem, RatedSet, file_in, signed_pairs
from symbolic.affect.plane import Scale, scale_named
from symbolic.errors import UserError

AUDIO_SUFFIXES = (".mp3", ".wav", ".flac", ".ogg", ".m4a")
_AVERAGED = "annotations/annotations averaged per song"
_DYNAMIC = f"{_AVERAGED}/dynamic (per second annotations)"
Rated = tuple[NDArray[np.float64], NDArray[np.float64]]  # times (n,), points (n, 2)


def deam(folder: Path, scale: Scale | None = None) -> RatedSet:
    """DEAM's songs with their dynamic arcs where those are there, else with the static ratings."""
    if (folder / _DYNAMIC / "valence.csv").is_file():
        return _deam_dynamic(folder, scale or scale_named("signed"))
    return _deam_static(folder, scale or scale_named("sam9"))


def deam_static(folder: Path, scale: Scale | None = None) -> RatedSet:
    """DEAM's static ratings, even where dynamic ones are there."""
    return _deam_static(folder, scale or scale_named("sam9"))


def pmemo(folder: Path, scale: Scale | None = None) -> RatedSet:
    """PMEmo's songs with their dynamic arcs; a song may have as few as two frames."""
    path = file_in(folder, "annotations/dynamic_annotations.csv", "dynamic_annotations.csv")
    table = LabelTable(path)
    song, time = table.column("musicId"), table.column("frameTime")
    names = [table.column("Valence(mean)", "valence"), table.column("Arousal(mean)", "arousal")]
    frames: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in table.rows:
        numbers = [table.number(row, name) for name in (time, *names)]
        if all(map(math.isfinite, numbers)):
            frames[row[song].strip()].append((numbers[0], numbers[1], numbers[2]))
        else:
            table.count("without a number")
    arcs = {key: np.array(sorted(values)) for key, values in frames.items()}
    checked = scale or scale_named("unit")
    rated = {key: (rows[:, 0], checked.signed(rows[:, 1:], str(path))) for key, rows in arcs.items()}
    return _with_arcs("pmemo", folder, rated, "research (HuiZhangDB/PMEmo)", table.remarks)


def emomusic(folder: Path, scale: Scale | None = None) -> RatedSet:
    """emoMusic's songs with their static ratings."""
    path = file_in(folder, "annotations/static_annotations.csv", "static_annotations.csv")
    table = LabelTable(path)
    names = [
        table.column("mean_valence", "valence_mean", "valence"),
        table.column("mean_arousal", "arousal_mean", "arousal"),
    ]
    return _static("emomusic", folder, [(table, names)], scale or scale_named("sam9"), "research (emoMusic)")


def merge(folder: Path, scale: Scale | None = None) -> RatedSet:
    """MERGE's songs with their quadrants, and valence and arousal where a table has them."""
    path = next(iter(sorted(folder.rglob("*metadata*.csv"))), None) or file_in(folder, "merge.csv", "labels.csv")
    table = LabelTable(path)
    song, quadrant = table.column("Song", "song_id", "id"), table.column("Quadrant", "quadrant")
    items, audio = [], _audio_files(folder)
    values, remarks = _merge_values(path, table, scale or scale_named("unit"))
    for row in table.rows:
        key, name = row[song].strip(), row.get(quadrant, "").strip().upper()
        if name not in QUADRANTS:
            table.count("without a quadrant")
            continue
        items.append(RatedItem(key, key, values.get(key, (math.nan, math.nan)), quadrant=name, path=audio.get(key)))
    return RatedSet("merge", tuple(items), "research (MERGE)", "", (*table.remarks, *remarks))


def _merge_values(
    path: Path, table: LabelTable, scale: Scale
) -> tuple[dict[str, tuple[float, float]], tuple[str, ...]]:
    """(valence, arousal) by song, of the table of values beside the metadata or of the metadata themselves; remarks."""
    beside = next(iter(sorted(path.parent.glob("*av_values*.csv"))), None)
    source = table if beside is None else LabelTable(beside)
    if not (source.has("Valence") and source.has("Arousal")):
        return {}, ()
    rows = list(source.complete(["valence", "arousal"], source.column("Song", "song_id", "id")))
    points = signed_pairs((numbers for _, _, numbers in rows), scale, str(source.path))
    return {key: (float(v), float(a)) for (key, _, _), (v, a) in zip(rows, points)}, () if beside is None else (
        source.remarks
    )


def _deam_dynamic(folder: Path, scale: Scale) -> RatedSet:
    tables = [LabelTable(folder / _DYNAMIC / f"{name}.csv") for name in ("valence", "arousal")]
    samples = [
        {_milliseconds(name): name for name in table.names if _milliseconds(name) is not None} for table in tables
    ]
    shared = sorted(key for key in samples[0] if key in samples[1] and key is not None)
    if not shared:
        raise UserError(f"{folder / _DYNAMIC}: valence.csv and arousal.csv share no column sample_...ms.")
    ids = [table.column("song_id") for table in tables]
    arousal_rows = {row[ids[1]].strip(): row for row in tables[1].rows}
    rated: dict[str, Rated] = {}
    for row in tables[0].rows:
        key = row[ids[0]].strip()
        other = arousal_rows.get(key)
        if other is None:
            tables[0].count("without arousal")
            continue
        pairs = [(tables[0].number(row, samples[0][ms]), tables[1].number(other, samples[1][ms])) for ms in shared]
        kept = [(ms / 1000, *pair) for ms, pair in zip(shared, pairs) if all(map(math.isfinite, pair))]
        if kept:
            array = np.array(kept)
            rated[key] = (array[:, 0], scale.signed(array[:, 1:], f"DEAM, song {key}"))
    return _with_arcs("deam", folder, rated, "research (DEAM)", tables[0].remarks)


def _deam_static(folder: Path, scale: Scale) -> RatedSet:
    pattern = f"{_AVERAGED}/song_level/static_annotations_averaged_songs_*.csv"
    tables = [
        LabelTable(path) for path in sorted(folder.glob(pattern)) or sorted(folder.glob("static_annotations*.csv"))
    ]
    if not tables:
        raise UserError(f"{folder} holds no {pattern}: name the folder that DEAM was unpacked to.")
    named = [(table, [table.column("valence_mean"), table.column("arousal_mean")]) for table in tables]
    return _static("deam", folder, named, scale, "research (DEAM)")


def _static(name: str, folder: Path, tables: list[tuple[LabelTable, list[str]]], scale: Scale, terms: str) -> RatedSet:
    audio = _audio_files(folder)
    items: list[RatedItem] = []
    remarks: list[str] = []
    for table, columns in tables:
        rows = list(table.complete(columns, table.column("song_id", "musicId", "id")))
        targets = signed_pairs((numbers for _, _, numbers in rows), scale, str(table.path))
        items += [
            RatedItem(key, key, (float(v), float(a)), path=audio.get(key)) for (key, _, _), (v, a) in zip(rows, targets)
        ]
        remarks += table.remarks
    return RatedSet(name, tuple(items), terms, "", tuple(remarks))


def _with_arcs(name: str, folder: Path, rated: dict[str, Rated], terms: str, remarks: tuple[str, ...]) -> RatedSet:
    audio, items = _audio_files(folder), []
    for key, (at, points) in rated.items():
        valence, arousal = points.mean(axis=0)
        target = (float(valence), float(arousal))
        items.append(RatedItem(key, key, target, path=audio.get(key), at=at, arc=points))
    return RatedSet(name, tuple(items), terms, "seconds", remarks)


def _audio_files(folder: Path) -> dict[str, Path]:
    """Audio files below a folder by name without suffix, which is the song's id."""
    return {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES}


def _milliseconds(column: str) -> int | None:
    match = re.fullmatch(r"sample_(\d+)ms", column)
    return int(match[1]) if match else None
