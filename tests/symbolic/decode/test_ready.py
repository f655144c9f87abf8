"""The models that come with the package: whole, named on their card, and as good as the card says."""

import json
import re
from pathlib import Path

import pytest

from symbolic import files, models, runs, tokens
from symbolic.notation.abc_parser import parse
from symbolic.training import checkpoint, likelihood

ROOT = Path(__file__).parents[3]
READY = runs.ready_made()


@pytest.fixture(params=READY, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """Each ready-made model in turn."""
    path: Path = request.param
    return path


def test_there_is_one() -> None:
    assert "gpt2-6m" in [path.name for path in READY]


def test_whole_and_found_by_name(folder: Path) -> None:
    record = checkpoint.verify(folder)
    assert runs.resolve(folder.name, root=folder / "no runs here") == folder
    assert tokens.load(folder).digest == record["tokenizer_digest"]
    assert all(term["terms"] and term["sha256"] for term in record["terms"])


def test_card_tells_what_the_result_file_holds(folder: Path) -> None:
    result = files.read_json(ROOT / "experiments" / "results" / f"ready-{folder.name}.json")
    card = re.sub("<!--.*?-->", "", (folder / "README.md").read_text(encoding="utf-8"))  # which figure stands there
    assert f"{result['bits_per_byte']:.3f} bits per" in card
    assert f"{result['training']['parameters']:,} parameters" in card
    for record in checkpoint.verify(folder)["terms"]:
        assert record["title"] in card


def test_likelihood_of_real_tunes(folder: Path, real_tunes: list[str]) -> None:
    """Held near the published figure: a change of notation, tokenizer or model code would move it."""
    golden = json.loads((ROOT / "tests" / "golden" / "ready.json").read_text())[folder.name]
    model, _ = models.load(folder)
    texts = real_tunes[:400:40]
    sizes = [len(text.encode()) for text in texts]
    scores = likelihood.score(model, tokens.load(folder).encode_many(texts), sizes, context=512)
    assert likelihood.bits_per_byte(scores) == pytest.approx(golden, abs=0.002)


def test_writes_tunes_that_parse(folder: Path, tmp_path: Path) -> None:
    from symbolic.__main__ import VERBS
    from symbolic.command_line import main
    from symbolic.evaluate.sets import read_tunes

    target = tmp_path / "tunes.abc"
    words = ["generate", str(folder), "-n", "4", "--seed", "3", "--key", "G", "--metre", "6/8", "--max-tokens", "300"]
    assert main("symbolic", VERBS, [*words, "--top-p", "0.9", "-o", str(target)]) == 0
    tunes = read_tunes(target)
    assert len(tunes) == 4
    assert sum((score := parse(tune.text)).key.text == "G" and score.meter.text == "6/8" for tune in tunes) >= 3


def test_gpt2_ends_where_its_training_ended() -> None:
    """It was trained on rows of 768 tokens, which are all the positions it has."""
    from symbolic.decode.engine import engine
    from symbolic.decode.loaded_model import load_source

    for step in ("torch", "auto"):
        assert engine.context_limit(load_source("gpt2-6m", "cpu", threads=1, step=step).model) == 768
