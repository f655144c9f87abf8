"""YAML read by the type of each field: values, unions by family, overrides, and where messages point."""

from dataclasses import dataclass
from typing import Literal

import pytest

from symbolic import strict_yaml
from symbolic.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Violin:
    family: Literal["violin"] = "violin"
    strings: int = 4


@dataclass(frozen=True, kw_only=True)
class Flute:
    family: Literal["flute"] = "flute"
    is_wooden: bool = False


@dataclass(frozen=True, kw_only=True)
class Player:
    name: str
    plays: Violin | Flute
    gain: float = 0.0
    seat: int | None = None


def read(text: str, *overrides: tuple[str, str]) -> Player:
    tree = strict_yaml.compose(text, "x.yaml")
    for key, value in overrides:
        strict_yaml.override(tree, key, value, ["name", "gain", "seat", "plays.family", "plays.strings"])
    player: Player = strict_yaml.read_dataclass(tree, tree.root, Player, "")
    return player


def test_values_have_the_type_of_their_field() -> None:
    text = "name: Ana\nplays:\n  family: flute\n  is_wooden: true\ngain: -3\nseat: null\n"
    assert read(text) == Player(name="Ana", plays=Flute(is_wooden=True), gain=-3.0, seat=None)


def test_a_union_is_told_by_family() -> None:
    assert strict_yaml.families(Violin | Flute) == {"violin": Violin, "flute": Flute}
    with pytest.raises(UsageError, match=r"^x\.yaml:2: plays\.family: `oboe` is not one of violin, flute\.$"):
        read("name: Ana\nplays: {family: oboe}\n")
    with pytest.raises(UsageError, match=r"^x\.yaml:2: the key 'plays\.family' is missing"):
        read("name: Ana\nplays:\n  strings: 4\n")


def test_a_key_of_another_family_is_unknown() -> None:
    with pytest.raises(UsageError, match=r"^x\.yaml:4: plays\.strings: no such key"):
        read("name: Ana\nplays:\n  family: flute\n  strings: 4\n")


def test_overrides_stand_in_for_keys_and_are_blamed_by_their_option() -> None:
    text = "name: Ana\nplays: {family: violin}\n"
    assert read(text, ("plays.strings", "5"), ("gain", "1e-1")) == Player(name="Ana", plays=Violin(strings=5), gain=0.1)
    with pytest.raises(UsageError, match=r"^--plays\.strings: expected a whole number, found `many`\.$"):
        read(text, ("plays.strings", "many"))
    with pytest.raises(UsageError, match=r"^--plays\.string: no such key: did you mean 'plays\.strings'\?$"):
        read(text, ("plays.string", "5"))


def test_a_failed_check_is_blamed_on_the_option_that_it_compares_with() -> None:
    tree = strict_yaml.compose("name: Ana\nplays: {family: violin}\n", "x.yaml")
    strict_yaml.override(tree, "gain", "7", ["name", "gain"])
    strict_yaml.read_dataclass(tree, tree.root, Player, "")
    told = strict_yaml.blame(tree, "name", "is too short for gain 7.", ["name", "gain"])
    assert told == "--gain: name (x.yaml:1) is too short for gain 7."
    assert strict_yaml.blame(tree, "name", "is too short.", ["name"]) == "x.yaml:1: name: is too short."


@pytest.mark.parametrize("text", ["- a\n", "name: [\n", "", "7"])
def test_what_is_no_mapping_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^x\.yaml:\d+: "):
        strict_yaml.compose(text, "x.yaml")


def test_a_dump_is_read_back() -> None:
    value = {"name": "Zoë", "plays": {"family": "violin", "strings": 5}, "gain": 1e-8, "seat": 3}
    assert read(strict_yaml.dump(value)) == Player(name="Zoë", plays=Violin(strings=5), gain=1e-8, seat=3)


def test_values_nested_without_end_are_refused() -> None:
    with pytest.raises(UsageError, match=r"x\.yaml: its values are nested too deeply"):
        strict_yaml.compose("a: " + "[" * 100_000, "x.yaml")
