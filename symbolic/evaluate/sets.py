"""Sets of tunes: the ones to be measured, and the human ones that they are measured against.

A set to be measured is an .abc file of `generate`, JSON lines with a `text` or `abc notation`, or whatever else
`prepare` reads. Every X: counts as one tune, readable or not, so that failures stay in the count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.corpus import corpora
from symbolic.errors import UserError
from symbolic.notation.abc_parser import NotationError, canonical, parse

SPLITS = ("train", "test")


@dataclass(frozen=True)
class SetTune:
    """One tune as text: `id` names it in its set, `title` is for people."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Human:
    """Human tunes: `train`, which a model may have learnt from, and `test`, which it has not (empty for a set that was
    not split). `summary` is that of `prepare`, where there is one."""

    name: str
    train: Sequence[SetTune]
    test: Sequence[SetTune]
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def held_out(self) -> Sequence[SetTune]:
        """The tunes of the human column."""
        return self.test or self.train


def read_tunes(source: Path | str) -> list[SetTune]:
    """Read the tunes of a file, folder or bundled collection; of a folder written by `prepare` its test tunes.

    Raises UserError when there is none.
    """
    path = Path(source)
    if (path / "tunes" / "test.jsonl").is_file():
        return list(read_human(path).test)
    found: list[corpora.Found | corpora.Rejection] = []
    if path.suffix == ".jsonl" and path.is_file() and _has_text(path):
        tunes = list(_rows(path))
    else:
        found = list(corpora.read(str(source)))
        tunes = [_tune(number, item) for number, item in enumerate(found, start=1)]
    if not any(tune.text for tune in tunes):
        rejection = next((item for item in found if isinstance(item, corpora.Rejection)), None)
        if rejection is not None:
            raise UserError(f"{source} holds no tunes that can be read; {rejection.reason}: {rejection.message}")
        raise UserError(f"{source} holds no tunes. Name an .abc file with X: and K: fields, or a .jsonl with `text`.")
    return tunes


def read_human(source: Path | str) -> Human:
    """Read the human tunes of a folder written by `prepare`, or of any other set, which is then not split."""
    folder = Path(source)
    paths = {split: folder / "tunes" / f"{split}.jsonl" for split in SPLITS}
    if not all(path.is_file() for path in paths.values()):
        return Human(str(source), [tune for tune in read_tunes(source) if tune.text], [])
    found = {split: list(_rows(path)) for split, path in paths.items()}
    if not found["train"] or not found["test"]:
        raise UserError(f"{folder}/tunes has an empty train.jsonl or test.jsonl. Prepare more tunes.")
    summary = folder / "summary.json"
    return Human(folder.name, found["train"], found["test"], files.read_json(summary) if summary.is_file() else {})


def canonical_text(text: str) -> str:
    """Return a tune as a model reads it: canonical where it parses, else without the lines that canonical text never
    has (comments, X: and T:)."""
    try:
        return canonical(parse(text))
    except NotationError:
        kept = (line for line in text.splitlines() if not line.startswith(("%", "X:", "T:")))
        return "".join(f"{line}\n" for line in kept if line.strip()) or "\n"


def _has_text(path: Path) -> bool:
    first = next(files.read_jsonl(path), {})
    return isinstance(first.get("text"), str)


def _rows(path: Path) -> Iterator[SetTune]:
    for number, row in enumerate(files.read_jsonl(path), start=1):
        if not isinstance(row.get("text"), str):
            raise UserError(f'{path}: row {number} has no "text".')
        yield SetTune(str(row.get("id", number)), _encodable(str(row.get("title", ""))), _encodable(row["text"]))


def _tune(number: int, item: corpora.Found | corpora.Rejection) -> SetTune:
    """Wrap one item; an unreadable one becomes a tune without text, which then fails to parse."""
    text = item.text if isinstance(item, corpora.Found) else ""
    title = _encodable(item.title) or f"tune {number}"
    return SetTune(f"{item.file}:{item.line or number}", title, _encodable(text))


def _encodable(text: str) -> str:
    """Replace half surrogate pairs, which JSON can hold and no file can."""
    return text.encode("utf-8", "replace").decode("utf-8")
