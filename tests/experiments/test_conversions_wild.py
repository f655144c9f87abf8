"""The notation of the constructs' sounds."""

from fractions import Fraction

from experiments.conversions_wild import CASES, HEADER, abc_of, sounds_of


def test_sounds_by_onset_and_pitch() -> None:
    case = ("a", "CDEF|", "C:3/2 ^D:1/2 z E,+g' @0 _B,,:4")
    assert sounds_of(case) == [
        (Fraction(0), 46, Fraction(4)),
        (Fraction(0), 60, Fraction(3, 2)),
        (Fraction(3, 2), 63, Fraction(1, 2)),
        (Fraction(3), 52, Fraction(1)),
        (Fraction(3), 91, Fraction(1)),
    ]


def test_cases_are_whole_and_named_once() -> None:
    assert abc_of(("a", "CDEF|", "C")) == HEADER + "CDEF|\n" and abc_of(("a", "X:2\nK:G\nG|", "G")) == "X:2\nK:G\nG|\n"
    assert all(sounds_of(case) for case in CASES)
    assert len({case[0] for case in CASES}) == len(CASES)
