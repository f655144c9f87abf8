"""One colour and one line pattern for each model family, everywhere that a figure is drawn.

The hues are those of Okabe and Ito ("Color Universal Design", 2008), which stay apart under every common colour-vision
deficiency; where a line must be read on paper or in grey, its pattern tells the family too. Light and dark are the two
backgrounds; each value has a contrast of at least 3:1 against its own (WCAG 2.2, 1.4.11, graphical objects).
"""

from collections.abc import Sequence
from dataclasses import dataclass

LIGHT_BACKGROUND = "#fcfcfa"
DARK_BACKGROUND = "#16181b"


@dataclass(frozen=True)
class Ink:
    """How a family is drawn: hex colour on a light and a dark background, SVG dash pattern ('' is solid)."""

    light: str
    dark: str
    dash: str = ""


FAMILIES = {
    "gpt2": Ink("#0072b2", "#56b4e9"),
    "mamba": Ink("#c25400", "#f0813d", "7 3"),
    "mamba2": Ink("#00805d", "#2fc99a", "2 3"),
    "lstm": Ink("#a3528a", "#d991c0", "9 4"),
    "gpt2-modern": Ink("#4b5fc4", "#9fb0ff", "12 3"),
    "mamba2-hybrid": Ink("#5c7a00", "#a8cc3a", "4 2"),
    "human": Ink("#3b3b3b", "#d6d6d6", "10 3 2 3"),
    "control": Ink("#7a7a7a", "#9a9a9a", "1 3"),
}
_OTHERS = (Ink("#b3404a", "#ff9aa2", "6 2"), Ink("#8a6d00", "#e6c84a", "5 2 1 2"))
_NUMBERED = (*(FAMILIES[name] for name in ("gpt2", "mamba", "mamba2", "lstm")), *_OTHERS, FAMILIES["human"])
_SERIES = {f"series {number}": ink for number, ink in enumerate(_NUMBERED)}


def ink(family: str) -> Ink:
    """Return the ink of a family, or of `series`; an unknown name always has the same of two spare inks."""
    return FAMILIES.get(family) or _SERIES.get(family) or _OTHERS[sum(map(ord, family)) % len(_OTHERS)]


def series(families: Sequence[str]) -> list[str]:
    """Return names by which to draw lines of these families: the families, or numbered inks where one comes twice."""
    if len(set(families)) == len(families):
        return list(families)
    return [f"series {number % len(_SERIES)}" for number in range(len(families))]


def contrast(colour: str, background: str) -> float:
    """Compute the WCAG contrast ratio of two #rrggbb colours, 1 to 21."""
    light, dark = sorted((_luminance(colour), _luminance(background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    """Compute the relative luminance of sRGB, 0 to 1."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
