"""What a model is likely to write next after its last few tokens: a table made once from tunes of the same model.

It holds, for endings of 2 to 8 tokens, the token that followed most often; an ending is left out where a shorter one
foretells the same. Endings are told apart by 32 bits of a hash: a table that is wrong, or of another model, costs time
and changes no tune (symbolic.decode.engine.speculation).

    drafts.safetensors   keys (S) uint32, 0 for an empty place; tokens (S) uint16; S a power of two
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from symbolic.errors import UserError
from symbolic.files import write_whole

FILE = "drafts.safetensors"
SHORTEST, LONGEST = 2, 8  # tokens of an ending
MIN_COUNT = 2  # times that a token must have followed an ending
MAX_SHARE = 0.7  # of the places of a table that are taken
_FACTOR, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


class DraftTable:
    """A table, looked up place after place from where an ending's hash points."""

    def __init__(self, keys: np.ndarray, tokens: np.ndarray) -> None:
        self.n_entries = int(np.count_nonzero(keys))
        self._keys, self._tokens, self._size = memoryview(keys), memoryview(tokens), len(keys)

    def guess(self, ending: Sequence[int]) -> tuple[int, int] | None:
        """Return the token that is likely to follow, and the length of the ending that tells so; None if none does."""
        hashes = _hashes(ending)
        for n in range(len(hashes) - 1, -1, -1):
            token = self._find(hashes[n])
            if token is not None:
                return token, n + SHORTEST
        return None

    def _find(self, hashed: int) -> int | None:
        key, place = hashed & 0xFFFFFFFF or 1, (hashed >> 32) % self._size
        while self._keys[place]:
            if self._keys[place] == key:
                return int(self._tokens[place])
            place = (place + 1) % self._size
        return None


def build(tunes: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and tokens of the table of some tunes, each with its beginning-of-tune and end-of-tune token."""
    tokens = np.concatenate([np.asarray(tune, np.uint64) for tune in tunes])
    n_before = np.concatenate([np.arange(len(tune)) for tune in tunes])  # in its tune
    hashed = np.ones(len(tokens), np.uint64)  # of the n tokens before each place
    foretold = np.full(len(tokens), -1, np.int64)  # by an ending of fewer than n
    kept: dict[int, int] = {}
    for n in range(1, LONGEST + 1):
        places = np.flatnonzero(n_before >= n)
        hashed[places] = _mixed(hashed[places], tokens[places - n])
        if n < SHORTEST or not len(places):
            continue
        endings, first, of_place = np.unique(hashed[places], return_index=True, return_inverse=True)
        commonest, counts = _commonest(of_place, tokens[places].astype(np.int64), len(endings))
        known = foretold[places[first]]
        told = np.where(counts >= MIN_COUNT, commonest, known)
        is_new = told != known
        kept |= zip(endings[is_new].tolist(), told[is_new].tolist(), strict=True)
        foretold[places] = told[of_place]
    return _placed(kept)


def _commonest(of_place: np.ndarray, tokens: np.ndarray, n_endings: int) -> tuple[np.ndarray, np.ndarray]:
    """The token that follows each ending most often, the lowest of equals, and how often: (endings) each."""
    pairs, counts = np.unique(np.stack([of_place, tokens]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    ending, token, count = pairs[0][order], pairs[1][order], counts[order]
    is_first = np.r_[True, ending[1:] != ending[:-1]]
    assert is_first.sum() == n_endings
    return token[is_first], count[is_first]


def write(folder: Path, keys: np.ndarray, tokens: np.ndarray) -> None:
    """Write the table of a model into its folder."""
    write_whole(folder / FILE, save({"keys": keys, "tokens": tokens}))


def load(folder: Path) -> DraftTable | None:
    """Read the table of a model's folder; None where it has none. Raises UserError where it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        arrays = dict(deserialize(path.read_bytes()))
        keys, tokens = (
            np.frombuffer(arrays[name]["data"], kind) for name, kind in (("keys", "<u4"), ("tokens", "<u2"))
        )
        if len(keys) != len(tokens) or not 0 < np.count_nonzero(keys) < len(keys):
            raise ValueError("its arrays do not belong together")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it: it only makes single tunes faster.") from error
    return DraftTable(keys, tokens)


def _hashes(ending: Sequence[int]) -> list[int]:
    """Hashes of the last SHORTEST, ... tokens of an ending."""
    hashed, hashes = 1, []
    for n, token in enumerate(reversed(ending[-LONGEST:]), start=1):
        hashed = ((hashed ^ (token + 1)) * _FACTOR) & _MASK
        hashed ^= hashed >> 29
        if n >= SHORTEST:
            hashes.append(hashed)
    return hashes


def _mixed(hashed: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """A step of `_hashes` for many endings, uint64."""
    product = (hashed ^ (tokens + np.uint64(1))) * np.uint64(_FACTOR)
    return product ^ (product >> np.uint64(29))


def _placed(entries: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    size = 16
    while len(entries) > MAX_SHARE * size:
        size *= 2
    keys, tokens = np.zeros(size, np.uint32), np.zeros(size, np.uint16)
    for hashed, token in entries.items():
        place = (hashed >> 32) % size
        while keys[place]:
            place = (place + 1) % size
        keys[place], tokens[place] = hashed & 0xFFFFFFFF or 1, token
    return keys, tokens
