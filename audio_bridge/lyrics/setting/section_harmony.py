"""The chords of a song's sections before there is a melody: a genre's progression, or one's own, with a cadence.

A progression is the chord symbols of each bar. One that is shorter than its section is repeated. From the bar in which
a section's last syllable is sung a genre's progression stands on the tonic, and the bar before it on another chord.
"""

from audio_bridge.lyrics.genre_styles import GenreStyle
from audio_bridge.lyrics.setting.rhythm_plan import SectionPlan
from symbolic.notation.chord_symbols import parse_chord, roman_chord
from symbolic.notation.theory import Key

_DOMINANTS = ("V7", "V", "V9", "V7sus4", "v", "bVII")


def section_chords(plan: SectionPlan, style: GenreStyle, role: str, key: Key, draw: int) -> list[list[str]]:
    """Return chord symbols of each bar of a section whose `role` is verse or chorus; `draw` chooses a progression."""
    progression = style.progression(role, key, draw)
    bars = [list(progression[i % len(progression)]) for i in range(plan.n_bars)]
    home, last = tonic_chord(style, key), last_bar(plan)
    bars[last:] = [[home]] * (len(bars) - last)
    if last > 0 and _is_home(bars[last - 1][-1], key):
        bars[last - 1][-1] = _dominant(style, key)
    return bars


def own_chords(plan: SectionPlan, progression: list[list[str]]) -> list[list[str]]:
    """Return a progression of one's own over the bars of a section: repeated, and otherwise as it is."""
    return [progression[i % len(progression)] for i in range(plan.n_bars)]


def last_bar(plan: SectionPlan) -> int:
    """Return the bar of a section in which its last syllable ends."""
    start = sum(line.bars for line in plan.lines[:-1]) * plan.meter.ticks
    return min(plan.n_bars - 1, max(0, start + plan.lines[-1].end - 1) // plan.meter.ticks)


def tonic_chord(style: GenreStyle, key: Key) -> str:
    """Return the chord on the tonic that the genre uses most in a key's mode, such as Imaj7."""
    numerals = [n for n in _numerals(style, key) if _is_tonic(n)]
    return roman_chord(max(numerals, key=numerals.count, default="i" if key.mode == "m" else "I"), key)


def _numerals(style: GenreStyle, key: Key) -> list[str]:
    mode = "minor" if key.mode in ("m", "dor", "phr") else "major"
    return [n for rows in style.progressions[mode].values() for row in rows for n in row.replace("|", " ").split()]


def _is_tonic(numeral: str) -> bool:
    return numeral[:1] in "Ii" and not numeral.lower().startswith(("ii", "iv"))


def _is_home(symbol: str, key: Key) -> bool:
    chord = parse_chord(symbol)
    return chord is not None and chord.root == key.tonic_pitch_class


def _dominant(style: GenreStyle, key: Key) -> str:
    used = _numerals(style, key)
    return roman_chord(next((n for n in _DOMINANTS if n in used), "V"), key)
