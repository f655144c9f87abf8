"""Rated scores: VGMIDI (valence and arousal bar by bar) and EMOPIA (a quadrant for each clip).

VGMIDI (Ferreira and Whitehead 2019, "Learning to Generate Music With Sentiment", ISMIR; no licence stated): 200 piano
arrangements of game music, about 30 raters each. `annotations` are named PIECE_n, so piece10_1 belongs to piece10; a
rater whose list is not as long as the piece has bars is left out and counted. The group is the game series.

EMOPIA (Hung and others 2021, "EMOPIA", ISMIR; CC BY-NC-SA 4.0): 1,078 clips of pop piano, transcribed. An id is
Qn_VIDEO_clip, and a video's id may hold - and _: the clip number stands after the last _. The group is the video.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.affect.labels.rated_items import QUADRANTS, LabelTable, RatedItem, RatedSet, file_in
from symbolic.affect.plane import Scale, scale_named
from symbolic.errors import UserError
from symbolic.files import read_json


def vgmidi(folder: Path, scale: Scale | None = None) -> RatedSet:
    """The pieces of VGMIDI with the mean of their raters bar by bar; `path` is None without a MIDI file."""
    root = folder / "labelled" if (folder / "labelled").is_dir() else folder
    sources = sorted((root / "annotations").glob("vgmidi_raw_*.json"))
    if not sources:
        raise UserError(f"{root} holds no annotations/vgmidi_raw_1.json: name the folder VGMIDI was unpacked to.")
    items: list[RatedItem] = []
    remarks: list[str] = []
    for source in sources:
        document = read_json(source)
        raters = _raters(document)
        for piece, record in document["pieces"].items():
            item, n_short = _rated_piece(root, source, piece, record, raters[piece], scale or scale_named("signed"))
            remarks += (
                [f"{source.name}, {piece}: {n_short} raters with lists of other length left out"] if n_short else []
            )
            if item is None:
                remarks.append(f"{source.name}, {piece}: no rater, left out")
                continue
            remarks += [] if item.path else [f"{source.name}, {piece}: no MIDI file"]
            items.append(item)
    return RatedSet("vgmidi", tuple(items), "no licence stated (lucasnfe/vgmidi); research", "bars", tuple(remarks))


def emopia(folder: Path, scale: Scale | None = None) -> RatedSet:
    """The clips of EMOPIA with the official split; `path` is None where the MIDI file is not there."""
    table = LabelTable(file_in(folder, "label.csv"))
    id_column, splits = table.column("ID", "name"), _emopia_splits(folder)
    items, n_missing = [], 0
    for row in table.rows:
        clip = row[id_column].strip().removesuffix(".mid")
        path = folder / "midis" / f"{clip}.mid"
        if clip[:2] not in QUADRANTS:
            table.count("whose id names no quadrant")
        else:
            there = path.is_file()
            n_missing += not there
            split = splits.get(clip, "")
            items.append(RatedItem(clip, video_of(clip), quadrant=clip[:2], split=split, path=path if there else None))
    remarks = [*table.remarks, *([f"{n_missing} clips have no MIDI file"] if n_missing else [])]
    return RatedSet("emopia", tuple(items), "CC BY-NC-SA 4.0 (EMOPIA)", "", tuple(remarks))


def video_of(clip: str) -> str:
    """The YouTube id in an EMOPIA id: between Qn_ and the last _."""
    return clip[3:].rpartition("_")[0]


def series_of(midi_name: str) -> str:
    """The game series, which VGMIDI's file names begin with."""
    return midi_name.partition("_")[0]


def _raters(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    raters: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, annotation in document["annotations"].items():
        raters[name.rpartition("_")[0]].append(annotation)
    return raters


def _rated_piece(
    root: Path, source: Path, piece: str, record: dict[str, Any], raters: list[dict[str, Any]], scale: Scale
) -> tuple[RatedItem | None, int]:
    """The item, None without raters; and how many raters' lists had another length."""
    n_bars, path = int(record["measures"]), root / "midi" / str(record["midi"])
    whole = [r for r in raters if len(r["valence"]) == n_bars and len(r["arousal"]) == n_bars]
    n_left_out = len(raters) - len(whole)
    if not whole:
        return None, n_left_out
    lists = np.array([[r["valence"], r["arousal"]] for r in whole], dtype=np.float64)  # (raters, 2, bars)
    arc = scale.signed(lists.mean(axis=0).T, f"{source.name}, {piece}")
    target = (float(arc[:, 0].mean()), float(arc[:, 1].mean()))
    found = path if path.is_file() else None
    at = np.arange(n_bars, dtype=np.float64)
    name = f"{source.stem}/{piece}"
    return RatedItem(name, series_of(path.name), target, path=found, at=at, arc=arc), n_left_out


def _emopia_splits(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        path = folder / "split" / f"{split}.csv"
        if path.is_file():
            table = LabelTable(path)
            column = table.column("fname", "clip_name", "name")
            found |= {row[column].strip().removesuffix(".mid"): split for row in table.rows}
    return found
