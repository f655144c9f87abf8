"""Both notations hold the same tunes, and a run makes the passes that it is asked for."""

from pathlib import Path

import pytest

from experiments import abc_vs_midi
from symbolic import files
from symbolic.formats import midi_text
from symbolic.notation import abc_parser


@pytest.fixture
def data(tmp_path: Path, real_tunes: list[str]) -> Path:
    texts = [text for text in real_tunes[200:340] if "[K:" not in text and "[M:" not in text]
    splits = {"train": texts[:80], "valid": texts[80:90], "test": texts[90:100]}
    for split, own in splits.items():
        rows = [{"id": f"{split}{n}", "text": text, "n_notes": 60, "fields": {}} for n, text in enumerate(own)]
        files.write_jsonl(tmp_path / "data" / "tunes" / f"{split}.jsonl", rows)
    files.write_json(tmp_path / "data" / "sources.json", [])
    return tmp_path / "data"


def test_both_folders_hold_the_same_notes(data: Path, tmp_path: Path) -> None:
    for name in ("abc", "midi"):
        abc_vs_midi.write_folder(data, tmp_path / name, name, repeats=False, bare=True)
    pairs = zip(*(files.read_jsonl(tmp_path / name / "tunes" / "train.jsonl") for name in ("abc", "midi")), strict=True)
    for abc, midi in pairs:
        assert (abc["id"], abc["seconds"]) == (midi["id"], midi["seconds"])
        assert not set(abc["text"].split("K:")[1]) & set('"~{}()') - {"("}
        score = abc_parser.parse(abc["text"])
        assert midi_text.from_score(score, repeats=False).parts == midi_text.parse(midi["text"]).parts


def test_steps_make_the_passes(data: Path, tmp_path: Path) -> None:
    abc_vs_midi.write_folder(data, tmp_path / "abc", "abc", repeats=False, bare=True)
    args = abc_vs_midi.parser().parse_args(["--vocab-size", "640"])
    config = abc_vs_midi.make_config(Path("configs/gpt2-6m-folk.yaml"), "bytepair", tmp_path / "abc", 0, args)
    one, four = (abc_vs_midi.steps(config, passes) for passes in (1, 4))
    assert one > 0 and abs(four - 4 * one) <= 4
    again = abc_vs_midi.make_config(Path("configs/gpt2-6m-folk.yaml"), "bytepair", tmp_path / "abc", four, args)
    assert (again.train.steps, again.train.warmup_steps) == (four, max(1, four // 20))
    assert (again.data.transpose_low, again.data.transpose_high) == (0, 0)


def test_samples_are_judged_alike() -> None:
    abc = "M:4/4\nL:1/8\nK:G\nGABcdefg|G8|B8|G8|\n"
    piece = midi_text.canonical(midi_text.from_score(abc_parser.parse(abc)))
    assert abc_vs_midi.in_bars(abc_vs_midi._piece(abc, "abc"))
    assert abc_vs_midi._piece(abc, "abc") == abc_vs_midi._piece(piece, "midi")
    assert not abc_vs_midi.in_bars(abc_vs_midi._piece(abc.replace("|G8", "|G9"), "abc"))
