"""The rules of `--constrain` for a tune that is continued, or the reason why its kept bars break them.

The automaton reads the kept bars first (symbolic.decode.constraint.automaton). Where it stops, the message names the
bar that is not full, or the sign that the rules leave out.
"""

from fractions import Fraction

from symbolic.data.augmentation import bars
from symbolic.decode.constraint.automaton import Automaton, LexerState, Place
from symbolic.errors import UserError
from symbolic.notation import abc_parser, control_codes


def automaton_after(beginning: str) -> Automaton:
    """Return the rules for a tune that begins so; UserError names the bar of the beginning that breaks them."""
    automaton = Automaton()
    _, n_read = automaton.read(beginning)
    if n_read < len(beginning):
        raise UserError(
            f"--constrain: {_fault(beginning, automaton)}. Keep fewer bars, mend the tune, or leave out --constrain."
        )
    return automaton


def _fault(text: str, automaton: Automaton) -> str:
    """Describe what the rules do not read of a tune's beginning."""
    state, n_read = automaton.read(text)
    music = control_codes.music_of(text)
    start = len(text) - len(music)
    if n_read < start:
        line = text[text.rfind("\n", 0, n_read) + 1 :].partition("\n")[0]
        return f"{line!r} in the tune's header is not written by it"
    is_cut = state.place == Place.BAR and automaton.completed(state) is None  # a bar line that had to go on otherwise
    return _fault_in_bar(text, n_read - start - is_cut, state)


def _fault_in_bar(text: str, place: int, state: LexerState) -> str:
    """Describe what is wrong at a place of the tune's music: the length of its bar, or a sign in it."""
    meter, room = state.form.meter, state.form.max_ticks
    music = control_codes.music_of(text)
    spans, score = bars(music), abc_parser.parse(text)
    measures = abc_parser.bars(score.voices[0], score.meter)
    index = max(0, sum(span.start <= place for span in spans) - 1)
    name, ticks, is_at_end = f"bar {index + measures[0].is_full}", measures[index].ticks, place >= spans[index].end
    if ticks > room or (is_at_end and ticks < room):
        left = "" if room == meter.ticks else f"the {_length(room, meter)} that are left of "
        return f"{name} holds {_length(ticks, meter)} of {left}{meter.text}"
    if is_at_end:
        line = music[spans[index].end : spans[index + 1].start if index + 1 < len(spans) else None]
        return f"{name} is full, but with {line!r} behind it a repeat or an ending does not come out even"
    body = music[spans[index].start : spans[index].end]
    return f"{name}, {body!r}, has {music[place : spans[index].end][:6]!r} where it does not write that"


def _length(ticks: int, meter: abc_parser.Meter) -> str:
    """Spell a bar's length in the meter's beats, or in eighths where beats are longer: 6/8 of 4/4."""
    whole = Fraction(ticks, abc_parser.TICKS_PER_WHOLE)
    counted = whole * max(8, meter.denominator)
    return f"{counted}/{max(8, meter.denominator)}" if counted.denominator == 1 else str(whole)
