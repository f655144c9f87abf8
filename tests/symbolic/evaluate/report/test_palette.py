"""Inks: contrast as WCAG defines it, one ink a name, numbered ones where a family comes twice."""

import pytest

from symbolic.config import FAMILIES as MODEL_FAMILIES
from symbolic.evaluate.report import palette


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
        ("#123456", "#123456", 1.0),
    ],
)
def test_contrast_of_known_pairs(one: str, other: str, expected: float) -> None:
    assert palette.contrast(one, other) == pytest.approx(expected, abs=0.01)
    assert palette.contrast(other, one) == palette.contrast(one, other)


def test_every_model_family_has_an_ink_of_its_own() -> None:
    inks = [palette.ink(family) for family in MODEL_FAMILIES]
    assert len(set(inks)) == len(inks) and all(family in palette.FAMILIES for family in MODEL_FAMILIES)


def test_an_unknown_name_keeps_its_ink() -> None:
    assert palette.ink("retnet") == palette.ink("retnet")


def test_a_family_that_comes_twice_is_numbered() -> None:
    assert palette.series(["gpt2", "mamba"]) == ["gpt2", "mamba"]
    names = palette.series(["gpt2", "gpt2", "mamba"])
    assert len(set(names)) == 3 and len({palette.ink(name) for name in names}) == 3
