"""Do the voices of a score stay together? Bars are compared by place: the k-th of each voice with the k-th of all.

A bar is what stands between two bar lines (`symbolic.notation.score.bars`); it differs where its lengths in ticks are
not all equal, or where a voice has no such bar.
"""

from itertools import zip_longest

from symbolic.notation.score import Score, bars


def bars_that_differ(score: Score) -> tuple[int, int]:
    """Count a score's bars, and those whose voices differ in length; (0, 0) for a score of one voice."""
    if len(score.voices) < 2:
        return 0, 0
    lengths = [[bar.ticks for bar in bars(voice, score.meter)] for voice in score.voices]
    places = list(zip_longest(*lengths))
    return len(places), sum(len(set(place)) > 1 for place in places)
