"""Which tunes of a register are held out: their families, the split, and how far others would leak.

A tune is held out with its whole family (symbolic.corpus.families); what repeats another tune takes no part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus import families
from symbolic.corpus.phrase_index import Register

SPLITS = (families.TRAIN, families.VALID, families.TEST)


@dataclass(frozen=True)
class Holdout:
    """Of each tune: its place in SPLITS, -1 where it takes no part, and a tune whose key names its family."""

    part: NDArray[np.int8]
    named_by: NDArray[np.int64]
    leakage: dict[str, dict[str, float]]

    def of(self, name: str) -> NDArray[np.bool_]:
        """(n,) the tunes of one split."""
        return self.part == SPLITS.index(name)

    def family_sizes(self) -> NDArray[np.int64]:
        """Tunes of each family."""
        return np.unique(self.named_by[self.part >= 0], return_counts=True)[1]


@dataclass(frozen=True)
class _Names(Sequence[str]):
    """Something of each of some tunes, read when it is asked for."""

    of: Callable[[int], str]
    tunes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tunes)

    def __getitem__(self, place: Any) -> Any:
        return self.of(int(self.tunes[place]))


def hold_out(register: Register, stays: NDArray[np.bool_], fractions: Mapping[str, float], seed: int) -> Holdout:
    """Split the tunes that stay by family; `fractions` are those of `valid` and `test`.

    The leakage is told of this split, and of ones that deal out single tunes, as most published ones do.
    """
    everyone = np.arange(len(register))
    staying = everyone[stays]
    options = {"seed": seed, "valid_fraction": fractions["valid"], "test_fraction": fractions["test"]}

    def dealt(family: NDArray[np.int64], name: Callable[[int], str], tunes: NDArray[np.int64]) -> NDArray[np.int8]:
        """(n,) places in SPLITS of all tunes, of which `tunes` take part."""
        found = np.full(len(everyone), -1, dtype=np.int8)
        found[tunes] = families.codes(families.split(family, _Names(name, tunes), **options))  # type: ignore[arg-type]
        return found

    def id_of(tune: int) -> str:
        return str(register.card(tune)["id"])

    family = families.joined(register.phrases(), len(everyone), stays)
    part = dealt(family[staying], register.key, staying)
    splits = {
        "random_split_with_duplicates": (dealt(everyone, id_of, everyone), families.TEST),
        "random_split": (dealt(staying, id_of, staying), families.TEST),
        "family_split": (part, families.TEST),
        "family_split_valid": (part, families.VALID),
    }
    found = families.leakages(register.phrases(), register.n_notes, list(splits.values()))
    leakage = {name: one.as_dict() for name, one in zip(splits, found, strict=True)}
    return Holdout(part, _named_by(register.keys, family, staying), leakage)


def _named_by(keys: NDArray[np.uint64], family: NDArray[np.int64], staying: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the tune with the smallest key of each one's family, which does not depend on the order of the input."""
    falling = staying[np.lexsort((keys[staying, 1], keys[staying, 0]))[::-1]]
    smallest = np.arange(len(family))
    smallest[family[falling]] = falling  # of several values written to a place the last one stays
    return smallest[family]
