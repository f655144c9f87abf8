"""Rated sentences: EmoBank, and a table of one's own with the columns text, valence, arousal.

EmoBank (Buechel and Hahn 2017, "EmoBank", EACL; CC BY-SA 4.0): emobank.csv with id, split, V, A, D on 1..5 and text.
An id is DOCUMENT_start_end, for SemEval headlines SemEval_n; the document is the group.
"""

import csv
import re
from pathlib import Path

from symbolic.affect.labels.rated_items import LabelTable, RatedItem, RatedSet, file_in, signed_pairs
from symbolic.affect.plane import Scale, scale_named


def emobank(folder: Path, scale: Scale | None = None) -> RatedSet:
    """The sentences of EmoBank, in the order of their documents."""
    path = folder if folder.is_file() else file_in(folder, "emobank.csv", "corpus/emobank.csv")
    csv.field_size_limit(2**24)
    table = LabelTable(path)
    names = [table.column("V"), table.column("A")]
    rows = list(table.complete(names, table.column("id")))
    targets = signed_pairs((numbers for _, _, numbers in rows), scale or scale_named("emobank5"), str(path))
    text, split = table.column("text"), table.column("split")
    items = [
        RatedItem(key, document_of(key), (float(v), float(a)), split=row[split].strip(), text=row[text])
        for (key, row, _), (v, a) in zip(rows, targets)
        if row.get(text, "").strip()
    ]
    items.sort(key=lambda item: (item.group, _offset(item.id)))
    return RatedSet("emobank", tuple(items), "CC BY-SA 4.0 (JULIELab/EmoBank)", "sentences", table.remarks)


def own_sentences(path: Path, scale: Scale | None = None) -> RatedSet:
    """A CSV of one's own: text, valence, arousal, and perhaps id, group (or document) and split; -1..1 unless said."""
    table = LabelTable(path)
    for number, row in enumerate(table.rows):
        row.setdefault("id", str(number + 1))
    names = [table.column("valence", "v"), table.column("arousal", "a")]
    rows = list(table.complete(names, "id"))
    targets = signed_pairs((numbers for _, _, numbers in rows), scale or scale_named("signed"), str(path))
    text = table.column("text", "sentence")
    items = tuple(
        RatedItem(key, _group(row, key), (float(v), float(a)), split=row.get("split", ""), text=row[text])
        for (key, row, _), (v, a) in zip(rows, targets)
    )
    return RatedSet(path.stem, items, "given by the user", "sentences", table.remarks)


def _group(row: dict[str, str], key: str) -> str:
    return row.get("group") or row.get("document") or key


def document_of(sentence_id: str) -> str:
    """The document of an EmoBank id: without its last two fields, which are offsets; one field for SemEval."""
    match = re.fullmatch(r"(.+)_\d+_\d+", sentence_id) or re.fullmatch(r"(.+)_\d+", sentence_id)
    return match[1] if match else sentence_id


def _offset(sentence_id: str) -> int:
    numbers = re.findall(r"_(\d+)", sentence_id)
    return int(numbers[-2] if len(numbers) > 1 else numbers[-1]) if numbers else 0
