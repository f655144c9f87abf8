"""Did the tunes do what was asked of them? Control adherence, field by field.

Task: a model was asked for a metre, a key, a type, a compass or a form, and wrote; of how many tunes is it true? Asked
and found are mappings from a field to its value, one a tune, and only what was asked counts
(`symbolic.notation.control_codes` defines the codes; `found` reads the values that need no judgement from a score):

    metre, key, mode    "6/8", "Ador", "dor": equal as written (the key is its tonic and its mode)
    type                "jig": equal, whatever the case
    lowest, highest     "D", "b": no note is written below, or above, accidentals aside
    S                   number of sections: equal
    B, E                bars of each section, similarity of each pair: share that is equal, in their places

For S, B and E there is also the mean distance from what was asked, since 9 bars for 8 is nearer than 2; a section that
is not there has none. A tune that does not parse has missed everything. Chance is not zero (most tunes of a corpus are
in one metre): `chance` gives what tunes asked for one another's fields would have.
"""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from symbolic.errors import UserError
from symbolic.evaluate.report.tables import Cell, Share, Table
from symbolic.notation import control_codes
from symbolic.notation.abc_parser import Score, canonical
from symbolic.notation.theory import NotationError, parse_key, parse_meter

_ASKED = re.compile(r"(?P<letter>[MKRSBEI]):\s*(?P<value>lowest \S+|highest \S+|slip jig|[^\s:|]+)(?=\s|$)")
FORM = ("S", "B", "E")  # fields with a distance
Fields = Mapping[str, Any]


def parse_request(text: str) -> dict[str, Any]:
    """Parse what a prompt asks for, on one line as `generate` records it: `M:6/8 K:Dmix R:jig I:lowest D S:2 B:8 E:?
    B:8`.

    ? is free, and music after the fields is ignored. Raises UserError for a field that cannot be read.
    """
    wanted: dict[str, Any] = {}
    place = 0
    while match := _ASKED.match(text := text.strip(), place):
        letter, value = match["letter"], match["value"]
        place = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
        if value == "?":
            continue
        try:
            wanted |= _asked_field(letter, value, wanted)
        except (NotationError, ValueError) as error:
            raise UserError(f"asked: {letter}:{value} cannot be read ({error}).") from error
    return wanted


def find_codes(score: Score) -> dict[str, Any]:
    """Read the fields of a tune from its score; `type` is its R: field, '' where there is none."""
    text = canonical(score)
    sections, written = control_codes.sections(control_codes.music_of(text)), control_codes.written_range(text)
    can_be_asked = len(sections) <= control_codes.MOST_SECTIONS  # the similarity of all pairs grows with the square
    return {
        "metre": score.meter.text,
        "key": score.key.text,
        "mode": score.key.mode,
        "type": control_codes.tune_type(" ".join(score.fields.get("R", []))),
        "lowest": written[0] if written else None,
        "highest": written[1] if written else None,
        "S": len(sections),
        "B": tuple(map(control_codes.n_bars, sections)),
        "E": control_codes.codes_of(text).similarity if can_be_asked else (),
    }


def adherence(asked: Sequence[Fields], tunes: Sequence[Fields | None]) -> dict[str, dict[str, float]]:
    """Compare asked and found fields: by field `n` tunes asked for it, the mean `share` that was kept, and for S, B and
    E the `mean_distance` of those present.

    found: None for a tune that does not parse. Raises ValueError when the two are not equally long.
    """
    pairs = list(zip(asked, tunes, strict=True))
    fields = list(dict.fromkeys(field for one in asked for field in one))
    return {field: _of_field(field, [(a[field], b) for a, b in pairs if field in a]) for field in fields}


def chance(asked: Sequence[Fields], tunes: Sequence[Fields | None], seed: int = 0) -> dict[str, dict[str, float]]:
    """Compute the adherence of tunes to what was asked of another tune, drawn at random."""
    others = list(tunes)
    random.Random(seed).shuffle(others)
    return adherence(asked, others)


def share_kept(field: str, asked: Any, value: Any) -> float:
    """Return how far a found value is what was asked for, from 0 to 1; None stands for a value that was not found."""
    if value is None:
        return 0.0
    if field == "lowest":
        return float(control_codes.position(value) >= control_codes.position(asked))
    if field == "highest":
        return float(control_codes.position(value) <= control_codes.position(asked))
    if field in FORM:
        wanted, there = _numbers(asked), _numbers(value)
        equal = sum(a == b for a, b in zip(wanted, there))
        return equal / max(len(wanted), len(there)) if wanted or there else 1.0
    return float(str(asked).casefold() == str(value).casefold())


def table(asked: Fields, fields: Mapping[str, Mapping[str, float]]) -> Table:
    """Build the table of what was asked of all tunes and how far it was kept."""
    rows: list[list[Cell]] = [
        [name, _spelled(asked[name]), int(one["n"]), Share(one["share"]), one.get("mean_distance")]
        for name, one in fields.items()
    ]
    return Table("Asked and found", ["field", "asked", "tunes", "kept", "mean distance"], rows)


def _spelled(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value) or "major"


def _of_field(field: str, pairs: Sequence[tuple[Any, Fields | None]]) -> dict[str, float]:
    values = [(asked, None if tune is None else tune.get(field)) for asked, tune in pairs]
    result = {"n": len(values), "share": sum(share_kept(field, *pair) for pair in values) / len(values)}
    if field not in FORM:
        return result
    there = [
        abs(a - b) for asked, value in values if value is not None for a, b in zip(_numbers(asked), _numbers(value))
    ]
    return result | ({"mean_distance": sum(there) / len(there)} if there else {})


def _asked_field(letter: str, value: str, before: Fields) -> dict[str, Any]:
    if letter in "BE":
        return {letter: (*before.get(letter, ()), int(value))}
    if letter == "S":
        return {"S": int(value)}
    if letter == "K":
        key = parse_key(value)
        return {"key": key.text, "mode": key.mode}
    if letter == "I":
        kind, note = value.split()
        return {kind: note}
    return {"metre": parse_meter(value).text} if letter == "M" else {"type": control_codes.tune_type(value)}


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)
