"""What may be written next in canonical ABC whose bars are full, character by character.

`Automaton.step(state, character)` reads one character of a tune in canonical spelling (symbolic.notation.abc_parser)
and returns the state after it, or None where no right tune continues so. From every state that it returns a tune can be
ended: no note is begun that has no room, no length that cannot be completed, no tuplet that would not come out even
(symbolic.decode.constraint.shortest_ending says how).

A state is its `place` in the syntax, the unfinished symbol there, the room left in the bar, what the section holds so
far (symbolic.decode.constraint.bar_state) and what is still owed (slurs to close, a note after a tie). States compare
by value. Of the room left a step asks only whether it is at least some number of ticks; the largest of these against
what was there is left in `shortfall`, so that what is found in a roomy bar can be used in all
(symbolic.decode.constraint.token_mask).

Of what the parser reads, this is left out: several voices; free metre; a metre of more than four whole notes; a note
shorter than a 128th or outside the octaves C,,, to b'''; a tuplet across a bar line or inside another, of more than
nine notes; the same letter and octave twice in a chord; more than MOST_MARKS decorations on a note or MOST_SLURS open
slurs; a slur over nothing but grace notes; decorations and chord symbols that are not in
symbolic.decode.constraint.lexicon; [M:] and bar lines where the checker would not count
(symbolic.decode.constraint.bar_state).

And so that abc2midi finds no error either (symbolic.evaluate.checkers.abc2midi): a tie to another note than the same
letter in the same octave without accidental, or to or from a chord; a tie after a staccato, trilled or rolled note,
before a roll, over `::` or into an ending, over a grace note or [K:]; grace notes that no note follows in their bar
before other grace notes; rolls and trills on chords, rolls in tuplets and after grace notes; a !name! after a
decoration of one sign.
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

MOST_MARKS = 3
MOST_SLURS = 2
MOST_CHORD_NOTES = 7
LOW_OCTAVE, HIGH_OCTAVE = 1, 8  # C,,, is MIDI 24; b''' with a double sharp is 121
LETTERS = "CDEFGABcdefgab"
ACCIDENTALS = ("^", "^^", "_", "__", "=")


class Place(IntEnum):
    """Where in the syntax a state is."""

    METRE, UNIT, KEY = 1, 2, 3  # in the line M:; in L: and up to K:; in the rest of K:
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
    """Which note must still come."""

    NOTHING, ANY_NOTE, TIED_NOTE = 0, 1, 2


class LexerState(NamedTuple):
    """See the module. `pitches` are those of an open chord, as positions on the staff (none in grace notes, None
    elsewhere); `marks` the decorations of a note to come; "z" in a rest, "[" in a chord, "." in a note that no tie may
    follow, "|" in a bar line that stands at the beginning of a piece."""

    place: Place
    text: str = ""  # the unfinished symbol
    left: int = 0  # ticks that the piece still has room for
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
        """Length of the piece so far."""
        return self.form.room - self.left

    @property
    def owes_nothing(self) -> bool:
        """Whether the tune may end, as far as slurs and ties go."""
        return not self.n_slurs and self.owed == Owed.NOTHING

    @property
    def follows_bar(self) -> bool:
        """Whether we are at the beginning of a piece, perhaps in an inline field or another bar line."""
        if self.place in (Place.BRACKET, Place.FIELD):
            return not self.text.startswith(("open", "mark"))
        return self.place == Place.START or (self.place == Place.BAR and self.marks == "|")


class Automaton:
    """The rules, with the metres that the M: line may name (all, unless given), and where a form is asked for the bars
    of its sections, 0 for any number (symbolic.decode.constraint.bar_state). UserError where no right tune has that
    form."""

    def __init__(self, header_metres: Collection[str] | None = None, plan: tuple[int, ...] | None = None) -> None:
        self.plan = plan
        if plan is not None and not can_be_kept(FormState(Meter(4, 4), plan=plan)):
            raise UserError(
                f"--constrain: no right tune has sections of {' '.join(str(n or '?') for n in plan)} bars; it needs "
                f"{MIN_BARS} bars that can be counted. Ask for more bars, or leave out --constrain."
            )
        self.metres = lexicon.metres()
        chosen = self.metres if header_metres is None else header_metres
        self.metre_lines = _spellings({f"M:{text}\n": self.metres[text] for text in chosen})
        self.unit_line = _spellings({"L:1/8\nK:": None})
        self.key_lines = _spellings(dict.fromkeys(f"{key}\n" for key in lexicon.key_names()))
        self.key_fields = _spellings(dict.fromkeys(f"[K:{key}]" for key in lexicon.key_names()))
        self.metre_fields = _spellings({f"[M:{text}]": meter for text, meter in self.metres.items()})
        self.names = _spellings(dict.fromkeys(f"!{name}!" for name in lexicon.MARKS))
        self.symbols = _spellings(dict.fromkeys(f'"{text}"' for text in lexicon.chord_symbols()))
        self.first = LexerState(Place.METRE)
        self.shortfall = 0
        self._readers = {
            Place.METRE: self._metre,
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
            Place.NOTE: self._pitched,
            Place.LENGTH: self._timed,
            Place.PAREN: self._slurred,
            Place.TUPLET: self._begun,
            Place.BAR: self._barred,
        }

    def step(self, state: LexerState, character: str) -> LexerState | None:
        """The state after one more character, or None where it may not come."""
        while character not in CONTINUES.get(state.place, character):
            completed = self.completed(state)
            if completed is None:
                return None
            state = completed
        reader = self._readers.get(state.place)
        return None if reader is None else reader(state, character)

    def completed(self, state: LexerState) -> LexerState | None:
        """The state in which the unfinished symbol is taken as whole; None where it is not, or always is."""
        complete = self._completions.get(state.place)
        return None if complete is None else complete(state)

    def read(self, text: str, state: LexerState | None = None) -> tuple[LexerState, int]:
        """Read as much of the text as may be: the state there, and the number of characters read."""
        state = state or self.first
        for place, character in enumerate(text):
            after = self.step(state, character)
            if after is None:
                return state, place
            state = after
        return state, len(text)

    def accepts(self, text: str) -> bool:
        """Whether the text is a whole right tune."""
        state, n_read = self.read(text)
        return n_read == len(text) and state.place == Place.END

    def fits(self, spelling: Spelling | None, state: LexerState) -> bool:
        """Whether there is such a word and room for it."""
        if spelling is None:
            return False
        short = spelling.need - state.left
        if short > self.shortfall:
            self.shortfall = short
        return short <= 0

    # --- header

    def _metre(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        whole = self.metre_lines.whole.get(text)
        if whole is not None:
            assert isinstance(whole.value, Meter)
            form = FormState(whole.value, in_threes=whole.value.numerator % 3 == 0, plan=self.plan)
            return LexerState(Place.UNIT, left=form.room, form=form)
        return state._replace(text=text) if text in self.metre_lines.begun else None

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
            is_stuck = tied and state.form.plan is not None and not state.left and not self.lines(tied)
            return None if is_stuck else tied  # the tune's last bar by plan: the other note would have no place
        if character == ")":
            closes = state.n_slurs and before in ("note", "sound", "grace")
            return state._replace(text="sound", n_slurs=state.n_slurs - 1) if closes else None
        if character == "\n":
            return LexerState(Place.END, form=state.form) if "\n" in self.lines(state) else None
        if character in "|:":
            return self._bar_line(state, character)
        if self.plan is not None and not self._goes_on(state):
            return None  # behind a chord symbol no slur ends, and in the last bar by plan it must
        return self._symbol(state, character)

    def _goes_on(self, state: LexerState) -> bool:
        """Whether there is any room left in the bar."""
        short = 1 - state.left
        self.shortfall = max(self.shortfall, short)
        return short <= 0

    def _symbol(self, state: LexerState, character: str) -> LexerState | None:
        """A symbol begins."""
        if character == '"':
            return state._replace(place=Place.QUOTE, text='"')
        if character == "{":
            begins = not state.is_graced and state.owed != Owed.TIED_NOTE and self.has_room(state)
            return state._replace(place=Place.GRACE, text="", pitches=frozenset()) if begins else None
        if character == "[":
            return self._bracketed(state)
        if character in LETTERS or character in "^_=":
            return self._pitch(state._replace(text=""), character) if self.has_room(state) else None
        if character == "z":
            rests = state.owed != Owed.TIED_NOTE and self.has_room(state)
            return state._replace(place=Place.LENGTH, text="", marks="z") if rests else None
        if character in DECORATIONS:
            return self._mark(state._replace(place=Place.MARK, text="", marks=""), character)
        if character == "!":
            return state._replace(place=Place.NAME, text="!") if self.has_room(state) else None
        if character == "(":
            opens = state.n_slurs < MOST_SLURS and self.has_room(state)
            return state._replace(place=Place.PAREN, text="(") if opens else None
        return None

    def lines(self, state: LexerState) -> Mapping[str, FormState]:
        """The bar lines that may come now, each with the form after it."""
        if state.tuplet or state.ticks <= 0 or state.is_graced or state.text in ("slur_open", "tuplet"):
            return {}
        found = bar_lines(state.form, state.ticks)
        if state.owes_nothing:
            return found
        never = ("\n", "::", "|1", ":|2") if state.owed == Owed.TIED_NOTE else ("\n",)
        return {text: form for text, form in found.items() if not form.must_end and text not in never}

    def has_room(self, state: LexerState) -> bool:
        """Whether a note may begin."""
        return self.fits(self.lengths(state).begun.get(""), state)

    def lengths(self, state: LexerState) -> Spellings:
        """The lengths of a note that begins here."""
        return lengths(state.tuplet, state.left % GRID_TICKS)

    # --- notes

    def _pitch(self, state: LexerState, character: str) -> LexerState | None:
        """An accidental or a letter, in music, in a chord or in grace notes. Letters of one octave are alike here,
        but not in a chord."""
        is_tied = state.owed == Owed.TIED_NOTE and state.pitches is None
        if state.pitches is None and not is_tied:  # what waited for a note has it, so its states are fewer
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

    def _pitched(self, state: LexerState) -> LexerState | None:
        """A pitch is complete: in music its length comes, in a chord or in grace notes the next."""
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
        return self._pitch(state, character) if len(state.pitches) < MOST_CHORD_NOTES else None

    def _grace(self, state: LexerState, character: str) -> LexerState | None:
        if character == "}":
            return state._replace(place=Place.OPEN, text="grace", pitches=None, is_graced=True) if state.text else None
        return self._pitch(state, character)

    def _length(self, state: LexerState, character: str) -> LexerState | None:
        text = state.text + character
        return state._replace(text=text) if self.fits(self.lengths(state).begun.get(text), state) else None

    def _timed(self, state: LexerState) -> LexerState | None:
        """A note or rest is complete."""
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
            left=state.left - length.value * q // p,
            tuplet=OpenTuplet(p, q, n_left - 1) if n_left > 1 else None,
            owed=state.owed if is_rest else Owed.NOTHING,
        )

    # --- what goes before notes

    def _mark(self, state: LexerState, character: str) -> LexerState | None:
        """Decorations stand right before their note, names before signs, each once: the parser looks for a sign in
        the text of those before it."""
        signs = re.sub("!.*?!", "", state.marks)
        if character in DECORATIONS or character == "!":
            n_marks = len(signs) + state.marks.count("!") // 2
            in_doubt = state.tuplet is not None or state.owed == Owed.TIED_NOTE or state.is_graced
            rolls = character == "~" and in_doubt
            if n_marks >= MOST_MARKS or rolls or not self.has_room(state):
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
        """Chords on all letters are spelled alike."""
        text = state.text + ("A" if character in "ABCDEFG" else character)
        if text in self.symbols.whole:
            return state._replace(place=Place.OPEN, text="quote")
        return state._replace(text=text) if text in self.symbols.begun else None

    def _tuplet(self, state: LexerState, character: str) -> LexerState | None:
        """In a tuplet no other begins."""
        text = state.text + character
        begun = None if state.tuplet else self.tuplets(state).begun.get(text)
        return state._replace(place=Place.TUPLET, text=text) if self.fits(begun, state) else None

    def _begun(self, state: LexerState) -> LexerState | None:
        """A tuplet's numbers are complete."""
        whole = self.tuplets(state).whole.get(state.text)
        if whole is None or not self.fits(whole, state):
            return None
        assert isinstance(whole.value, OpenTuplet)
        return state._replace(place=Place.OPEN, text="tuplet", tuplet=whole.value)

    def _slurred(self, state: LexerState) -> LexerState:
        """The parenthesis was a slur's."""
        return state._replace(place=Place.OPEN, text="slur_open", n_slurs=state.n_slurs + 1)

    def tuplets(self, state: LexerState) -> Spellings:
        """The tuplets of the metre."""
        return tuplets(state.form.meter.is_compound, state.form.in_threes)

    # --- brackets and bar lines

    def _bracketed(self, state: LexerState) -> LexerState | None:
        text = state.text if state.place == Place.START else f"open {state.text}"
        after = state._replace(place=Place.BRACKET, text=text)
        may_follow = self.fields(after) or (state.owed != Owed.TIED_NOTE and self.has_room(state))
        return after if may_follow else None

    def fields(self, state: LexerState) -> str:
        """The letters of the inline fields that may stand at this bracket. Before anything else in the tune they would
        be the header's."""
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
        if state.owed == Owed.TIED_NOTE or not self.has_room(state):
            return None
        begun = state._replace(text="", marks="[", pitches=frozenset(), owed=Owed.NOTHING, is_graced=False)
        return self._pitch(begun, character)

    def _field(self, state: LexerState, character: str) -> LexerState | None:
        before, _, field = state.text.partition("[")
        field = f"[{field}{character}"
        spellings = self.key_fields if field[1] == "K" else self.metre_fields
        is_present = f"[M:{state.form.meter.text}]".startswith(field)  # a change to the same metre would be left out
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
            state = state._replace(form=form, left=form.room)
        return state._replace(place=Place.START, text=before + field[1])

    def _bar(self, state: LexerState, character: str) -> LexerState | None:
        return self._bar_line(state, state.text + character)

    def _bar_line(self, state: LexerState, text: str) -> LexerState | None:
        """A bar line is read up to here; it is complete at once where none goes on so."""
        lines = self.lines_begun(state)
        begun = [line for line in lines if line.startswith(text)]
        read = state._replace(place=Place.BAR, text=text)
        return (self._barred(read) if begun == [text] else read) if begun else None

    def lines_begun(self, state: LexerState) -> Mapping[str, FormState]:
        """The bar lines of which one has begun."""
        return bar_lines(state.form, 0) if state.marks == "|" else self.lines(state)

    def _barred(self, state: LexerState) -> LexerState | None:
        form = self.lines_begun(state).get(state.text)
        return None if form is None else state._replace(place=Place.START, text="", left=form.room, form=form, marks="")


# Characters that go on with a symbol that may also be complete; at other places every character is read.
CONTINUES = {
    Place.NOTE: ",'",
    Place.LENGTH: "/0123456789",
    Place.PAREN: "0123456789",
    Place.TUPLET: ":0123456789",
    Place.BAR: "|:]12",
}


def position(name: str) -> int:
    """Place of a letter with octave marks on the staff, counted in steps."""
    return 7 * octave(name) + "CDEFGAB".index(name[0].upper())


def octave(name: str) -> int:
    """Octave of a letter with octave marks; 4 holds middle C."""
    return (5 if name[0].islower() else 4) + name.count("'") - name.count(",")


def _is_free(pitches: frozenset[int], text: str) -> bool:
    """Whether a letter with octave marks can still become a pitch that is not in the chord."""
    mark, n_most = (",", 4 - LOW_OCTAVE) if text[0].isupper() else ("'", HIGH_OCTAVE - 5)
    return any(position(text[0] + mark * n) not in pitches for n in range(len(text) - 1, n_most + 1))


def _spellings(values: Mapping[str, object]) -> Spellings:
    return Spellings(Spelling(text, value) for text, value in values.items())
