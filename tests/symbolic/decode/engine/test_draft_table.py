"""A table of likely next tokens: what follows most often, by the longest ending that tells more than a shorter one."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.decode.engine import draft_table
from symbolic.decode.engine.draft_table import DraftTable
from symbolic.errors import UserError

TUNES = [[1, 4, 5, 6, 7, 2], [1, 4, 5, 6, 7, 2], [1, 9, 5, 6, 8, 2], [1, 9, 5, 6, 8, 2], [1, 4, 5, 6, 7, 2], [1, 3, 2]]


def test_the_commonest_follower_is_foretold_by_the_longest_ending_that_is_needed() -> None:
    table = DraftTable(*draft_table.build(TUNES))
    assert table.guess([1, 4, 5, 6]) == (7, 2)  # after 5 6 comes 7, three times of five
    assert table.guess([1, 9, 5, 6]) == (8, 3)  # but after 9 5 6 comes 8
    assert table.guess([9, 5, 6, 8]) == (2, 2)
    assert table.guess([1, 3]) is None  # seen once
    assert table.guess([1]) is None and table.guess([]) is None and table.guess([30, 31, 32]) is None


def test_an_ending_does_not_reach_into_the_tune_before() -> None:
    table = DraftTable(*draft_table.build([[1, 8, 2], [1, 9, 2], [1, 8, 2], [1, 9, 2]]))
    assert table.guess([8, 2]) is None and table.guess([2, 1]) is None
    assert table.guess([1, 8]) == (2, 2)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert draft_table.load(tmp_path) is None
    rng = np.random.default_rng(0)
    tunes = [list(rng.integers(0, 12, 60)) for _ in range(50)]
    keys, tokens = draft_table.build(tunes)
    draft_table.write(tmp_path, keys, tokens)
    table, again = DraftTable(keys, tokens), draft_table.load(tmp_path)
    assert again is not None and again.n_entries == table.n_entries > 100
    for tune in tunes:
        for place in range(2, 60):
            assert again.guess(tune[:place]) == table.guess(tune[:place])


@pytest.mark.parametrize("damage", ["cut", "full", "unlike"])
def test_a_damaged_table_is_refused(damage: str, tmp_path: Path) -> None:
    """A table without an empty place would be searched without end."""
    keys, tokens = draft_table.build(TUNES)
    draft_table.write(tmp_path, keys | 1 if damage == "full" else keys, tokens[:-1] if damage == "unlike" else tokens)
    if damage == "cut":
        path = tmp_path / draft_table.FILE
        path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match=r"drafts\.safetensors is damaged.*Delete it"):
        draft_table.load(tmp_path)
