"""What raters read, from text files: languages/LANG.txt holds `key = text` lines; {names} are filled in by the page.

A language is added by one more file with the same keys; a criterion of one's own that no file names is shown as it is.
"""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"


@cache
def wording(language: str) -> dict[str, str]:
    """All texts of a language; English for one that has no file."""
    path = FOLDER / f"{language}.txt"
    if language not in languages():
        path = FOLDER / f"{FALLBACK}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(" = ") for line in lines if line.strip())
    return {key: text for key, _, text in pairs}


@cache
def languages() -> tuple[str, ...]:
    """The languages there are files of, English first."""
    found = sorted(path.stem for path in FOLDER.glob("*.txt"))
    return (FALLBACK, *(name for name in found if name != FALLBACK))
