"""Do the bars add up? The share of bars, and of tunes, whose length fits the metre.

Task: tell music from text that looks like it. That a converter accepts a text says nothing, it accepts noise; that
every bar holds exactly its metre is what a reader checks first, and noise has almost none.

A *piece* is what stands between two bar lines as written; its length counts notes, chords (once), rests and tuplets,
and no grace notes. Conventions:

- A plain `|` ends a bar. Any other bar line (`||` `|]` `|:` `:|` `::`) and the beginning of an ending may stand inside
  a bar: the pieces on its two sides, *in playing order*, are parts of one bar when they make up the metre exactly. So
  a pick-up pairs with the end of its section through the repeat, an ending with the piece before it and with the
  pick-up that follows, and three parts may make one bar. Parts must be of one metre.
- A piece is right when, each time it is played, it is full or part of a full bar. (A section that opens with a pick-up
  and whose last bar is short leads into the next section too: without a pick-up there, the second time falls short.)
- The first and the last piece as written are outer where they are shorter than the metre, and so are the parts at the
  very end of the playing order: a pick-up that nothing precedes, an end that nothing follows. They are not counted,
  since editors differ on whether a last bar gives back what the pick-up took. All other pieces are the *inner bars*; a
  first or last piece that is full or too long is one of them.
- The metre is that of M: and of its changes inside the tune. In free metre (M:none) nothing can be checked.
- Each voice is judged by itself; a tune is right when all its voices are, with MIN_BARS inner bars or more in all.

Denominators leave no way to score by failing. A tune that cannot be checked (it does not parse, is in free metre, has
no inner bar) counts as wrong among tunes, and with the mean number of bars of those that can among bars: the share of
full bars is the pooled share of the tunes that were checked times the share of tunes that were.

Published folk-rnn output has 97.9 % full bars and 84.7 % right tunes by a like count; see tests for human collections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symbolic.notation.abc_parser import Bar, Meter, NotationError, Note, Rest, Score, Voice, bars, parse
from symbolic.notation.performance import unroll
from symbolic.notation.score import WrittenBar

MIN_BARS = 3  # a four-bar strain with a pick-up has three inner bars; with fewer nothing is shown


@dataclass(frozen=True)
class Validity:
    """What a tune's bars come to. `reason` is empty when it could be checked, else a slug: no_key, free_metre..."""

    reason: str = ""
    n_bars: int = 0
    n_full: int = 0
    parses: bool = True
    wrong: tuple[tuple[int, int], ...] = field(default=())  # (voice, piece) of each wrong bar, counted from 0

    @property
    def is_right(self) -> bool:
        """All inner bars are full, and there are enough of them to tell."""
        return not self.reason and self.n_bars >= MIN_BARS and self.n_full == self.n_bars


def check(text: str) -> Validity:
    """Judge one tune in ABC; never raises."""
    try:
        return check_score(parse(text, strict=True))
    except NotationError as error:
        return Validity(reason=error.reason, parses=False)


def has_right_bars(row: Mapping[str, Any]) -> bool:
    """Whether the tune of a row of tunes/*.jsonl is right."""
    return check(row["text"]).is_right


def check_score(score: Score) -> Validity:
    """Judge a tune that has been read."""
    try:
        counts = [_voice_bars(voice, score.meter) for voice in score.voices]
    except NotationError as error:  # repeats that multiply without end
        return Validity(reason=error.reason)
    n_bars, wrong = sum(n for n, _ in counts), [(v, piece) for v, (_, pieces) in enumerate(counts) for piece in pieces]
    if n_bars == 0:
        free = all(measure.meter_ticks == 0 for voice in score.voices for measure in bars(voice, score.meter))
        return Validity(reason="free_metre" if free else "no_inner_bars")
    return Validity("", n_bars, n_bars - len(wrong), True, tuple(wrong))


def share_that_parse(tunes: Sequence[Validity]) -> float:
    """Tunes that are ABC at all, over all tunes."""
    return sum(tune.parses for tune in tunes) / len(tunes) if tunes else 0.0


def share_of_full_bars(tunes: Sequence[Validity]) -> float:
    """Inner bars that are full; a tune that cannot be checked counts as the mean number of wrong bars."""
    checked = [tune for tune in tunes if not tune.reason]
    n_bars = sum(tune.n_bars for tune in checked)
    return sum(tune.n_full for tune in checked) / n_bars * len(checked) / len(tunes) if n_bars else 0.0


def share_of_right_tunes(tunes: Sequence[Validity]) -> float:
    """Tunes with all inner bars full (and MIN_BARS of them), over all tunes."""
    return sum(tune.is_right for tune in tunes) / len(tunes) if tunes else 0.0


def _voice_bars(voice: Voice, meter: Meter) -> tuple[int, list[int]]:
    """The number of inner bars of a voice, and which pieces are wrong."""
    pieces = bars(voice, meter)
    played = _playing_order(voice)
    whole = _whole(pieces, played)
    tail = _tail(pieces, played, whole)
    wrong = {piece for place, piece in enumerate(played) if not whole[place] and place not in tail}
    wrong |= {piece for piece in set(range(len(pieces))) - set(played) if not pieces[piece].is_full}
    ends = {i for i in (0, len(pieces) - 1) if pieces and pieces[i].ticks < pieces[i].meter_ticks}
    ends |= {played[place] for place in tail} - {piece for piece, fits in zip(played, whole) if fits} - wrong
    counted = [i for i, piece in enumerate(pieces) if piece.meter_ticks and i not in ends]
    return len(counted), [i for i in counted if i in wrong]


def _playing_order(voice: Voice) -> list[int]:
    """Indices of the pieces as they are played, repeats and endings unrolled."""
    piece_of: dict[int, int] = {}
    piece, is_empty = 0, True
    for event in voice.events:
        if isinstance(event, (Note, Rest)):
            piece_of[id(event)], is_empty = piece, False
        elif isinstance(event, Bar) and not is_empty:
            piece, is_empty = piece + 1, True
    order: list[int] = []
    fresh = True
    for event in unroll(voice):
        if isinstance(event, (Note, Rest)):
            if fresh or piece_of[id(event)] != order[-1]:  # past an ending that is left out no bar line is met
                order.append(piece_of[id(event)])
            fresh = False
        elif isinstance(event, Bar):
            fresh = True
    return order


def _whole(pieces: Sequence[WrittenBar], played: Sequence[int]) -> list[bool]:
    """For each place in the playing order, whether its piece is full or part of a full bar there."""
    whole = [False] * len(played)
    place = 0
    while place < len(played):
        n_parts = _parts_of_full_bar(pieces, played, place)
        for part in range(place, place + n_parts):
            whole[part] = True
        place += max(1, n_parts)
    return whole


def _parts_of_full_bar(pieces: Sequence[WrittenBar], played: Sequence[int], place: int) -> int:
    """How many pieces from `place` on make one full bar; 0 when they make none."""
    meter_ticks = pieces[played[place]].meter_ticks
    ticks = 0
    for end in range(place, len(played)):
        piece = pieces[played[end]]
        if end > place and not (piece.meter_ticks == meter_ticks and _may_join(pieces, played, end - 1)):
            return 0
        ticks += piece.ticks
        if ticks == meter_ticks or meter_ticks == 0:
            return end - place + 1
        if ticks > meter_ticks:
            return 0
    return 0


def _may_join(pieces: Sequence[WrittenBar], played: Sequence[int], place: int) -> bool:
    """Whether what divides a piece from the next one played may stand inside a bar: anything but a plain |."""
    first, second = played[place], played[place + 1]
    return second != first + 1 or _divides_sections(pieces[first].end) or _divides_sections(pieces[second].start)


def _divides_sections(bar: Bar | None) -> bool:
    return bar is not None and (bar.kind != "|" or bar.ending != "")


def _tail(pieces: Sequence[WrittenBar], played: Sequence[int], whole: Sequence[bool]) -> set[int]:
    """Places at the end of the playing order whose pieces together are shorter than a bar."""
    tail: set[int] = set()
    ticks = 0
    for place in range(len(played) - 1, -1, -1):
        piece = pieces[played[place]]
        ticks += piece.ticks
        joined = place == len(played) - 1 or _may_join(pieces, played, place)
        if whole[place] or not joined or ticks >= piece.meter_ticks:
            break
        tail.add(place)
    return tail
