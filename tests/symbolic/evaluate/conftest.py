"""A prepared folder of real tunes that the tests of measures share."""

import random
from pathlib import Path

import pytest

from symbolic.evaluate import comparison
from symbolic.evaluate.comparison import TuneReference
from symbolic.files import write_jsonl


@pytest.fixture(scope="session")
def broken() -> str:
    """A tune that does not parse."""
    return "% unparseable\nX:9\nT:bad\nM:4/4\nL:1/8\nK:G\nAB[[c??|@@\n"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> Path:
    """A folder as `prepare` writes it: 40 training and 15 test tunes, of which every call of the verb measures all."""
    return _prepared(tmp_path_factory.mktemp("data"), real_tunes, 40, 15)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> TuneReference:
    """120 training and 30 test tunes, read and indexed."""
    return comparison.load_reference(_prepared(tmp_path_factory.mktemp("reference"), real_tunes, 120, 30))


def _prepared(folder: Path, real_tunes: list[str], n_train: int, n_test: int) -> Path:
    texts = random.Random(0).sample([text for text in real_tunes if len(text) > 150], n_train + n_test)
    rows = [{"id": f"t{i}", "title": f"Tune {i}", "text": text} for i, text in enumerate(texts)]
    write_jsonl(folder / "tunes" / "train.jsonl", rows[:n_train])
    write_jsonl(folder / "tunes" / "test.jsonl", rows[n_train:])
    return folder
