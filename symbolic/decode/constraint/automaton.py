"""An automaton over the characters of canonical ABC that accepts valid tunes whose bars are full.

`Automaton.step(state, character)` reads one character of a tune in canonical spelling (symbolic.notation.abc_parser)
and returns the next state, or None if no valid tune continues so. Every state it returns can be completed to a valid
tune: no note begins that does not fit the bar, no length or tuplet that could not come out even
(symbolic.decode.constraint.shortest_ending writes that completion).

A `LexerState` holds its place in the syntax, the unfinished symbol there, the ticks left in the bar, the form of the
section so far (symbolic.decode.constraint.bar_state) and what is owed: slurs to close, a note after a tie. States
compare by value. A step depends on the ticks left only by comparing them with minimum lengths; the largest amount by
which they fell short is recorded in `shortfall`, so that a reading in an unbounded bar tells how many ticks it needs in
any bar (symbolic.decode.constraint.token_mask).

The parser reads more than the automaton writes. Left out: several voices; free meter; a meter of more than four whole
notes; notes shorter than a 128th or outside the octaves C,,, to b'''; tuplets across a bar line, inside another, or of
more than nine notes; the same letter and octave twice in a chord; more than MAX_MARKS decorations on a note or
MAX_SLURS open slurs; a slur over grace notes alone; decorations and chord symbols that are not in
symbolic.decode.constraint.lexicon; [M:] and bar lines where the checker would not count
(symbolic.decode.constraint.bar_state).

Also left out is what abc2midi reports as an error (symbolic.evaluate.checkers.abc2midi): a tie to any note but the same
letter and octave without accidental, or to or from a chord; a tie after a staccato, trilled or rolled note, before a
roll, over `::` or into an ending, over a grace note or [K:]; grace notes with no note after them in their bar; rolls
and trills on chords, rolls in tuplets and after grace notes; a !name! after a decoration of one sign.
"""

import re
from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import NamedTuple

from symbolic.decode.constraint import lexicon
from symbolic.decode.constraint.bar_state import MIN_BARS, FormState, bar_lines, can_be_kept
from symbolic.decode.constraint.lexicon import GRID_TICKS, OpenTuplet, Spelling, Spellings, lengths, tuplets
from symbolic.errors import UserError
from symbolic.notation.canonical import DECORATIONS
from symbolic.notation.theory import Meter

MAX_MARKS = 3
MAX_SLURS = 2
MAX_CHORD_NOTES = 7
LOW_OCTAVE, HIGH_OCTAVE = 1, 8  # C,,, is MIDI 24; b''' with a double sharp is 121
LETTERS = "CDEFGABcdefgab"
ACCIDENTALS = ("^", "^^", "_", "__", "=")


class Place(IntEnum):
    """Place of a state in the syntax of a tune."""

    METER, UNIT, KEY = 1, 2, 3  # in the line M:; in L: and up to K:; in the rest of K:
    START = 4  # at the beginning of a piece; `text` holds the letters of the fields since the bar line
    OPEN = 5  # between symbols; `text` is the one before: note, sound (rest, tie, slur's end), grace, quote...
    ACCIDENTAL, NOTE, LENGTH = 6, 7, 8  # after an accidental; after a letter; before or in a length
    MARK, NAME, QUOTE = 9, 10, 11  # after a decoration; in its name; in a chord symbol
    PAREN, TUPLET = 12, 13  # after (; in a tuplet's numbers
    BRACKET, FIELD = 14, 15  # after [; in an inline field
    CHORD, GRACE = 16, 17  # between the notes of a chord; of grace notes
    BAR = 18  # in a bar line
    END = 19  # at the end of the tune


class Owed(IntEnum):
    """The note that must still come before the tune may end: none, any, or the second note of a tie."""

    NOTHING, ANY_NOTE, TIED_NOTE = 0, 1, 2


class LexerState(NamedTuple):
    """State of the automaton, as the module describes it.

    pitches: those of an open chord, as positions on the staff; empty in grace notes, None elsewhere.
    marks: decorations of the note to come; or "z" in a rest, "[" in a chord, "." in a note that no tie may follow,
    "|" in a bar line at the beginning of a piece.
    """

    place: Place
    text: str = ""  # the unfinished symbol
    ticks_left: int = 0  # in the bar, or in the part of it up to the next bar line
    form: FormState = FormState(Meter(4, 4))
    tuplet: OpenTuplet | None = None
    n_slurs: int = 0
    owed: Owed = Owed.ANY_NOTE
    pitches: frozenset[int] | None = None
    marks: str = ""
    is_graced: bool = False  # grace notes wait for their note
    pitch: str = ""  # letter and octave of the note that is being read or was, which a tie would hold

    @property
    def ticks(self) -> int:
        """Ticks of the piece so far; a piece is what stands between two bar lines."""
        return self.form.max_ticks - self.ticks_left

    @property
    def owes_nothing(self) -> bool:
        """True if no slur is open and no note is owed."""
        return not self.n_slurs and self.owed == Owed.NOTHING

    @property
    def follows_bar(self) -> bool:
        """True at the beginning of a piece, also inside an inline field or a second bar line there."""
        if self.place in (Place.BRACKET, Place.FIELD):
            return not self.text.startswith(("open", "mark"))
        return self.place == Place.START or (self.place == Place.BAR and self.marks == "|")


class Automaton:
    """The rules.

    header_meters: meters that the M: line may name; all by default. plan: bars of each section of a requested form, 0
    for any number (symbolic.decode.constraint.bar_state). Raises UserError if no valid tune has that form.
    """

    def __init__(self, header_meters: Collection[str] | None = None, plan: tuple[int, ...] | None = None) -> None:
        self.plan = plan
        if plan is not None and not can_be_kept(FormState(Meter(4, 4), plan=plan)):
            raise UserError(
                f"--constrain: no right tune has sections of {' '.join(str(n or '?') for n in plan)} bars; it needs "
                f"{MIN_BARS} bars that can be counted. Ask for more bars, or leave out --constrain."
            )
        self.meters = lexicon.meters()
        chosen = self.meters if header_meters is None else header_meters
        self.meter_lines = _spellings({f"M:{text}\n": self.meters[text] for text in chosen})
        self.unit_line = _spellings({"L:1/8\nK:": None})
        self.key_lines = _spellings(dict.fromkeys(f"{key}\n" for key in lexicon.key_names()))
        self.key_fields = _spellings(dict.fromkeys(f"[K:{key}]" for key in lexicon.key_names()))
        self.meter_fields = _spellings({f"[M:{text}]": meter for text, meter in self.meters.items()})
        self.names = _spellings(dict.fromkeys(f"!{name}!" for name in lexicon.MARKS))
        self.symbols = _spellings(dict.fromkeys(f'"{text}"' for text in lexicon.chord_symbols()))
        self.first = LexerState(Place.METER)
        self.shortfall = 0
        self._readers = {
            Place.METER: self._meter,
            Place.UNIT: self._unit,
            Place.KEY: self._key,
            Place.START: self._start,
            Place.OPEN: self._open,
            Place.ACCIDENTAL: self._accidental,
            Place.NOTE: self._note,
            Place.LENGTH: self._length,
            Place.MARK: self._mark,
            Place.NAME: self._name,
            Place.QUOTE: self._quote,
            Place.PAREN: self._tuplet,
            Place.TUPLET: self._tuplet,
            Place.BRACKET: self._bracket,
            Place.FIELD: self._field,
            Place.CHORD: self._chord,
            Place.GRACE: self._grace,
            Place.BAR: self._bar,
        }
        self._completions = {
            Place.NOTE: self._complete_pitch,
            Place.LENGTH: self._complete_length,
            Place.PAREN: self._as_slur,
            Place.TUPLET: self._complete_tuplet,
            Place.BAR: self._complete_bar_line,
        }

    def step(self, state: LexerState, character: str) -> LexerState | None:
        """Return the state after one more character, or None if it is not allowed."""
        while character not in CONTINUES.get(state.place, character):
            completed = self.completed(state)
            if completed is None:
                return None
            state = completed
        reader = self._readers.get(state.place)
        return None if reader is None else reader(state, character)

    def completed(self, state: LexerState) -> LexerState | None:
        """Return the state with the unfinished symbol taken as complete; None if it is incomplete or there is none."""
        complete = self._completions.get(state.place)
        return None if complete is None else complete(state)

    def read(self, text: str, state: LexerState | None = None) -> tuple[LexerState, int]:
        """Read the longest valid beginning of a text; return the state there and the number of characters read."""
        state = state or self.first
        for place, character in enumerate(text):
            after = self.step(state, character)
            if after is None:
                return state, place
            state = after
        return state, len(text)

    def accepts(self, text: str) -> bool:
        """True if `text` is a complete, valid tune."""
        state, n_read = self.read(text)
        return n_read == len(text) and state.place == Place.END

    def fits(self, spelling: Spelling | None, state: LexerState) -> bool:
        """True if the spelling exists and the bar has the ticks it needs; records how many it lacks in `shortfall`."""
        if spelling is None:
            return False
        short = spelling.min_ticks - state.ticks_left
        if short > self.shortfall:
            self.shortfall = short
        return short <= 0

    # --- header

    def _meter(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        whole = self.meter_lines.whole.get(text)
        if whole is not None:
            assert isinstance(whole.value, Meter)
            form = FormState(whole.value, in_threes=whole.value.numerator % 3 == 0, plan=self.plan)
            return LexerState(Place.UNIT, ticks_left=form.max_ticks, form=form)
        return state._replace(text=text) if text in self.meter_lines.begun else None

    def _unit(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        if text in self.unit_line.whole:
            return state._replace(place=Place.KEY, text="")
        return state._replace(text=text) if text in self.unit_line.begun else None

    def _key(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        if text in self.key_lines.whole:
            return state._replace(place=Place.START, text="")
        return state._replace(text=text) if text in self.key_lines.begun else None

    # --- between symbols

    def _start(self, state: LexerState, character: str) -> LexerState | None:
        form = state.form
        if character == "\n":
            return LexerState(Place.END, form=form) if form.may_end and state.owes_nothing else None
        if form.must_end or (character == "." and not state.text and form.opened[-1:].isdigit()):
            return None  # "|1." would be read as the ending "1."
        if character == "|":  # a second bar line: only behind a field is it one of its own
            begins = state.text or (form.is_fresh and not form.opened)
            return self._bar_line(state._replace(marks="|"), "|") if begins else None
        return self._symbol(state, character)

    def _open(self, state: LexerState, character: str) -> LexerState | None:
        before = state.text
        if character == "-":
            tied = state._replace(text="sound", owed=Owed.TIED_NOTE) if before == "note" else None
            is_stuck = tied and state.form.plan is not None and not state.ticks_left and not self.lines(tied)
            return None if is_stuck else tied  # the tune's last bar by plan: the other note would have no place
        if character == ")":
            closes = state.n_slurs and before in ("note", "sound", "grace")
            return state._replace(text="sound", n_slurs=state.n_slurs - 1) if closes else None
        if character == "\n":
            return LexerState(Place.END, form=state.form) if "\n" in self.lines(state) else None
        if character in "|:":
            return self._bar_line(state, character)
        if self.plan is not None and not self._has_ticks_left(state):
            return None  # behind a chord symbol no slur ends, and in the last bar by plan it must
        return self._symbol(state, character)

    def _has_ticks_left(self, state: LexerState) -> bool:
        """True if any ticks are left in the bar."""
        short = 1 - state.ticks_left
        self.shortfall = max(self.shortfall, short)
        return short <= 0

    def _symbol(self, state: LexerState, character: str) -> LexerState | None:
        """Read the first character of a symbol."""
        if character == '"':
            return state._replace(place=Place.QUOTE, text='"')
        if character == "{":
            begins = not state.is_graced and state.owed != Owed.TIED_NOTE and self.can_begin_note(state)
            return state._replace(place=Place.GRACE, text="", pitches=frozenset()) if begins else None
        if character == "[":
            return self._open_bracket(state)
        if character in LETTERS or character in "^_=":
            return self._pitch(state._replace(text=""), character) if self.can_begin_note(state) else None
        if character == "z":
            rests = state.owed != Owed.TIED_NOTE and self.can_begin_note(state)
            return state._replace(place=Place.LENGTH, text="", marks="z") if rests else None
        if character in DECORATIONS:
            return self._mark(state._replace(place=Place.MARK, text="", marks=""), character)
        if character == "!":
            return state._replace(place=Place.NAME, text="!") if self.can_begin_note(state) else None
        if character == "(":
            opens = state.n_slurs < MAX_SLURS and self.can_begin_note(state)
            return state._replace(place=Place.PAREN, text="(") if opens else None
        return None

    def lines(self, state: LexerState) -> Mapping[str, FormState]:
        """Return the bar lines that may come now, each with the form after it."""
        if state.tuplet or state.ticks <= 0 or state.is_graced or state.text in ("slur_open", "tuplet"):
            return {}
        found = bar_lines(state.form, state.ticks)
        if state.owes_nothing:
            return found
        never = ("\n", "::", "|1", ":|2") if state.owed == Owed.TIED_NOTE else ("\n",)
        return {text: form for text, form in found.items() if not form.must_end and text not in never}

    def can_begin_note(self, state: LexerState) -> bool:
        """True if the shortest note fits into the bar or tuplet."""
        return self.fits(self.lengths(state).begun.get(""), state)

    def lengths(self, state: LexerState) -> Spellings:
        """Return the spellings of the lengths that a note beginning here may have."""
        return lengths(state.tuplet, state.ticks_left % GRID_TICKS)

    # --- notes

    def _pitch(self, state: LexerState, character: str) -> LexerState | None:
        """Read an accidental or a letter, of a note, a chord or grace notes.

        Letters of one octave become one state, except in a chord, where the same letter must not come twice."""
        is_tied = state.owed == Owed.TIED_NOTE and state.pitches is None
        if state.pitches is None and not is_tied:  # no longer owed: fewer distinct states
            state = state._replace(owed=Owed.NOTHING, is_graced=False)
        if character in "^_=":
            return None if is_tied else state._replace(place=Place.ACCIDENTAL, text=character)
        if character not in LETTERS or (state.pitches and not _is_free(state.pitches, character)):
            return None
        if is_tied and character != state.pitch[:1]:
            return None
        known = character if state.marks == "[" else ("C" if character.isupper() else "c")
        pitch = state.pitch if is_tied or state.pitches is not None else character
        return state._replace(place=Place.NOTE, text=known, pitch=pitch)

    def _accidental(self, state: LexerState, character: str) -> LexerState | None:
        if character in "^_=":
            text = state.text + character
            return state._replace(text=text) if text in ACCIDENTALS else None
        return self._pitch(state, character)

    def _note(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        if (character == ",") != text[0].isupper() or not LOW_OCTAVE <= octave(text) <= HIGH_OCTAVE:
            return None
        if state.pitches is not None:
            return state._replace(text=text) if not state.pitches or _is_free(state.pitches, text) else None
        if state.owed == Owed.TIED_NOTE:
            return state._replace(text=text) if len(text) <= len(state.pitch) else None
        return state._replace(text=text, pitch=state.pitch + character)

    def _complete_pitch(self, state: LexerState) -> LexerState | None:
        """Complete a pitch: a note's length comes next, in a chord or grace notes the next pitch."""
        if state.pitches is None:
            is_whole = state.owed != Owed.TIED_NOTE or len(state.text) == len(state.pitch)
            found = state._replace(place=Place.LENGTH, text="", owed=Owed.NOTHING, is_graced=False)
            return found if is_whole else None
        if state.marks != "[":
            return state._replace(place=Place.GRACE, text="some", pitches=frozenset())
        if position(state.text) in state.pitches:
            return None
        return state._replace(place=Place.CHORD, text="", pitches=state.pitches | {position(state.text)})

    def _chord(self, state: LexerState, character: str) -> LexerState | None:
        assert state.pitches is not None
        if character == "]":
            closed = state._replace(place=Place.LENGTH, text="", pitches=None, marks=".")
            return closed if len(state.pitches) > 1 else None
        return self._pitch(state, character) if len(state.pitches) < MAX_CHORD_NOTES else None

    def _grace(self, state: LexerState, character: str) -> LexerState | None:
        if character == "}":
            return state._replace(place=Place.OPEN, text="grace", pitches=None, is_graced=True) if state.text else None
        return self._pitch(state, character)

    def _length(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        return state._replace(text=text) if self.fits(self.lengths(state).begun.get(text), state) else None

    def _complete_length(self, state: LexerState) -> LexerState | None:
        """Complete the length of a note or rest."""
        length = self.lengths(state).whole.get(state.text)
        if length is None or not self.fits(length, state):
            return None
        assert isinstance(length.value, int)
        is_rest = state.marks == "z"
        p, q, n_left = state.tuplet or OpenTuplet(1, 1, 1)
        return state._replace(
            place=Place.OPEN,
            text="sound" if state.marks else "note",
            marks="",
            is_graced=False,
            ticks_left=state.ticks_left - length.value * q // p,
            tuplet=OpenTuplet(p, q, n_left - 1) if n_left > 1 else None,
            owed=state.owed if is_rest else Owed.NOTHING,
        )

    # --- what goes before notes

    def _mark(self, state: LexerState, character: str) -> LexerState | None:
        """Read what follows a decoration: another one, or the note.

        Decorations stand right before their note, names before signs, each once."""
        signs = re.sub("!.*?!", "", state.marks)
        if character in DECORATIONS or character == "!":
            n_marks = len(signs) + state.marks.count("!") // 2
            in_doubt = state.tuplet is not None or state.owed == Owed.TIED_NOTE or state.is_graced
            rolls = character == "~" and in_doubt
            if n_marks >= MAX_MARKS or rolls or not self.can_begin_note(state):
                return None
            if character == "!":
                return None if signs else state._replace(place=Place.NAME, text="!")
            marks = "".join(sorted(state.marks + character)) if "!" not in state.marks else state.marks + character
            return state._replace(marks=marks) if character not in state.marks else None
        if character == "[":
            may_be_chord = not {"T", "~"} & {*signs} and state.owed != Owed.TIED_NOTE
            return state._replace(place=Place.BRACKET, text="mark", marks="") if may_be_chord else None
        is_loose = bool({".", "T", "~"} & {*signs}) or "!breath!" in state.marks
        return self._pitch(state._replace(marks="." if is_loose else ""), character)

    def _name(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        name = self.names.begun.get(text)
        if name is None or name.text in state.marks:
            return None
        if text == name.text:
            return state._replace(place=Place.MARK, text="", marks=state.marks + text)
        return state._replace(text=text)

    def _quote(self, state: LexerState, character: str) -> LexerState | None:
        """Read a character of a chord symbol; those on all letters share their states."""
        text = state.text + ("A" if character in "ABCDEFG" else character)
        if text in self.symbols.whole:
            return state._replace(place=Place.OPEN, text="quote")
        return state._replace(text=text) if text in self.symbols.begun else None

    def _tuplet(self, state: LexerState, character: str) -> LexerState | None:
        """Read a character of a tuplet's numbers; tuplets do not nest."""
        text = state.text + character
        begun = None if state.tuplet else self.tuplets(state).begun.get(text)
        return state._replace(place=Place.TUPLET, text=text) if self.fits(begun, state) else None

    def _complete_tuplet(self, state: LexerState) -> LexerState | None:
        """Complete a tuplet's numbers."""
        whole = self.tuplets(state).whole.get(state.text)
        if whole is None or not self.fits(whole, state):
            return None
        assert isinstance(whole.value, OpenTuplet)
        return state._replace(place=Place.OPEN, text="tuplet", tuplet=whole.value)

    def _as_slur(self, state: LexerState) -> LexerState:
        """Interpret the pending '(' as a slur, not a tuplet."""
        return state._replace(place=Place.OPEN, text="slur_open", n_slurs=state.n_slurs + 1)

    def tuplets(self, state: LexerState) -> Spellings:
        """Return the tuplets of the meter."""
        return tuplets(state.form.meter.is_compound, state.form.in_threes)

    # --- brackets and bar lines

    def _open_bracket(self, state: LexerState) -> LexerState | None:
        text = state.text if state.place == Place.START else f"open {state.text}"
        after = state._replace(place=Place.BRACKET, text=text)
        may_follow = self.fields(after) or (state.owed != Owed.TIED_NOTE and self.can_begin_note(state))
        return after if may_follow else None

    def fields(self, state: LexerState) -> str:
        """Return the letters of the inline fields allowed at this bracket, of "KM".

        None before the first symbol of the tune, where a field would belong to the header."""
        if state.tuplet or state.text in ("mark", "open field", "open slur_open", "open tuplet"):
            return ""
        if not state.follows_bar and state.owed == Owed.TIED_NOTE:
            return ""
        if not state.follows_bar:
            return "K"
        if state.form.is_fresh and not state.form.opened:
            return ""
        return "".join(c for c in "KM" if c not in state.text and (c == "K" or state.form.may_change_meter))

    def _bracket(self, state: LexerState, character: str) -> LexerState | None:
        if character in "KM":
            field = state._replace(place=Place.FIELD, text=f"{state.text}[{character}")
            return field if character in self.fields(state) else None
        if state.owed == Owed.TIED_NOTE or not self.can_begin_note(state):
            return None
        begun = state._replace(text="", marks="[", pitches=frozenset(), owed=Owed.NOTHING, is_graced=False)
        return self._pitch(begun, character)

    def _field(self, state: LexerState, character: str) -> LexerState | None:
        before, _, field = state.text.partition("[")
        field = f"[{field}{character}"
        spellings = self.key_fields if field[1] == "K" else self.meter_fields
        is_present = f"[M:{state.form.meter.text}]".startswith(field)  # a change to the same meter is not written
        if spellings.n_whole[field] <= is_present:
            return None
        whole = spellings.whole.get(field)
        if whole is None:
            return state._replace(text=before + field)
        if before.startswith("open"):
            return state._replace(place=Place.OPEN, text="field")
        if field[1] == "M":
            assert isinstance(whole.value, Meter)
            form = state.form.with_meter(whole.value)
            state = state._replace(form=form, ticks_left=form.max_ticks)
        return state._replace(place=Place.START, text=before + field[1])

    def _bar(self, state: LexerState, character: str) -> LexerState | None:
        return self._bar_line(state, state.text + character)

    def _bar_line(self, state: LexerState, text: str) -> LexerState | None:
        """Read a bar line up to `text`; complete it at once if no longer one begins so."""
        lines = self.lines_begun(state)
        begun = [line for line in lines if line.startswith(text)]
        read = state._replace(place=Place.BAR, text=text)
        return (self._complete_bar_line(read) if begun == [text] else read) if begun else None

    def lines_begun(self, state: LexerState) -> Mapping[str, FormState]:
        """Return the bar lines that the unfinished one may become, each with the form after it."""
        return bar_lines(state.form, 0) if state.marks == "|" else self.lines(state)

    def _complete_bar_line(self, state: LexerState) -> LexerState | None:
        form = self.lines_begun(state).get(state.text)
        return (
            None
            if form is None
            else state._replace(place=Place.START, text="", ticks_left=form.max_ticks, form=form, marks="")
        )


# Characters that continue a symbol that may also be complete; at other places every character is read as such.
CONTINUES = {
    Place.NOTE: ",'",
    Place.LENGTH: "/0123456789",
    Place.PAREN: "0123456789",
    Place.TUPLET: ":0123456789",
    Place.BAR: "|:]12",
}


def position(name: str) -> int:
    """Return the place of a letter with octave marks on the staff, counted in steps."""
    return 7 * octave(name) + "CDEFGAB".index(name[0].upper())


def octave(name: str) -> int:
    """Return the octave of a letter with octave marks; 4 holds middle C."""
    return (5 if name[0].islower() else 4) + name.count("'") - name.count(",")


def _is_free(pitches: frozenset[int], text: str) -> bool:
    """True if a letter with octave marks can still become a pitch that is not in the chord."""
    mark, n_marks = (",", 4 - LOW_OCTAVE) if text[0].isupper() else ("'", HIGH_OCTAVE - 5)
    return any(position(text[0] + mark * n) not in pitches for n in range(len(text) - 1, n_marks + 1))


def _spellings(values: Mapping[str, object]) -> Spellings:
    return Spellings(Spelling(text, value) for text, value in values.items())
