"""Probabilities from counts: they sum to one, smooth what was not seen, and follow the counts."""

from math import exp, log

import pytest

from symbolic.notation import harmony_model
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.harmony_model import FAMILIES, HarmonyCounts, HarmonyModel, degree_chord, place_of


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_probabilities_sum_to_one(mode: str) -> None:
    model = harmony_model.bundled(mode)
    names = [f"{degree}:{family}" for degree in range(12) for family in FAMILIES]
    for before in ("0:", "7:7", harmony_model.START):
        for place in ("final downbeat", "bar1 middle"):
            assert sum(exp(model.log_change(before, name, place)) for name in names) == pytest.approx(1, abs=0.01)
    for family in FAMILIES:
        assert sum(exp(model.log_note(family, i)) for i in range(12)) == pytest.approx(1)


def test_people_s_habits_are_in_the_bundled_counts() -> None:
    model = harmony_model.bundled("major")
    assert model.chords[0].text == "0:"
    assert model.log_change("7:7", "0:", "final downbeat") > log(0.8)  # V7 - I at the end
    assert model.log_note("m", 3) > model.log_note("m", 4)


def test_counts_decide_and_what_is_unseen_is_rare_but_possible() -> None:
    counts = HarmonyCounts()
    for _ in range(50):
        counts.add_change("bar0 downbeat", "0:", "5:")
        counts.add_change("bar1 downbeat", "5:", "7:")
    counts.add_notes("", {0: 4.0, 4: 2.0})
    model = HarmonyModel(counts)
    assert exp(model.log_change("0:", "5:", "bar0 downbeat")) > 0.9
    assert 0 < exp(model.log_change("0:", "9:m", "bar0 downbeat")) < 0.01
    read = harmony_model.read_counts(harmony_model.as_json({"major": counts, "minor": HarmonyCounts()}, {}))
    assert read["major"].changes == counts.changes


def test_places_and_degrees() -> None:
    assert place_of(7, 8, begins_bar=True, last_section=True) == "final downbeat"
    assert [place_of(bar, 8, begins_bar=False) for bar in (5, 6, 7)] == [
        "bar1 middle",
        "penultimate middle",
        "last middle",
    ]
    chord = parse_chord("D7")
    assert chord is not None and degree_chord(chord, 7).text == "7:7"
