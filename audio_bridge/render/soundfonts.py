"""SoundFonts: the sampled instruments that a synthesiser plays, as records of source, terms and SHA-256.

The default font is read where the `pretty_midi` package installed it and never copied, since its licence is not ours.
A font of the user's own is named by its path, for one call or, in the environment variable VARIABLE, for all; its
hash then stands in the rendering's record.
"""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from symbolic.errors import UserError
from symbolic.files import sha256

VARIABLE = "ABC_SYMBOLIC_SOUNDFONT"


@dataclass(frozen=True)
class SoundFont:
    """A SoundFont 2 file: where it lies and under which terms."""

    name: str
    source: str
    licence: str
    sha256: str
    path: Path
    replaced: Mapping[int, int] = field(default_factory=dict)  # program -> the one that is played in its place
    cents: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)  # see TIMGM6MB_CENTS


TIMGM6MB_SHA256 = "82475b91a76de15cb28a104707d3247ba932e228bada3f47bba63c6b31aaf7a1"


# Its whistle (program 78) sounds no written note, so the piccolo's preset is played at the written pitch. By how many
# cents its harmonica (22) and flute (73) are off, from each MIDI note on: measured from the spectrum of each note.
TIMGM6MB_REPLACED = {78: 72}
TIMGM6MB_CENTS = {
    22: ((0, 3.0), (65, -29.4), (71, -35.8), (74, 3.0)),
    73: ((0, 7.4), (61, 15.3), (66, 0.3), (69, 13.1), (72, -5.8), (77, 0.3), (81, 3.7), (85, 2.2)),
}


def find(path: Path | str | None = None) -> SoundFont:
    """The font of a path, else that of the environment variable VARIABLE, else the default one.

    UserError when it is missing or no SoundFont.
    """
    path = path or os.environ.get(VARIABLE) or None
    return _default() if path is None else _own(Path(path))


def _default() -> SoundFont:
    """TimGM6mb: a complete General MIDI bank of 6 MB by Tim Brechbill."""
    package = importlib.util.find_spec("pretty_midi")
    if package is None or package.origin is None:
        raise UserError(
            "the default SoundFont comes with pretty_midi: pip install pretty_midi, or pass --soundfont FILE.sf2."
        )
    path = Path(package.origin).parent / "TimGM6mb.sf2"
    if not path.is_file() or sha256(path) != TIMGM6MB_SHA256:
        raise UserError(
            f"{path} is missing or is not the recorded TimGM6mb (SHA-256 {TIMGM6MB_SHA256[:12]}...): "
            "pip install --force-reinstall pretty_midi==0.2.11.post0, or pass --soundfont FILE.sf2."
        )
    return SoundFont("TimGM6mb", "pretty_midi (PyPI), timgm6mb-soundfont (Debian)", "GPL-2.0", TIMGM6MB_SHA256, path,
                     TIMGM6MB_REPLACED, TIMGM6MB_CENTS)  # fmt: skip


def _own(path: Path) -> SoundFont:
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise UserError(f"cannot read the SoundFont {path}: {error.strerror or error}. Pass a .sf2 file.") from error
    if head[:4] != b"RIFF" or head[8:12] != b"sfbk":
        raise UserError(f"{path} is not a SoundFont 2 file: it does not begin with RIFF....sfbk. Pass a .sf2 file.")
    return SoundFont(path.stem, "given by the user", "not recorded", sha256(path), path)
