"""How well words sit on a tune, and how near one setting is to another.

    placed              share of the syllables that have a note
    stress on beats     share of main stresses whose note begins on a beat of metrical strength 2 or 3, and the same for
                        unstressed syllables: a setting is good where the first is high and the second low
    exact agreement     share of syllables that begin on the very note of the reference and hold the same notes;
                        `same onset` asks for the beginning only
    PD, DD              overlap of the histograms of pitches and of durations of the syllables (0 to 1)
    MD                  melody distance: dynamic time warping between the pitches as sung, in semitones, per syllable

PD, DD, MD: Sheng et al., SongMASS, AAAI 2021, section 5.2 (there between melodies; here between what each syllable is
sung on), with pitches taken as they are, since key and octave are the same.
"""

from collections import Counter
from collections.abc import Sequence

from audio_bridge.lyrics.prosody.stress import Syllable
from audio_bridge.lyrics.setting.sung_melody import SungNote, sung_notes
from audio_bridge.lyrics.setting.syllable_alignment import Placement
from audio_bridge.lyrics.setting.word_setting import Setting, placements_of

STRONG = 2
_MOST_WARP = 64  # syllables by which the warping path may leave the diagonal


def measures(setting: Setting) -> dict[str, float | int | None]:
    """Return the measures that need no reference."""
    notes = sung_notes(setting.score)
    first = {event: n for n, note in enumerate(notes) for event in note.events}
    events = [i for i, e in enumerate(setting.score.voices[0].events) if hasattr(e, "pitches") and hasattr(e, "tie")]
    starts = [first[events[own[0]]] if own else None for own in placements_of(setting)]
    levels = [None if n is None else notes[n].strength for n in starts]
    strong, weak = shares_on_beats(setting.syllables, levels)
    return {
        "syllables": len(setting.syllables),
        "placed": round(sum(n is not None for n in starts) / max(1, len(starts)), 4),
        "stressed_on_strong_beats": None if strong is None else round(strong, 4),
        "unstressed_on_strong_beats": None if weak is None else round(weak, 4),
    }


def shares_on_beats(syllables: Sequence[Syllable], levels: Sequence[int | None]) -> tuple[float | None, float | None]:
    """Return shares of stressed and of unstressed syllables on strong beats; None where there are none, as in a
    language whose stress is not known."""
    return _share_on_beats(syllables, levels, 2), _share_on_beats(syllables, levels, 0)


def _share_on_beats(syllables: Sequence[Syllable], levels: Sequence[int | None], stress: int) -> float | None:
    own = [level for s, level in zip(syllables, levels) if s.stress == stress and level is not None]
    return sum(level >= STRONG for level in own) / len(own) if own else None


def agreement(one: Sequence[Placement], reference: Sequence[Placement]) -> tuple[float, float]:
    """Return (exact agreement, same onset) of two placements of the same syllables on the same notes."""
    exact = sum(a == b for a, b in zip(one, reference, strict=True)) / max(1, len(reference))
    onset = sum((a.first, a.part) == (b.first, b.part) for a, b in zip(one, reference)) / max(1, len(reference))
    return exact, onset


def distances(
    one: Sequence[Placement], reference: Sequence[Placement], notes: Sequence[SungNote]
) -> tuple[float, float, float]:
    """Return (PD, DD, MD) between what each syllable is sung on."""
    a, b = _sung(one, notes), _sung(reference, notes)
    pd = _overlap([pitch for pitch, _ in a], [pitch for pitch, _ in b])
    dd = _overlap([ticks for _, ticks in a], [ticks for _, ticks in b])
    return pd, dd, _warped([pitch for pitch, _ in a], [pitch for pitch, _ in b]) / max(1, len(b))


def _sung(placements: Sequence[Placement], notes: Sequence[SungNote]) -> list[tuple[int, int]]:
    """Return the pitch of the first note and ticks of all, for each syllable."""
    found = []
    for place in placements:
        ticks = sum(notes[i].ticks for i in range(place.first, place.last + 1)) // place.parts
        found.append((notes[place.first].midi, ticks))
    return found


def _overlap(a: Sequence[int], b: Sequence[int]) -> float:
    left, right = Counter(a), Counter(b)
    return sum(min(left[key] / len(a), right[key] / len(b)) for key in left) if a and b else 0.0


def _warped(a: Sequence[int], b: Sequence[int]) -> float:
    """Return the cost of the best warping path between two pitch sequences inside a band."""
    infinite = float("inf")
    before = [0.0] + [infinite] * len(b)
    for i, pitch in enumerate(a, start=1):
        row = [infinite] * (len(b) + 1)
        centre = i * len(b) // max(1, len(a))
        for j in range(max(1, centre - _MOST_WARP), min(len(b), centre + _MOST_WARP) + 1):
            row[j] = abs(pitch - b[j - 1]) + min(before[j], before[j - 1], row[j - 1])
        before = row
    return before[-1]
