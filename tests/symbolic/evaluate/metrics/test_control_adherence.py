"""Adherence by hand; what real tunes say of themselves is kept whole; chance is not."""

import random

import pytest

from symbolic.errors import UserError
from symbolic.evaluate.metrics.control_adherence import adherence, chance, find_codes, parse_request, share_kept
from symbolic.notation.abc_parser import canonical, parse

TUNE = "X:1\nR:Double Jig\nM:6/8\nL:1/8\nK:Ador\n|:ABc def|gfe dcB|ABc def|g3 a3:|:aga aga|gfe dcB|ABc def|A6:|\n"


def test_fields_of_a_tune() -> None:
    fields = find_codes(parse(TUNE))
    assert (fields["metre"], fields["key"], fields["mode"], fields["type"]) == ("6/8", "Ador", "dor", "jig")
    assert (fields["lowest"], fields["highest"], fields["S"], fields["B"]) == ("A", "a", 2, (4, 4))


def test_what_a_prompt_asks_for() -> None:
    text = "M:C R:slip jig I:lowest D I:highest b S:2 B:8 E:? B:9 K:G Mixolydian"
    assert parse_request("M:C R:slip jig I:lowest D I:highest b S:2 B:8 E:? B:9 K:Gmix |:GAB") == {
        **{"metre": "4/4", "type": "slip jig", "lowest": "D", "highest": "b", "S": 2, "B": (8, 9)},
        **{"key": "Gmix", "mode": "mix"},
    }
    assert parse_request("") == {} and parse_request("|:GAB") == {} and parse_request(text)["S"] == 2
    with pytest.raises(UserError, match="M:7 cannot be read"):
        parse_request("M:7")


def test_shares_and_distances() -> None:
    wanted = [{"S": 2, "B": (8, 8), "metre": "6/8"}, {"S": 3, "metre": "4/4"}, {"metre": "6/8"}]
    there = [{"S": 2, "B": (8, 9), "metre": "6/8"}, {"S": 2, "B": (8,), "metre": "4/4"}, None]
    result = adherence(wanted, there)
    assert result["S"] == {"n": 2, "share": 0.5, "mean_distance": 0.5}
    assert result["B"] == {"n": 1, "share": 0.5, "mean_distance": 0.5}
    assert result["metre"] == {"n": 3, "share": pytest.approx(2 / 3)}


def test_single_values() -> None:
    assert share_kept("lowest", "D", "D") == share_kept("lowest", "D", "E") == 1 and share_kept("lowest", "D", "C") == 0
    assert share_kept("highest", "b", "c'") == 0 and share_kept("highest", "c'", "b") == 1
    assert share_kept("type", "Jig", "jig") == 1 and share_kept("key", "G", None) == 0
    assert share_kept("B", (8, 8), (8, 8, 8)) == pytest.approx(2 / 3)


def test_human_tunes_keep_what_they_say_of_themselves_and_others_do_not(real_tunes: list[str]) -> None:
    tunes = [find_codes(parse(text)) for text in random.Random(0).sample(real_tunes, 150)]
    own, others = adherence(tunes, tunes), chance(tunes, tunes)
    for field, one in own.items():
        assert one["share"] == 1.0 and one.get("mean_distance", 0) == 0, field
        if field != "type":  # which canonical text does not carry
            assert others[field]["share"] < 0.9, field
    assert find_codes(parse(canonical(parse(TUNE))))["B"] == (4, 4)
