"""Melodies to choose from: sections of full bars drawn from one of our models under the mask, in a major key."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from symbolic.affect.composing.arrangement import SectionMelody, melody_line
from symbolic.errors import UserError
from symbolic.formats import documents
from symbolic.notation import abc_parser
from symbolic.notation.score import Event

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel

DEFAULT_MODEL = "mamba2-6m"
MIN_P = 0.05  # keeps self-similarity and diversity nearest to human tunes
MOST_ROUNDS = 4  # of drawing, before what came is taken
MAX_TOKENS = 400  # of one section


def chosen(
    model: "str | LoadedModel",
    tunes: Sequence[str],
    n: int,
    *,
    bars: int = 8,
    meter: str = "4/4",
    key: str = "D",
    seed: int = 0,
) -> list[SectionMelody]:
    """n melodies at most, from given tunes where there are any, else from the model."""
    if not tunes:
        return drawn(model, n, bars=bars, meter=meter, key=key, seed=seed)
    found = of_tunes(tunes, bars=bars, meter=meter, seed=seed)
    if not found:
        raise UserError(f"none of the {len(tunes)} tunes has {bars} full bars of {meter} in a major key.")
    return found[:n]


def drawn(
    model: "str | LoadedModel", n: int, *, bars: int = 8, meter: str = "4/4", key: str = "D", seed: int = 0
) -> list[SectionMelody]:
    """n melodies of `bars` full bars. UserError where the model writes none in MOST_ROUNDS rounds."""
    from symbolic.decode import tune_writer
    from symbolic.decode.engine.sampling_rules import Sampling
    from symbolic.notation import control_codes

    found: dict[str, SectionMelody] = {}
    for number in range(MOST_ROUNDS):
        made = tune_writer.generate(
            model,
            n,
            seed=seed + number,
            sampling=Sampling(min_p=MIN_P),
            prompt=f"M:{meter} K:{key}",
            asked=control_codes.ask(1, [bars]),
            constrain=True,
            max_tokens=MAX_TOKENS,
        )
        model = made.model
        for tune in made.tunes:
            source = f"{made.model.name}, seed {seed + number}, tune {tune.number}"
            line = melody_line(without_pick_up(tune.text), source) if tune.score else None
            if line is not None and len(_bars(line)) == bars:
                found.setdefault(line.text, line)
        if len(found) >= n:
            break
    if not found:
        raise UserError(
            f"{getattr(model, 'name', model)} wrote no section of {bars} full bars in {meter}; try another --seed."
        )
    return list(found.values())[:n]


def of_tunes(texts: Sequence[str], *, bars: int = 8, meter: str = "4/4", seed: int = 0) -> list[SectionMelody]:
    """Melodies cut from given tunes: their first `bars` full bars where they are in a major key and in `meter`."""
    found = []
    for number, text in enumerate(texts, start=1):
        cut = first_bars(without_pick_up(text), bars)
        if cut is not None and abc_parser.parse(cut).meter.text == meter:
            line = melody_line(cut, f"tune {number}")
            found += [line] if line is not None else []
    random.Random(seed).shuffle(found)
    return found


def first_bars(text: str, bars: int) -> str | None:
    """The first full bars of a tune as canonical text of one voice, its pick-up left out; None where it has fewer."""
    try:
        score = abc_parser.parse(text)
    except abc_parser.NotationError:
        return None
    voice = score.voices[0]
    begun, kept = 0, 0
    events: list[Event] = []
    for measure in abc_parser.bars(voice, score.meter):
        n_events = _events_of_bar(voice.events[begun:])
        if measure.is_full:
            events += [e for e in voice.events[begun : begun + n_events] if not isinstance(e, abc_parser.Bar)]
            events.append(abc_parser.Bar("|"))
            kept += 1
        begun += n_events
        if kept == bars:
            voice.events = events
            score.voices = [voice]
            return abc_parser.canonical(score)
    return None


def without_pick_up(text: str) -> str:
    """A tune whose pick-up completes its last bar in full bars: the pick-up is left out and the last note held as much
    longer; any other tune as it is."""
    try:
        score = abc_parser.parse(text)
    except abc_parser.NotationError:
        return text
    voice, measures = score.voices[0], abc_parser.bars(score.voices[0], score.meter)
    if len(measures) < 2 or measures[0].is_full or measures[0].ticks + measures[-1].ticks != score.meter.ticks:
        return text
    events = voice.events[_events_of_bar(voice.events) :]
    place = max(i for i, event in enumerate(events) if isinstance(event, abc_parser.Note | abc_parser.Rest))
    last, more = events[place], measures[0].ticks
    assert isinstance(last, abc_parser.Note | abc_parser.Rest)
    events[place] = replace(last, ticks=last.ticks + more, written=last.written + more)
    voice.events = events
    return abc_parser.canonical(score)


def read_texts(path: Path) -> list[str]:
    """The texts of an ABC file's tunes. UserError where it holds none."""
    found = [raw.text for raw in abc_parser.split_tunes(documents.read_text(path))]
    if not found:
        raise UserError(f"{path} holds no tune: a tune starts with an X: field, and a K: field ends its header.")
    return found


def _events_of_bar(events: Sequence[object]) -> int:
    """How many events there are up to and with the bar line that ends the next bar with notes."""
    sounded = False
    for place, event in enumerate(events):
        sounded = sounded or isinstance(event, abc_parser.Note | abc_parser.Rest)
        if isinstance(event, abc_parser.Bar) and sounded:
            return place + 1
    return len(events)


def _bars(line: SectionMelody) -> list[abc_parser.WrittenBar]:
    score = abc_parser.parse(line.text)
    return abc_parser.bars(score.voices[0], score.meter)
