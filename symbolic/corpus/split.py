"""Family-disjoint split of the indexed tunes into training, validation and test, with its leakage.

A family (symbolic.corpus.families) lies in one split; duplicates take no part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus import families
from symbolic.corpus.phrase_index import PhraseIndex

SPLITS = (families.TRAIN, families.VALID, families.TEST)


@dataclass(frozen=True)
class TuneSplit:
    """The split of n tunes.

    part: index into SPLITS per tune, -1 for duplicates, int8, shape (n,). named_by: for each tune, the tune whose key
    names its family, int64, shape (n,). leakage: test tunes that share a phrase with training tunes, by kind of split.
    """

    part: NDArray[np.int8]
    named_by: NDArray[np.int64]
    leakage: dict[str, dict[str, float]]

    def of(self, name: str) -> NDArray[np.bool_]:
        """Return the mask of the tunes of one split, shape (n,)."""
        return self.part == SPLITS.index(name)

    def family_sizes(self) -> NDArray[np.int64]:
        """Return the number of tunes in each family."""
        return np.unique(self.named_by[self.part >= 0], return_counts=True)[1]


@dataclass(frozen=True)
class _Names(Sequence[str]):
    """Lazy sequence: the string `of(tune)` for each of `tunes`, read on access."""

    of: Callable[[int], str]
    tunes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tunes)

    def __getitem__(self, place: Any) -> Any:
        return self.of(int(self.tunes[place]))


def split_tunes(
    corpus_index: PhraseIndex, stays: NDArray[np.bool_], fractions: Mapping[str, float], seed: int
) -> TuneSplit:
    """Split the tunes marked in `stays`, shape (n,), by family; `fractions` has the keys "valid" and "test".

    Leakage is computed for this split and, for comparison, for random splits of single tunes, as most papers use.
    """
    everyone = np.arange(len(corpus_index))
    staying = everyone[stays]
    options = {"seed": seed, "valid_fraction": fractions["valid"], "test_fraction": fractions["test"]}

    def assign(family: NDArray[np.int64], name: Callable[[int], str], tunes: NDArray[np.int64]) -> NDArray[np.int8]:
        """Index into SPLITS for every tune, -1 outside `tunes`, int8, shape (n,)."""
        found = np.full(len(everyone), -1, dtype=np.int8)
        found[tunes] = families.codes(families.split(family, _Names(name, tunes), **options))  # type: ignore[arg-type]
        return found

    def id_of(tune: int) -> str:
        """Return the id of a tune."""
        return str(corpus_index.card(tune)["id"])

    family = families.joined(corpus_index.phrases(), len(everyone), stays)
    part = assign(family[staying], corpus_index.key, staying)
    splits = {
        "random_split_with_duplicates": (assign(everyone, id_of, everyone), families.TEST),
        "random_split": (assign(staying, id_of, staying), families.TEST),
        "family_split": (part, families.TEST),
        "family_split_valid": (part, families.VALID),
    }
    found = families.leakages(corpus_index.phrases(), corpus_index.n_notes, list(splits.values()))
    leakage = {name: one.as_dict() for name, one in zip(splits, found, strict=True)}
    return TuneSplit(part, _named_by(corpus_index.keys, family, staying), leakage)


def _named_by(keys: NDArray[np.uint64], family: NDArray[np.int64], staying: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each tune the tune of its family with the smallest key (independent of input order)."""
    falling = staying[np.lexsort((keys[staying, 1], keys[staying, 0]))[::-1]]
    smallest = np.arange(len(family))
    smallest[family[falling]] = falling  # of several values written to a place the last one stays
    return smallest[family]
