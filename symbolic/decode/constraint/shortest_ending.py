"""Shortest valid completion from any automaton state, used when the token budget runs out.

It closes what is open, fills the bar with one rest (or a note, where one is owed), leads a first ending back, adds bars
until there are enough to count, and ends the tune.
"""

from collections.abc import Mapping

from symbolic.decode.constraint.automaton import LETTERS, Automaton, LexerState, Owed, Place
from symbolic.decode.constraint.bar_state import MIN_BARS, FormState, bar_lines, ways_back
from symbolic.notation.theory import length_text

BAR_CHARACTERS = 9  # of a bar that is filled with one rest: z511/16|


def max_characters(state: LexerState, form: FormState) -> int:
    """Return an upper bound on the characters of the completion in this form, without writing it."""
    n_bars = max(0, MIN_BARS + 1 - form.n_bars) + 2 + 2 * form.waits + form.n_planned
    n_tuplet_notes = state.tuplet.n_left + 1 if state.tuplet else (9 if state.place == Place.TUPLET else 0)
    header = 16 if state.place < Place.START else 0
    return BAR_CHARACTERS * n_bars + state.n_slurs + 6 * n_tuplet_notes + header + 20


def closing(automaton: Automaton, state: LexerState) -> str:
    """Return the next character of the completion; '' at its end."""
    if state.place == Place.START:
        return "\n" if automaton.step(state, "\n") else _filler(state)
    if state.place == Place.OPEN:
        return _between(automaton, state)
    if state.place == Place.LENGTH:
        return _length(automaton, state)
    if state.place == Place.BAR:
        line = _line(automaton.lines_begun(state), state.text)
        if line != state.text:
            return line[len(state.text)]
    if state.place == Place.NOTE and automaton.completed(state) is None:
        if state.owed == Owed.TIED_NOTE and state.pitches is None:
            return state.pitch[len(state.text)]
        return "," if state.text[0].isupper() else "'"
    if state.place == Place.TUPLET and automaton.completed(state) is None:
        return automaton.tuplets(state).begun[state.text].text[len(state.text)]
    completed = automaton.completed(state)
    if completed is not None:
        return closing(automaton, completed)
    if state.place == Place.CHORD and state.pitches and len(state.pitches) > 1:
        return "]"
    if state.place == Place.GRACE and state.text:
        return "}"
    if state.place in (Place.CHORD, Place.GRACE, Place.ACCIDENTAL, Place.MARK):
        return next(letter for letter in LETTERS if automaton.step(state, letter))
    if state.place == Place.BRACKET:
        return "C" if automaton.can_begin_note(state) and state.owed != Owed.TIED_NOTE else automaton.fields(state)[0]
    return _word(automaton, state)


def _filler(state: LexerState) -> str:
    if state.owed == Owed.TIED_NOTE:
        return state.pitch[0]
    return "z" if state.owed == Owed.NOTHING else "C"


def _between(automaton: Automaton, state: LexerState) -> str:
    if automaton.step(state, ")"):
        return ")"
    lines = automaton.lines(state) if state.ticks >= _target_ticks(state) else {}
    return _line(lines, "")[0] if lines else _filler(state)


def _target_ticks(state: LexerState) -> int:
    """Return the ticks the piece should have: what a repeat that must come needs, else a full bar."""
    form = state.form
    for way in ways_back(form) if form.waits else ():
        if way.inner >= max(state.ticks, 1) and ":|" in bar_lines(form, way.inner):
            return way.inner
    return form.max_ticks


def _line(lines: Mapping[str, FormState], begun: str) -> str:
    """Return the bar line that ends the tune soonest."""
    ends, goes_on = ("||", ":|", "|]"), ("::", ":|", "||", "|")  # the later the better

    def merit(line: str) -> tuple[bool, int, bool, bool, int]:
        form, order = lines[line], ends if lines[line].may_end else goes_on
        place = order.index(line) if line in order else -1
        return form.may_end, -len(form.plan or ()), not form.waits, line == ":|" and form.may_end, place

    return max((line for line in lines if line.startswith(begun) and line != "\n"), key=merit)


def _length(automaton: Automaton, state: LexerState) -> str:
    """Return the next character of a length: fill the bar where possible, in a tuplet be as short as possible."""
    spellings, text = automaton.lengths(state), state.text
    missing = _target_ticks(state) - state.ticks
    full = length_text(missing) if missing > 0 and state.tuplet is None else text
    if not full.startswith(text) or full not in spellings.whole or full == text:
        full = text if automaton.completed(state) else spellings.begun[text].text
    if full != text:
        return full[len(text)]
    timed = automaton.completed(state)
    assert timed is not None
    return closing(automaton, timed)


def _word(automaton: Automaton, state: LexerState) -> str:
    """Return the next character of a header line, name, chord symbol or field: of the shortest that begins so."""
    text = state.text if state.place != Place.FIELD else "[" + state.text.partition("[")[2]
    if state.place == Place.NAME:
        names = [name for name in automaton.names.whole if name not in state.marks and name.startswith(text)]
        return min(names, key=len)[len(text)]
    if state.place == Place.FIELD and text[1] == "M":
        meters = [line for line in automaton.meter_fields.whole if line.startswith(text)]
        return min((line for line in meters if line != f"[M:{state.form.meter.text}]"), key=len)[len(text)]
    spellings = {
        Place.METER: automaton.meter_lines,
        Place.UNIT: automaton.unit_line,
        Place.KEY: automaton.key_lines,
        Place.QUOTE: automaton.symbols,
        Place.FIELD: automaton.key_fields,
    }.get(state.place)
    return spellings.begun[text].text[len(text)] if spellings else ""
