"""The measures of a set, of human tunes and of baselines, on real tunes."""

import pytest

from symbolic.errors import UserError
from symbolic.evaluate import comparison
from symbolic.evaluate.comparison import TuneReference, evaluate_tunes
from symbolic.notation.abc_parser import transpose


def test_a_transposed_copy_is_traced_to_its_source(reference: TuneReference) -> None:
    source = reference.human.train[17]
    result = evaluate_tunes([transpose(source.text, 3)], reference)
    (row,) = result["tunes"]
    assert (row["source_id"], row["source_title"]) == ("t17", "Tune 17") and row["share_covered"] == 1.0
    assert result["measures"]["share_with_copied_phrase"] == result["measures"]["share_mostly_copied"] == 1.0


def test_garbage_scores_nothing(reference: TuneReference, broken: str) -> None:
    found = evaluate_tunes(["", "K:G\n\x00", broken], reference)["measures"]
    assert found["n_tunes"] == 3
    assert found["share_that_parse"] == found["share_of_full_bars"] == found["share_of_right_tunes"] == 0.0
    assert "share_with_copied_phrase" not in found  # unknown, not zero: nothing could be judged
    with pytest.raises(UserError, match="no tunes"):
        evaluate_tunes([], reference)


def test_a_set_in_which_nothing_parses_is_as_far_from_music_as_can_be(reference: TuneReference, broken: str) -> None:
    found = evaluate_tunes([broken], reference)["measures"]
    assert found["divergence_interval"] == 1.0 and found["overlap_interval"] == found["precision"] == 0.0
    assert "key_fit" not in found


def test_measures_of_parts_have_intervals(reference: TuneReference) -> None:
    texts = [tune.text for tune in reference.human.test]
    measured = comparison.measure(texts, reference)
    whole, spread = comparison.summary(measured, reference), comparison.interval_of(measured, reference, draws=8)
    low, high = spread["key_fit"]
    assert low < whole["key_fit"] < high and "not_checked" not in spread
    assert comparison.interval_of(measured, reference, draws=8) == spread


def test_every_row_has_a_key_and_a_kind() -> None:
    keys = [one.key for one in comparison.MEASURES]
    assert len(set(keys)) == len(keys) and len({one.label for one in comparison.MEASURES}) == len(keys)
    assert {control for one in comparison.MEASURES for control in one.catches} == set(comparison.CONTROLS)


def test_repeats_are_counted(reference: TuneReference, broken: str) -> None:
    text, other = (tune.text for tune in reference.human.test[:2])
    result = evaluate_tunes([text, other, transpose(text, 2), broken, broken], reference)
    assert [row["repeats"] for row in result["tunes"]] == [None, None, 0, None, None]
    assert result["measures"]["share_of_duplicates"] == pytest.approx(1 / 3)


def test_controls_are_told_from_human_tunes(reference: TuneReference) -> None:
    columns = comparison.comparison(reference)
    human = columns["human, held out"]
    assert set(columns) == {"human, held out", *comparison.CONTROLS}
    for name in ("5 % dropped", "shuffled", "Markov chain"):
        assert columns[name]["share_of_full_bars"] < human["share_of_full_bars"] - 0.4, name
        assert columns[name]["share_of_right_tunes"] < human["share_of_right_tunes"] - 0.5, name
    assert columns["training tunes"]["share_with_copied_phrase"] == 1.0 > human["share_with_copied_phrase"]
    assert comparison.comparison(reference) == columns


def test_keys_meters_and_lengths_that_people_do_not_use_are_told(reference: TuneReference) -> None:
    human = [tune.text for tune in reference.human.train]
    same = evaluate_tunes(human, reference)["measures"]
    assert same["divergence_key"] == same["divergence_meter"] == same["share_with_odd_lengths"] == 0.0
    far = evaluate_tunes([transpose(text, 6) for text in human], reference)["measures"]
    assert far["divergence_key"] > 0.5 and far["divergence_meter"] == 0.0
    odd = "X:1\nM:11/16\nL:1/16\nK:G\nG11|A11|B11|G11|]\n"
    found = evaluate_tunes([odd, human[0]], reference)["measures"]
    assert found["share_with_odd_lengths"] == 0.5 and found["divergence_meter"] > 0.1
