"""Judges of a style: they hear the music, not the request, and chance is what shuffled requests get."""

import random
from pathlib import Path

import numpy as np

from benchmarks import result_file
from experiments import styles
from symbolic import files
from symbolic.evaluate.tune_features import observe

KINDS = {"jig": ("6/8", 6, 1), "reel": ("2/2", 8, 1), "waltz": ("3/4", 3, 2)}


def _tune(style: str, draw: random.Random) -> str:
    meter, n_notes, length = KINDS[style]
    bars = ["".join(draw.choice("GABcdef") + str(length) for _ in range(n_notes)) for _ in range(8)]
    return f"M:{meter}\nL:1/8\nK:G\n|:{'|'.join(bars)}:|\n"


def _rows(n: int, seed: int) -> list[dict[str, str]]:
    draw = random.Random(seed)
    return [{"rhythm": style, "title": "", "text": _tune(style, draw)} for style in KINDS for _ in range(n)]


def test_the_judges_learn_styles_and_do_not_believe_a_request(tmp_path: Path) -> None:
    (tmp_path / "tunes").mkdir()
    for split, n in (("train", styles.MIN_TUNES), ("test", 20)):
        files.write_jsonl(tmp_path / "tunes" / f"{split}.jsonl", _rows(n, seed=n))
    judge = styles.Judge.fitted(styles.read_styles(tmp_path, "train"))
    assert judge.styles == ("jig", "reel", "waltz") and judge.meters["jig"] == {"6/8"}
    held_out = styles.read_styles(tmp_path, "test")
    assert all(judge.keeps_meter(tune, style) and judge.names_style(tune, style) for tune, style in held_out)
    jig = observe(_tune("jig", random.Random(1)))
    assert not judge.keeps_meter(jig, "reel") and not judge.names_style(jig, "reel")
    assert not judge.keeps_meter(observe("nonsense"), "jig") and not judge.names_style(observe("nonsense"), "jig")

    recorder = result_file.Recorder("styles")
    styles.record(recorder, judge, [tune for tune, _ in held_out], [style for _, style in held_out], model="human")
    found = {(row["given"], row["style"], row["measure"]): row["repeats"][0] for row in recorder.rows}
    assert found["asked", "all", "classifier"] == found["asked", "jig", "meter"] == 1.0
    assert found["shuffled", "all", "classifier"] < 0.6 and found["shuffled", "all", "meter"] < 0.6


def test_softmax_regression_parts_what_can_be_parted() -> None:
    rows = np.array([[0.0, 1.0], [0.2, 1.0], [0.8, 1.0], [1.0, 1.0]])
    weights = styles.fit(rows, np.array([0, 0, 1, 1]), 2)
    assert ((rows @ weights).argmax(1) == [0, 0, 1, 1]).all()
