"""Ridge regression, grouped folds and conformal intervals."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect import ridge
from symbolic.errors import UserError


def _data(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(n, 3)) * [1, 10, 100]
    targets = features @ np.array([[1, 0], [0, 0.1], [0, 0]]) + generator.normal(size=(n, 2)) * 0.1
    return features, targets


def test_weights_are_found_and_shrink_with_the_penalty() -> None:
    features, targets = _data()
    model = ridge.fit(features, targets, "abc", 1e-6)
    assert model.weights / model.sd[:, None] == pytest.approx(np.array([[1, 0], [0, 0.1], [0, 0]]), abs=0.02)
    assert np.abs(ridge.fit(features, targets, "abc", 1e6).weights).max() < 0.01


def test_weighting_a_row_twice_is_repeating_it() -> None:
    features, targets = _data(20)
    doubled = ridge.fit(np.vstack([features, features[:5]]), np.vstack([targets, targets[:5]]), "abc", 2.5)
    weights = np.array([2.0] * 5 + [1.0] * 15)
    weighted = ridge.fit(features, targets, "abc", 2.0, weights)  # weights are scaled to mean 1: penalty 2.5 * 20 / 25
    assert weighted.predict(features) == pytest.approx(doubled.predict(features), abs=1e-9)


def test_no_group_is_in_train_and_test() -> None:
    groups = ["a", "b", "a", "c", "b", "d"]
    tested = []
    for train, test in ridge.folds(groups, 3):
        assert not {groups[i] for i in train} & {groups[i] for i in test}
        tested += test.tolist()
    assert sorted(tested) == list(range(6))
    with pytest.raises(UserError, match="two groups"):
        list(ridge.folds(["a", "a"]))


def test_conformal_width_covers_new_errors() -> None:
    generator = np.random.default_rng(1)
    width = ridge.conformal(generator.normal(size=(500, 1)))
    assert np.mean(np.abs(generator.normal(size=(5000, 1))) <= width) == pytest.approx(0.9, abs=0.03)


def test_saved_models_predict_alike_and_know_their_domain(tmp_path: Path) -> None:
    features, targets = _data()
    model = ridge.with_domain(ridge.fit(features, targets, "abc", 1.0), features, targets * 0.1)
    ridge.save_tensors(tmp_path / "w.safetensors", model.tensors("m"), {"sources": [1]})
    tensors, record = ridge.read_tensors(tmp_path / "w.safetensors")
    loaded = ridge.load(tensors, "m", "abc")
    assert loaded.predict(features) == pytest.approx(model.predict(features), abs=1e-4)
    assert record["sources"] == [1] and len(record["sha256"]) == 64
    assert loaded.distance(features.mean(axis=0))[0] < 0.1 < loaded.farthest < loaded.distance(features[0] + 1e4)[0]
    with pytest.raises(UserError, match="features, not 4"):
        ridge.load(tensors, "m", "abcd")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be read as weights"):
        ridge.read_tensors(tmp_path / "w.safetensors")


def test_out_of_fold_finds_what_generalises() -> None:
    features, targets = _data(90)
    groups = [str(i % 9) for i in range(90)]
    predicted = ridge.out_of_fold(features, targets, groups, "abc")
    assert np.corrcoef(predicted[:, 0], targets[:, 0])[0, 1] > 0.9


def test_a_feature_far_outside_of_what_was_learnt_is_left_out() -> None:
    features = np.random.default_rng(0).normal(size=(200, 2))
    model = ridge.fit(features, features @ np.array([[1.0, 0.0], [1.0, 2.0]]), ("a", "b"), 1.0)
    near = np.array([[0.5, -1.0]])
    assert model.predict_known(near) == pytest.approx(model.predict(near))
    strange = np.array([[0.5, 30.0]])
    assert model.predict_known(strange) == pytest.approx(model.predict_known(np.array([[0.5, model.mean[1]]])))
    assert abs(model.predict(strange)).max() > 10 > abs(model.predict_known(strange)).max()
