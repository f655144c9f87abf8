"""Grace notes take their time from the note that they stand before."""

from audio_bridge.render.grace_notes import GRACE_TICKS, with_played_graces
from symbolic.notation.abc_parser import parse
from symbolic.notation.performance import performance


def sounds(music: str) -> list[tuple[int, int, int]]:
    """(onset, ticks, pitch)."""
    played = with_played_graces(parse(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}|]"))
    return [(sound.onset_ticks, sound.ticks, sound.midi) for sound in performance(played)]


def test_graces_begin_on_the_beat() -> None:
    quarter, short = 8 * GRACE_TICKS, GRACE_TICKS
    assert sounds("{gf}CD E2") == [
        (0, short, 79), (short, short, 77), (2 * short, quarter - 2 * short, 60), (quarter, quarter, 62),
        (2 * quarter, 2 * quarter, 64),
    ]  # fmt: skip


def test_many_graces_leave_half_of_the_note() -> None:
    found = sounds("{cdefgab}C/4 z3")
    assert sum(ticks for _, ticks, midi in found if midi != 60) <= 2 * GRACE_TICKS // 2
    assert sum(ticks for _, ticks, _ in found) == 2 * GRACE_TICKS


def test_a_tie_is_kept_and_a_rest_has_none() -> None:
    assert [midi for _, _, midi in sounds("C-{d}C {e}z D")] == [60, 62]


def test_dynamics_reach_the_graces() -> None:
    played = with_played_graces(parse("X:1\nM:4/4\nL:1/4\nK:C\n!ff!C {d}!p!E2 F|]"))
    assert [sound.velocity for sound in performance(played)] == [120, 60, 60, 60]
