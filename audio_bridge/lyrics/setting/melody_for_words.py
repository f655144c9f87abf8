"""A tune for given words: their rhythm is planned, chords are laid under it, and a language model draws the pitches.

The model (any ABC model of `symbolic`, gpt2-6m by default) continues the text `M:4/4 L:1/8 K:G ...` under a mask that
forces every length, rest and bar line of the plan (`rhythm_plan`) and leaves the pitches to it: notes of the key within
the section's range, no leap over MAX_LEAP semitones in a line, chord tones on strong beats, on long notes and at the
ends of lines; the last note of a section is of its last chord, which is the tonic's. So one syllable has one note and
the rhythm holds by construction. The third line of four repeats the first's melody where rhythm and chords agree.

Of several tunes drawn the one is taken that is likeliest under the model and most like human songs (`melody_chooser`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audio_bridge.lyrics.setting import melody_chooser
from audio_bridge.lyrics.setting.rhythm_plan import LinePlan, SectionPlan
from audio_bridge.lyrics.setting.sung_melody import strength
from symbolic.decode.engine.mask import Mask
from symbolic.errors import UserError
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.theory import SEMITONES, TICKS_PER_QUARTER, Key, Meter, length_text, parse_key, pitch_name

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel

DEFAULT_MODEL = "gpt2-6m"
CANDIDATES = 8
LOWEST, HIGHEST = 59, 76  # B below middle C to the E an octave above it: most voices have these
MAX_LEAP = 9
LAST_LEAP, APPROACH = 5, 4  # largest leap into a section's last note; what each note before it may add
LONG = TICKS_PER_QUARTER  # from this length on a note is of the chord
HUMAN_WEIGHT = 1.0  # of unlikeness against the log-probability of a token
Progression = Sequence[Sequence[str]]  # chord symbols of each bar


@dataclass(frozen=True)
class MelodySection:
    """One melody to be written: its rhythm, the chords of its bars, its range, and `verse` or `chorus`."""

    plan: SectionPlan
    chords: Progression = ()
    lowest: int = LOWEST
    highest: int = HIGHEST
    role: str = "verse"


@dataclass(frozen=True, slots=True)
class Slot:
    """One piece of the text to be written: `literal` as it is, or a pitch.

    `copies` is an earlier pitch to repeat. A pitch is one of `classes` (all of the key where empty), never one of
    `avoided`, between `lowest` and `highest`; a `final` one may leap to reach its class. Notes before it
    are within `reach` semitones of a pitch of `goal`, its classes, so that it is not leapt to.
    """

    literal: str = ""
    is_pitch: bool = False
    copies: int = -1
    classes: frozenset[int] = frozenset()
    avoided: frozenset[int] = frozenset()
    lowest: int = LOWEST
    highest: int = HIGHEST
    is_final: bool = False
    goal: frozenset[int] = frozenset()
    reach: int = 0


@dataclass
class MelodyDraw:
    """A tune that was drawn: its tokens, log-probability, and the pitches of each section."""

    tokens: list[int]
    log_probability: float
    sections: list[list[int]] = field(default_factory=list)


def compose(
    sections: Sequence[MelodySection],
    *,
    key: str = "C",
    model: str = DEFAULT_MODEL,
    seed: int = 0,
    candidates: int = CANDIDATES,
    temperature: float = 0.9,
) -> list[str]:
    """Return the melody of each section as canonical ABC; drawn as one text, so that a chorus knows its verse."""
    mask, draws = draw(sections, key=key, model=model, seed=seed, candidates=candidates, temperature=temperature)
    roles = [section.role for section in sections]
    best = max(draws, key=lambda one: score(one, roles, mask.n_tokens))
    return _parted(mask, best.tokens, len(sections))


def draw(
    sections: Sequence[MelodySection],
    *,
    key: str = "C",
    model: str = DEFAULT_MODEL,
    seed: int = 0,
    candidates: int = CANDIDATES,
    temperature: float = 0.9,
) -> tuple["RhythmMask", list[MelodyDraw]]:
    """Return the mask of a song, and the tunes that a model draws under it."""
    from symbolic.decode.engine import engine
    from symbolic.decode.engine.sampling_rules import Sampling

    source = _loaded(model)
    mask = RhythmMask(source, sections, parse_key(key))
    drawn = engine.generate(
        source.model,
        [mask.prompt] * candidates,
        max_new_tokens=mask.n_tokens,
        n_tokens=source.tokenizer.n_tokens,
        eos=None,
        sampling=Sampling(temperature=temperature),
        seed=seed,
        batch_size=candidates,
        mask=mask,
    )
    return mask, [MelodyDraw(list(d.tokens), d.log_probability, mask.sections_of(d.tokens)) for d in drawn]


def _loaded(model: str) -> "LoadedModel":
    """Load the model, which is kept in memory for the next song until a file of its folder changes."""
    from symbolic import runs

    folder = runs.resolve(model).absolute()
    stamps = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    return _load(folder, tuple(stamps))


@lru_cache(maxsize=1)
def _load(folder: Path, _stamps: tuple[tuple[str, int], ...]) -> "LoadedModel":
    from symbolic.decode.loaded_model import load_source

    return load_source(str(folder), "cpu", "float32", threads=1, step="auto")


def score(one: MelodyDraw, roles: Sequence[str], n_tokens: int) -> float:
    """Return how good a tune is: its log-probability a token, less how unlike human songs it is."""
    return one.log_probability / n_tokens - HUMAN_WEIGHT * melody_chooser.section_cost(one.sections, roles)


class RhythmMask(Mask):
    """Forces the literals of the sections, restricts their pitches; the engine's Mask.

    The whole text is encoded once with the same pitch in every place, so that tokens which depend on what stands before
    them (counted grammar) are right; places of pitches are found by encoding it again with other pitches.
    """

    def __init__(self, source: "LoadedModel", sections: Sequence[MelodySection], key: Key) -> None:
        self.tokenizer = source.tokenizer
        self.size = source.model.config.vocab_size
        self.key = key
        self.header = f"M:{sections[0].plan.meter.text}\nL:1/8\nK:{key.text}\n"
        sections = [_with_home(section, key) for section in sections]
        parts = [_slots(section, key) for section in sections]
        starts = list(accumulate((sum(slot.is_pitch for slot in part) for part in parts), initial=0))
        slots = [_moved(slot, start) for part, start in zip(parts, starts) for slot in part]
        lowest, highest = min(s.lowest for s in sections), max(s.highest for s in sections)
        self.pitches, tokens = self._encoded(slots, scale(key, lowest, highest))
        pitch_slots = iter(slot for slot in slots if slot.is_pitch)
        first = next(i for i, token in enumerate(tokens) if token in self.pitches)
        whole: list[int | Slot] = [next(pitch_slots) if token in self.pitches else token for token in tokens]
        self.n_head = len(self.tokenizer.encode(self.header))
        self.n_head = self.n_head if self.n_head <= first else first
        self.prompt = [self.tokenizer.bos, *tokens[: self.n_head]]
        self.steps = whole[self.n_head :]
        self.section_starts = starts
        self.rows: dict[int, list[int]] = {}

    @property
    def n_tokens(self) -> int:
        """Tokens that a tune of the plan has."""
        return len(self.steps)

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a new tune in a row."""
        self.rows[row] = []

    def advance(self, row: int, token: int) -> None:
        """Note that a token was drawn."""
        self.rows[row].append(token)

    def allowed(self, row: int) -> np.ndarray:
        """Return which tokens may come, a mask (V,)."""
        mask = np.zeros(self.size, bool)
        step = self.steps[min(len(self.rows[row]), len(self.steps) - 1)]
        mask[step if isinstance(step, int) else self._choices(row, step)] = True
        return mask

    def pitches_of(self, tokens: Sequence[int]) -> list[int]:
        """Return the MIDI pitches of a tune's pitch slots."""
        return [self.pitches[t] for t, step in zip(tokens, self.steps) if isinstance(step, Slot)]

    def sections_of(self, tokens: Sequence[int]) -> list[list[int]]:
        """Return the MIDI pitches of each section, a tied note once for each of its parts left out."""
        slots = [step for step in self.steps if isinstance(step, Slot)]
        pitches = self.pitches_of(tokens)
        spans = zip(self.section_starts, self.section_starts[1:])
        return [[pitches[i] for i in range(a, b) if not slots[i].literal] for a, b in spans]

    def _encoded(self, slots: Sequence[Slot], notes: dict[int, str]) -> tuple[dict[int, int], list[int]]:
        """Return token of each of the key's notes -> MIDI pitch, and the tokens of the text with one note
        everywhere."""
        texts = [self.header + "".join(name if s.is_pitch else s.literal for s in slots) for name in notes.values()]
        encoded = [self.tokenizer.encode(text) for text in texts]
        n_slots = sum(slot.is_pitch for slot in slots)
        if len({len(tokens) for tokens in encoded}) == 1:
            places = [i for i in range(len(encoded[0])) if len({tokens[i] for tokens in encoded}) > 1]
            found = [{tokens[i] for i in places} for tokens in encoded]
            if len(places) == n_slots and all(len(own) == 1 for own in found):
                return {own.pop(): midi for own, midi in zip(found, notes)}, encoded[0]
        raise UserError("this model's vocabulary has no single tokens for pitches: use a grammar or character one.")

    def _choices(self, row: int, slot: Slot) -> list[int]:
        drawn = self.pitches_of(self.rows[row])
        if 0 <= slot.copies < len(drawn):
            return [id for id, midi in self.pitches.items() if midi == drawn[slot.copies]]
        inside = {id: midi for id, midi in self.pitches.items() if slot.lowest <= midi <= slot.highest}
        inside = inside or self.pitches
        wanted = {id: m for id, m in inside.items() if _is_wanted(m % 12, slot)} or inside
        wanted = {id: m for id, m in wanted.items() if _leads_home(m, slot)} or wanted
        if not drawn:
            return list(wanted)
        near = [id for id, midi in wanted.items() if abs(midi - drawn[-1]) <= MAX_LEAP]
        if not near:  # from wherever the line stands, the nearest note that is wanted
            closest = min(abs(midi - drawn[-1]) for midi in wanted.values())
            return [id for id, midi in wanted.items() if abs(midi - drawn[-1]) == closest]
        fresh = [id for id in near if self.pitches[id] != drawn[-1]]
        return fresh if fresh and not slot.is_final and len(drawn) > 1 and len(set(drawn[-2:])) == 1 else near


def scale(key: Key, lowest: int = LOWEST, highest: int = HIGHEST) -> dict[int, str]:
    """Return the key's notes in a range: MIDI pitch -> ABC, with no accidental written."""
    found = {}
    for octave in range(2, 7):
        for letter, semitone in SEMITONES.items():
            midi = 12 * (octave + 1) + semitone + key.accidentals[letter]
            if lowest <= midi <= highest:
                found[midi] = pitch_name(letter, octave)
    return found


def chord_at(chords: Progression, tick: int, meter: Meter) -> str:
    """Return the symbol that sounds at a tick of a section; '' without chords. A pick-up has the first bar's."""
    if not chords:
        return ""
    bar = chords[max(0, tick) // meter.ticks % len(chords)]
    return bar[max(0, tick) % meter.ticks * len(bar) // meter.ticks]


def _with_home(section: MelodySection, key: Key) -> MelodySection:
    """Return the section with a range that holds the root of its last chord, or the tonic: widened to the nearest one
    where none lies in it."""
    plan = section.plan
    end = sum(line.bars for line in plan.lines[:-1]) * plan.meter.ticks + plan.lines[-1].end
    chord = parse_chord(chord_at(section.chords, end - 1, plan.meter) or "")
    home = key.tonic_pitch_class if chord is None else chord.root
    below = section.lowest - (section.lowest - home) % 12
    above = section.highest + (home - section.highest) % 12
    if any(midi % 12 == home for midi in range(section.lowest, section.highest + 1)):
        return section
    if section.lowest - below < above - section.highest:
        return replace(section, lowest=below)
    return replace(section, highest=above)


def _is_wanted(pitch_class: int, slot: Slot) -> bool:
    return (not slot.classes or pitch_class in slot.classes) and pitch_class not in slot.avoided


def _leads_home(midi: int, slot: Slot) -> bool:
    """Return whether a pitch is near enough to one that the section may end on."""
    goals = [goal for goal in range(slot.lowest, slot.highest + 1) if goal % 12 in slot.goal]
    return not goals or min(abs(midi - goal) for goal in goals) <= slot.reach


def _slots(section: MelodySection, key: Key) -> list[Slot]:
    """Return the section as pieces of ABC in which only pitches are open, ended by a double bar."""
    plan, bar = section.plan, section.plan.meter.ticks
    copied = _copied_lines(section)
    slots: list[Slot] = []
    firsts: list[list[int]] = []
    clock, n_pitches, offset = -plan.pickup, 0, 0
    for number, line in enumerate(plan.lines):
        own: list[int] = []
        for i, onset in enumerate(line.onsets):
            end = offset + (line.onsets[i + 1] if i + 1 < len(line.onsets) else line.end)
            is_last = i == len(line.onsets) - 1
            is_final = is_last and number == len(plan.lines) - 1
            copy = firsts[copied[number]][i] if copied[number] >= 0 and not is_final else -1
            slots += _rests(clock, offset + onset, bar)
            if onset in line.triplets:
                slots.append(Slot("(3"))
            slots.append(_pitch_slot(section, key, offset + onset, end, is_last, is_final, copy))
            own.append(n_pitches)
            in_triplet = any(start <= onset < start + TICKS_PER_QUARTER for start in line.triplets)
            written, added = _held(offset + onset, end, bar, n_pitches, 3 if in_triplet else 2)
            slots += written
            n_pitches += 1 + added
            clock = end
        firsts.append(own)
        offset += line.bars * bar
    slots += _rests(clock, offset - plan.pickup, bar)
    if slots[-1] == Slot("|"):
        slots.pop()  # the double bar stands in its place
    return [*_led_home(slots), Slot("||")]


def _led_home(slots: Sequence[Slot]) -> list[Slot]:
    """Return the slots with a goal in the notes before the last one: its pitch classes, ever nearer."""
    places = [i for i, slot in enumerate(slots) if slot.is_pitch and not slot.literal]
    out, goal = list(slots), slots[places[-1]].classes
    for distance, place in enumerate(reversed(places[:-1])):
        if LAST_LEAP + APPROACH * distance > MAX_LEAP:
            break
        out[place] = replace(out[place], copies=-1, goal=goal, reach=LAST_LEAP + APPROACH * distance)
    return out


def _pitch_slot(
    section: MelodySection, key: Key, onset: int, end: int, is_last: bool, is_final: bool, copy: int
) -> Slot:
    """Return what a note may be by the chord under it, its beat and its length."""
    meter = section.plan.meter
    symbol = chord_at(section.chords, end - 1 if is_final else onset, meter)
    chord = parse_chord(symbol) if symbol else None
    in_scale = {(SEMITONES[letter] + sign) % 12 for letter, sign in key.accidentals.items()}
    tonic = key.tonic_pitch_class
    if chord is None:
        ends = frozenset({tonic} if is_final else {tonic, (tonic + 2) % 12, (tonic + 7) % 12})
        return Slot("", True, copy, ends if is_last else frozenset(), frozenset(),
                    section.lowest, section.highest, is_final)  # fmt: skip
    tones = frozenset(chord.classes) & in_scale
    if is_final:
        tones = frozenset({chord.root}) & in_scale or tones
    strong = is_last or strength(onset % meter.ticks, meter) >= 2 or end - onset >= LONG
    avoided = frozenset(
        x for tone in set(chord.classes) - in_scale for x in ((tone + 1) % 12, (tone - 1) % 12) if x in in_scale
    )
    avoided = avoided if len(in_scale - avoided) >= 4 else frozenset()
    return Slot("", True, copy, tones if strong else frozenset(), avoided, section.lowest, section.highest, is_final)


def _copied_lines(section: MelodySection) -> list[int]:
    """Return for each line the earlier one whose melody it repeats, or -1: the third is like the first where rhythm and
    chords agree."""
    lines, found, starts = section.plan.lines, [], [0]
    for line in section.plan.lines:
        starts.append(starts[-1] + line.bars)
    for i, line in enumerate(lines):
        same = i % 4 == 2 and line.onsets == lines[i - 2].onsets
        same = same and _chords_of(section, starts[i], line) == _chords_of(section, starts[i - 2], lines[i - 2])
        found.append(i - 2 if same else -1)
    return found


def _chords_of(section: MelodySection, first_bar: int, line: LinePlan) -> list[str]:
    meter = section.plan.meter
    return [chord_at(section.chords, first_bar * meter.ticks + onset, meter) for onset in line.onsets]


def _held(start: int, end: int, bar: int, index: int, written: int) -> tuple[list[Slot], int]:
    """Return the length of a note behind its pitch, written in halves of its sounding length (3 in a triplet); over a
    bar line it is tied, the same pitch again."""
    edge = (start // bar + 1) * bar
    if end <= edge:
        return [Slot(length_text((end - start) * written // 2)), *_bar_line(end, bar)], 0
    tied = [Slot(length_text(edge - start) + "-"), Slot("|"), Slot("tied", is_pitch=True, copies=index)]
    return [*tied, Slot(length_text(end - edge)), *_bar_line(end, bar)], 1


def _rests(start: int, end: int, bar: int) -> list[Slot]:
    """Return silence from start to end, cut at bar lines."""
    slots: list[Slot] = []
    while start < end:
        stop = min(end, (start // bar + 1) * bar)
        slots += [Slot("z" + length_text(stop - start)), *_bar_line(stop, bar)]
        start = stop
    return slots


def _bar_line(place: int, bar: int) -> list[Slot]:
    return [Slot("|")] if place % bar == 0 else []


def _moved(slot: Slot, n_before: int) -> Slot:
    """Move the slot of a section behind others, which have so many pitches."""
    return replace(slot, copies=slot.copies + n_before) if slot.copies >= 0 else slot


def _parted(mask: RhythmMask, tokens: Sequence[int], n_sections: int) -> list[str]:
    """Return the drawn text cut into its sections, each with the header and a final bar."""
    text = mask.tokenizer.decode([*mask.prompt[1:], *tokens])
    music = text[len(mask.header) :]
    parts = [part.rstrip("|") for part in music.split("||") if part]
    assert len(parts) == n_sections
    return [f"{mask.header}{part}|]\n" for part in parts]
