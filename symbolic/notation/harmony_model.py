"""What chord follows what, and what is sung over it: counts of human chord symbols, and the probabilities they give.

A chord is written by its degree in semitones above the tonic and its family: `0`, `9m`, `77` (the dominant seventh),
`2dim`. Counted are, for major and minor tunes apart:

    changes   place in the section -> chord before -> chord -> how often
    notes     family -> semitones above the root (12 numbers) -> quarter notes, weighted by metrical place

Places tell a span's bar (the last of the tune or of its section, the one before, else its number modulo four) and
whether it begins the bar. A probability is that of the counts, smoothed towards the one with less context (Witten and
Bell 1991 in spirit, with fixed weights). The bundled counts are of the Nottingham Music Database (see its record in the
file); `symbolic.notation.harmony.count_harmony` makes such counts of any tunes with chord symbols.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from math import log
from pathlib import Path
from typing import Any

from symbolic.notation.chord_symbols import QUALITIES, ChordName

COUNTS_FILE = Path(__file__).with_name("harmony_counts.json")
FAMILIES = ("", "m", "7", "dim")
START = "start"  # the chord before the first
_TOWARDS_CHANGE, _TOWARDS_PLACE = 4.0, 12.0  # weight of the distribution with less context
_RAREST = 1e-4  # of a chord that was never counted
_NOTE_SMOOTHING = 0.3  # quarter notes added for each pitch class, of a hundred


@dataclass(frozen=True, slots=True)
class DegreeChord:
    """A chord relative to a tonic: `degree` in semitones above it, `family` one of FAMILIES."""

    degree: int
    family: str

    @property
    def text(self) -> str:
        """As it stands in the counts: `0`, `9m`, `7:7`."""
        return f"{self.degree}:{self.family}"

    @property
    def intervals(self) -> tuple[int, ...]:
        """Semitones above the root."""
        return QUALITIES[self.family]


@dataclass
class HarmonyCounts:
    """Counts of one mode. See the module's head."""

    changes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    notes: dict[str, list[float]] = field(default_factory=dict)

    def add_change(self, place: str, before: str, chord: str) -> None:
        """Count one span's chord."""
        row = self.changes.setdefault(place, {}).setdefault(before, {})
        row[chord] = row.get(chord, 0) + 1

    def add_notes(self, family: str, weights: Mapping[int, float]) -> None:
        """Count the notes over one span: weight of each interval above the root."""
        row = self.notes.setdefault(family, [0.0] * 12)
        for interval, weight in weights.items():
            row[interval] += weight


class HarmonyModel:
    """Log-probabilities of chords and notes, from counts."""

    def __init__(self, counts: HarmonyCounts) -> None:
        self.counts = counts
        self._unigram: Counter[str] = Counter()
        self._by_beat: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for place, rows in counts.changes.items():
            for before, row in rows.items():
                self._unigram.update(row)
                self._by_beat[place.split()[-1], before].update(row)
        self._total = sum(self._unigram.values())
        self._log_notes = {family: _log_shares(row) for family, row in counts.notes.items()}
        self._known = cache(self._log_change)

    @property
    def chords(self) -> list[DegreeChord]:
        """Every chord with at least one in 400 of the counts, commonest first."""
        names = [name for name, n in self._unigram.most_common() if 400 * n >= self._total]
        return [DegreeChord(int(degree), family) for degree, _, family in (name.partition(":") for name in names)]

    def log_change(self, before: str, chord: str, place: str) -> float:
        """log p(chord | the chord before, place); `before` is a chord's text or START."""
        return self._known(before, chord, place)

    def log_note(self, family: str, interval: int) -> float:
        """log p(a note so many semitones above the root | family)."""
        row = self._log_notes.get(family) or self._log_notes[""]
        return row[interval % 12]

    def _log_change(self, before: str, chord: str, place: str) -> float:
        unigram = max(_RAREST, self._unigram[chord] / self._total)
        beat = self._by_beat.get((place.split()[-1], before), Counter())
        less = (beat[chord] + _TOWARDS_CHANGE * unigram) / (beat.total() + _TOWARDS_CHANGE)
        row = self.counts.changes.get(place, {}).get(before, {})
        return log((row.get(chord, 0) + _TOWARDS_PLACE * less) / (sum(row.values()) + _TOWARDS_PLACE))


def place_of(bar: int, n_bars: int, *, begins_bar: bool, last_section: bool = False) -> str:
    """The name of a span's place: bar `bar` (from 0) of a section of `n_bars`, perhaps the tune's last."""
    left = n_bars - 1 - bar
    last = "final" if last_section else "last"
    where = last if left == 0 else "penultimate" if left == 1 else f"bar{bar % 4}"
    return f"{where} {'downbeat' if begins_bar else 'middle'}"


def degree_chord(name: ChordName, tonic: int) -> DegreeChord:
    """A chord symbol relative to a tonic's pitch class."""
    return DegreeChord((name.root - tonic) % 12, name.family)


@lru_cache(maxsize=4)
def bundled(mode: str) -> HarmonyModel:
    """The model of the bundled counts: `major` or `minor`."""
    return HarmonyModel(read_counts(json.loads(COUNTS_FILE.read_text(encoding="utf-8")))[mode])


def read_counts(value: Mapping[str, Any]) -> dict[str, HarmonyCounts]:
    """Counts by mode from a file's JSON."""
    return {mode: HarmonyCounts(value[mode]["changes"], value[mode]["notes"]) for mode in ("major", "minor")}


def as_json(counts: Mapping[str, HarmonyCounts], record: Mapping[str, Any]) -> dict[str, Any]:
    """Counts by mode as a file's JSON, `record` (source, terms, number of tunes) first."""
    rounded = {
        mode: {"changes": one.changes, "notes": {f: [round(x, 1) for x in row] for f, row in one.notes.items()}}
        for mode, one in counts.items()
    }
    return {"record": dict(record), **rounded}


def _log_shares(row: Sequence[float]) -> tuple[float, ...]:
    total = sum(row) or 1.0
    scaled = [100.0 * x / total + _NOTE_SMOOTHING for x in row]
    return tuple(log(x / sum(scaled)) for x in scaled)
