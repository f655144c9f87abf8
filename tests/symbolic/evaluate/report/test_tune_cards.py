"""Tunes as cards of the report, and the curves of a run."""

import shutil
from pathlib import Path

from symbolic.evaluate import sets
from symbolic.evaluate.comparison import TuneReference, evaluate_tunes
from symbolic.evaluate.report import tune_cards
from symbolic.evaluate.report.page import Badge
from symbolic.files import write_jsonl


def test_cards_tell_what_was_found(reference: TuneReference, broken: str) -> None:
    tunes = [reference.human.test[0], reference.human.train[3], sets.SetTune("x", "bad", broken)]
    rows = evaluate_tunes([tune.text for tune in tunes], reference)["tunes"]
    found = tune_cards.tune_cards(tunes, rows, reference, model="m", family="gpt2", audio={1: (b"x", "mp3")})
    assert [card.audio for card in found] == [None, b"x", None]
    assert found[1].nearest is not None and found[1].nearest[0] == "Tune 3"
    assert found[1].notes["copying"].text == "100 % copied" and found[1].notes["copying"].good is False
    assert found[2].abc == broken and found[2].notes["notation"].good is False


def test_a_card_does_not_judge_two_bars(reference: TuneReference) -> None:
    texts = ["M:4/4\nL:1/8\nK:C\n" + "c8|" * n_bars + "\n" for n_bars in (2, 3)]
    texts.append(texts[1].replace("c8|c8", "c8|c7", 1))
    rows = evaluate_tunes(texts, reference)["tunes"]
    found = tune_cards.tune_cards([sets.SetTune(text, "", text) for text in texts], rows, reference)
    assert [card.notes["metre"] for card in found] == [
        Badge("too few bars to judge"),
        Badge("3 of 3 bars fit", True),
        Badge("2 of 3 bars fit", False),
    ]


def test_curves_of_a_run(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[4] / "configs" / "gpt2-debug.yaml", tmp_path / "config.yaml")
    rows = [{"kind": "train", "step": i, "loss": 3.0 / i} for i in (1, 2, 3)]
    rows += [{"kind": "speed", "step": 3}, {"kind": "validation", "step": 3, "bits_per_byte": 2.5}]
    write_jsonl(tmp_path / "metrics.jsonl", rows)
    loss, bits = tune_cards.run_curves(tmp_path, "mine")
    assert (loss.model, loss.family, list(loss.x), list(loss.y)) == ("mine", "gpt2", [1, 2, 3], [3.0, 1.5, 1.0])
    assert (list(bits.x), list(bits.y)) == ([3], [2.5])
