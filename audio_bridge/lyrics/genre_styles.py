"""Genres of songs as data: form, rhythm of the words, range, harmony, instruments and patterns of each.

They are read from `data/genres.toml`, whose head explains every key; a user's own file in that form adds genres or
replaces some. Patterns are one bar of equal steps; `steps_of` says how many ticks a step lasts in a meter.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from symbolic.errors import UsageError, UserError
from symbolic.notation.chord_symbols import parse_chord, roman_chord
from symbolic.notation.theory import SEMITONES, UNIT_TICKS, Key, Meter, parse_key, parse_meter

DATA = Path(__file__).with_name("data") / "genres.toml"
DEFAULT_GENRE = "pop"
WORD_LISTS = ("folk", "pop", "rock", "rap")
GRIDS = {"eighth": UNIT_TICKS, "sixteenth": UNIT_TICKS // 2}
STEPS = {"chords": "xX1234-.", "bass": "1358a-.", "drums": "Xxo."}
DRUMS = {  # General MIDI's percussion, by note
    "kick": 36, "rim": 37, "snare": 38, "clap": 39, "low_tom": 45, "mid_tom": 47, "high_tom": 50, "hat": 42,
    "open_hat": 46, "crash": 49, "ride": 51, "tambourine": 54, "cowbell": 56, "bongo_high": 60, "bongo_low": 61,
    "conga_high": 63, "conga_low": 64, "cabasa": 69, "shaker": 70, "claves": 75, "triangle": 81,
}  # fmt: skip
MAX_FILE_CHARACTERS = 200_000


@dataclass(frozen=True)
class RhythmStyle:
    """How words are placed in time.

    `unit_ticks` is the grid's step; `gaps` and `figures` are costs in steps; `triplets` is None where three
    syllables never share a beat.
    """

    unit_ticks: int = UNIT_TICKS
    gaps: tuple[tuple[int, float], ...] = ((1, 0.15), (2, 0.0), (3, 0.25), (4, 0.6), (5, 1.2), (6, 1.6))
    figures: tuple[tuple[tuple[int, int], float], ...] = ()
    pickup: float = 0.1
    syncopation: float = 0.8
    triplets: float | None = None
    room: float = 1.25  # eighths for each syllable of a line, at least


@dataclass(frozen=True)
class InstrumentPart:
    """An instrument with its pattern; melodies have none."""

    instrument: str
    velocity: int
    pattern: str = ""


@dataclass(frozen=True)
class GenreStyle:
    """One genre. `ranges` holds (lowest, highest) MIDI pitch of verse and chorus; `progressions` Roman numerals by mode
    and section; `drums` patterns by section (verse, chorus) and instrument."""

    name: str
    words: str
    meter: str
    tempo: tuple[float, float]
    keys: tuple[str, ...]
    form: Mapping[str, str]
    rhythm: RhythmStyle
    ranges: Mapping[str, tuple[int, int]]
    progressions: Mapping[str, Mapping[str, tuple[str, ...]]]
    melody: InstrumentPart
    chords: InstrumentPart
    bass: InstrumentPart
    drums: Mapping[str, Mapping[str, str]]
    aliases: tuple[str, ...] = field(default=())

    def progression(self, section: str, key: Key, draw: int) -> list[list[str]]:
        """Return chord symbols of each bar of a section (verse or chorus) in a key; `draw` chooses among the
        genre's."""
        mode = "minor" if key.mode in ("m", "dor", "phr") else "major"
        choices = self.progressions[mode][section]
        bars = choices[draw % len(choices)].split("|")
        return [[roman_chord(numeral, key) for numeral in bar.split()] for bar in bars]


def styles(own: str | None = None) -> dict[str, GenreStyle]:
    """Return every genre by name: the bundled ones, with those of a user's own TOML text added or in their place."""
    found = dict(_bundled())
    if own:
        found |= _parsed(own, "the file of --genres")
    return found


def find_style(name: str, own: str | None = None) -> GenreStyle:
    """Return the genre of a name or alias, `hip-hop` -> rap, `Indie Folk` -> folk; pop for ''. UsageError lists them
    all."""
    known = styles(own)
    wanted = re.sub(r"\s+", " ", name.lower().strip())
    if not wanted:
        return known[DEFAULT_GENRE]
    names = {alias: style for style in known.values() for alias in (style.name, *style.aliases)}
    if wanted in names:
        return names[wanted]
    inside = [alias for alias in names if re.search(rf"(^|[\s/-]){re.escape(alias)}($|[\s/-])", wanted)]
    if inside:
        return names[max(inside, key=lambda alias: (wanted.rfind(alias) + len(alias), len(alias)))]
    raise UsageError(
        f"there is no genre {name!r}. There are {', '.join(known)}; a file of your own adds more (--genres FILE.toml)."
    )


def nearest_style(name: str, own: str | None = None) -> GenreStyle:
    """Return what `find_style` does, or pop for a name that is not known: for lyrics of any genre that a corpus
    names."""
    try:
        return find_style(name, own)
    except UsageError:
        return styles(own)[DEFAULT_GENRE]


def steps_of(pattern: str, style_meter: Meter, meter: Meter) -> list[tuple[int, int, str]]:
    """Return (tick, ticks of a step, sign) of each step of a bar; in a meter of another length the pattern is repeated
    and cut."""
    step = style_meter.ticks // len(pattern)
    n_steps = -(-meter.ticks // step)
    return [(i * step, step, pattern[i % len(pattern)]) for i in range(n_steps)]


@lru_cache(maxsize=1)
def _bundled() -> dict[str, GenreStyle]:
    return _parsed(DATA.read_text(encoding="utf-8"), DATA.name)


@lru_cache(maxsize=8)
def _parsed(text: str, where: str) -> dict[str, GenreStyle]:
    if len(text) > MAX_FILE_CHARACTERS:
        raise UserError(f"{where} has {len(text):,} characters; at most {MAX_FILE_CHARACTERS:,} are read.")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where} is not TOML: {error}. Its form is that of {DATA.name}.") from error
    return {name.lower(): _style(name.lower(), table, f"{where}: [{name}]") for name, table in tables.items()}


def _style(name: str, table: Any, where: str) -> GenreStyle:
    """Check a genre's table and return its style. Raises UserError that says which key is wrong."""
    try:
        style = GenreStyle(
            name=name,
            words=_one_of(table.get("words", "pop"), WORD_LISTS),
            meter=parse_meter(table["meter"]).text,
            tempo=(float(table["tempo"][0]), float(table["tempo"][1])),
            keys=tuple(parse_key(key).text for key in table["keys"]),
            form=dict(table["form"]),
            rhythm=_rhythm(table.get("rhythm", {})),
            ranges={section: _range(table["range"][section]) for section in ("verse", "chorus")},
            progressions=_progressions(table["progressions"]),
            melody=_part(table["melody"], ""),
            chords=_part(table["chords"], STEPS["chords"]),
            bass=_part(table["bass"], STEPS["bass"]),
            drums=_drums(table),
            aliases=tuple(str(alias).lower() for alias in table.get("aliases", ())),
        )
        _check(style)
        return style
    except KeyError as error:
        raise UserError(f"{where}: the key {error.args[0]!r} is missing; see {DATA.name}.") from error
    except (TypeError, ValueError, AttributeError, IndexError, UserError) as error:
        raise UserError(f"{where}: {error}") from error


def _check(style: GenreStyle) -> None:
    meter = parse_meter(style.meter)
    patterns = [style.chords.pattern, style.bass.pattern, *(p for rows in style.drums.values() for p in rows.values())]
    wrong = next((p for p in patterns if not p or meter.ticks % len(p)), None)
    if wrong is not None:
        raise UserError(f"the pattern {wrong!r} does not part a bar of {style.meter} into equal steps")
    if not style.keys or not 20 <= style.tempo[0] <= style.tempo[1] <= 400:
        raise UserError("give one key or more, and a tempo such as [90, 110]")
    for key in map(parse_key, style.keys):
        for section in ("verse", "chorus"):
            for draw in range(8):
                symbols = [symbol for bar in style.progression(section, key, draw) for symbol in bar]
                bad = next((symbol for symbol in symbols if parse_chord(symbol) is None), None)
                if bad is not None:
                    raise UserError(f"the chord {bad} is not known")


def _one_of(value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UserError(f"{value!r} is none of {', '.join(choices)}")
    return value


def _rhythm(table: Mapping[str, Any]) -> RhythmStyle:
    plain = RhythmStyle()
    gaps = {int(steps): float(cost) for steps, cost in table.get("gaps", {}).items()}
    figures = {tuple(map(int, name.split())): float(cost) for name, cost in table.get("figures", {}).items()}
    return RhythmStyle(
        unit_ticks=GRIDS[_one_of(table.get("grid", "eighth"), tuple(GRIDS))],
        gaps=tuple(sorted(gaps.items())) or plain.gaps,
        figures=tuple(((pair[0], pair[1]), cost) for pair, cost in figures.items()),
        pickup=float(table.get("pickup", plain.pickup)),
        syncopation=float(table.get("syncopation", plain.syncopation)),
        triplets=None if table.get("triplets") is None else float(table["triplets"]),
        room=float(table.get("room", plain.room)),
    )


def _range(names: list[str]) -> tuple[int, int]:
    low, high = (_midi(name) for name in names)
    if high - low < 7:
        raise UserError(f"the range {names} is narrower than a fifth")
    return low, high


def _midi(name: str) -> int:
    match = re.fullmatch(r"([A-Ga-g])([,']*)", name)
    if match is None:
        raise UserError(f"{name!r} is not a note; write C for middle C, c above it, B, below it")
    octave = 5 if match[1].islower() else 4
    return 12 * (octave + 1 + match[2].count("'") - match[2].count(",")) + SEMITONES[match[1].upper()]


def _progressions(table: Mapping[str, Any]) -> dict[str, dict[str, tuple[str, ...]]]:
    modes = {mode: {s: tuple(rows[s]) for s in ("verse", "chorus")} for mode, rows in table.items()}
    known = next(iter(modes.values()))
    return {mode: modes.get(mode, known) for mode in ("major", "minor")}


def _part(table: Mapping[str, Any], signs: str) -> InstrumentPart:
    from audio_bridge.render.instruments import program

    program(table["instrument"])
    pattern = re.sub(r"\s", "", str(table.get("pattern", "")))
    _check_signs(pattern, signs)
    velocity = int(table.get("velocity", 80))
    if not 1 <= velocity <= 127:
        raise UserError(f"velocity {velocity} is not from 1 to 127")
    return InstrumentPart(table["instrument"], velocity, pattern)


def _drums(table: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    verse, chorus = table.get("drums", {}), table.get("drums_chorus", table.get("drums", {}))
    for name, pattern in {**verse, **chorus}.items():
        _one_of(name, tuple(DRUMS))
        _check_signs(pattern, STEPS["drums"])
    return {"verse": dict(verse), "chorus": dict(chorus)}


def _check_signs(pattern: str, signs: str) -> None:
    wrong = next((sign for sign in pattern if sign not in signs), None)
    if wrong is not None:
        raise UserError(f"{wrong!r} in the pattern {pattern!r} is none of the signs {' '.join(signs)}")
