"""Tables of speed from a result file: medians, ranges, ratios round by round, and what was not run."""

from benchmarks import speed_tables


def test_peer_is_the_fastest_that_is_not_ours() -> None:
    rows = [
        {"path": "ours, native", "repeats": [9.0]},
        {"path": "slow", "repeats": [1.0, 2.0]},
        {"path": "fast", "repeats": [3.0, 5.0]},
        {"path": "absent", "not_run": "not installed"},
    ]
    found = speed_tables.best_peer(rows)
    assert found is not None and found["path"] == "fast"
    assert speed_tables.best_peer(rows[:1]) is None


def test_ratio_is_of_the_same_rounds_and_absent_where_a_side_was_not_run() -> None:
    ours, peer = {"repeats": [4.0, 9.0, 8.0]}, {"repeats": [2.0, 3.0, 4.0]}
    assert speed_tables._ratio(ours, peer) == "2.00 (2.00–3.00)"
    assert speed_tables._ratio(ours, {"not_run": "no compiler"}) == "not run"
    assert speed_tables._cell(None) == "not run"


def test_commit_keeps_the_mark_of_a_modified_tree() -> None:
    assert speed_tables._commit("0123456789abcdef+") == "0123456789ab+"
    assert speed_tables._commit("0123456789abcdef") == "0123456789ab"
    assert speed_tables._commit(None) == "none"


def test_table_of_a_result_that_is_not_there_says_so() -> None:
    assert speed_tables._table("training", None).splitlines()[-1].count("not run") == 3
