"""Data sets by name."""

from pathlib import Path

import pytest

from symbolic.affect.labels.rating_sets import load
from symbolic.errors import UsageError, UserError
from tests.symbolic.affect.affect_files import write_emobank


def test_a_set_is_named_with_its_folder_and_perhaps_its_scale(tmp_path: Path) -> None:
    folder = write_emobank(tmp_path / "e")
    kind, found = load(f"emobank:{folder}")
    assert (kind, len(found.items)) == ("text", 120)
    assert load(f"emobank:emobank5:{folder}")[1].items == found.items
    with pytest.raises(UserError, match=r"`emobank5`.*fits"):
        load(f"emobank:signed:{folder}")


@pytest.mark.parametrize("named", ["emobank", "deap:/tmp", ":/tmp"])
def test_unknown_names_are_answered_with_the_list(named: str) -> None:
    with pytest.raises(UsageError, match="NAME:PATH with one of emobank"):
        load(named)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        load(f"emobank:{tmp_path / 'none'}")
