"""Training readers on an invented EmoBank in which one word decides."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect.labels.rated_items import RatedSet
from symbolic.affect.labels.text_ratings import emobank
from symbolic.affect.learning import text_training
from symbolic.affect.reading import text_affect
from tests.symbolic.affect.affect_files import write_emobank


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> RatedSet:
    return emobank(write_emobank(tmp_path_factory.mktemp("emobank")))


def test_the_deciding_words_are_learnt(rated: RatedSet, tmp_path: Path) -> None:
    model = text_training.train(rated, None, None, {"sources": []})
    good, bad = model.predict(["The garden was lovely in the evening.", "The garden was terrible in the evening."])
    assert good[0] > bad[0] + 0.1
    text_affect.save(model, tmp_path / "t.safetensors")
    loaded = text_affect.load(tmp_path / "t.safetensors")
    sentences = [item.text for item in rated.items[:9]]
    assert loaded.predict(sentences) == pytest.approx(model.predict(sentences), abs=0.02)  # 8-bit weights
    assert loaded.known_share("the house was lovely") == 1


def test_the_test_split_is_not_learnt_from(rated: RatedSet) -> None:
    learn, held = text_training._parts(rated)
    assert {item.split for item in learn} == {"train"} and {item.split for item in held} == {"dev"}


def test_document_arcs_are_of_long_documents(rated: RatedSet) -> None:
    items = list(rated.items) * 2
    items.sort(key=lambda item: item.group)
    targets = np.array([item.target for item in items])
    found = text_training.document_arcs(targets, items)
    assert set(found) == {"Doc-0", "Doc-1", "Doc-2", "Doc-3"}
    assert text_training.mean_error(targets, targets) == 0
