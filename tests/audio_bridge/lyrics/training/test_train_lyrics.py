"""The verb that trains lyric models: both kinds of configuration, their keys as options, runs by name."""

from pathlib import Path

import pytest

from audio_bridge.__main__ import VERBS
from audio_bridge.lyrics.prosody import rhyme
from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.training import finetune_lyrics, prepare_lyrics
from audio_bridge.lyrics.writing import neural, song_forms
from audio_bridge.lyrics.writing.compose import Brief
from symbolic import runs
from symbolic.command_line import main
from symbolic.errors import UserError
from symbolic.training import run_folder, train

ROOT = Path(__file__).resolve().parents[4]


def called(*arguments: object) -> int:
    return main("audio_bridge", VERBS, ["lyrics", "train", *map(str, arguments)])


@pytest.mark.slow
def test_trained_model_writes_lines_that_hold(tmp_path: Path) -> None:
    """A tiny GPT-2 of our own, trained a few steps: its lines or the grammar's, and the record says which."""
    data, folder = tmp_path / "data", tmp_path / "run"
    prepare_lyrics.prepare(["bundled"], data)
    changes = {"model.n_layer": 1, "model.n_embd": 32, "model.n_head": 2, "train.steps": 3, "train.warmup_steps": 1,
               "train.batch_size": 2, "data.context": 64, "data.folder": data, "train.evaluate_every": 3,
               "train.checkpoint_every": 3, "dtype": "float32"}  # fmt: skip
    options = [f"--{key}={value}" for key, value in changes.items()]
    assert called("configs/lyrics/gpt2-small.yaml", "--folder", folder, *options) == 0
    form = song_forms.make("folk", "verse", syllables="4", rhyme="AABB")
    draft = neural.write(str(folder), Brief("en", "folk", "Tiny", seed=1), form)
    assert [count(line, "en") for line in draft.lyrics.lines] == [4, 4, 4, 4]
    assert rhyme.holds(draft.lyrics.lines, "AABB", "en")
    assert set(draft.sources) == set(draft.lyrics.lines) and set(draft.sources.values()) <= {str(folder), "grammar"}
    with pytest.raises(UserError, match="a model of tunes"):
        neural.load("gpt2-6m")


def test_a_base_decides_what_is_trained_and_keys_are_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, object]] = []
    told = {"name": "x", "steps": 1, "bits_per_byte_before": 2.0, "best_bits_per_byte": 1.0, "folder": "f"}

    def finetune(config: finetune_lyrics.FineTune, folder: Path, *, resume: bool) -> dict[str, object]:
        seen.append((f"{config.base} {config.genre} {folder} {resume}", config.learning_rate))
        return told

    def from_scratch(config: object, folder: Path | None, resume: bool) -> dict[str, object]:
        seen.append(("scratch", config.train.steps))  # type: ignore[attr-defined]
        return told

    monkeypatch.setattr(finetune_lyrics, "finetune", finetune)
    monkeypatch.setattr(train, "train", from_scratch)
    monkeypatch.setattr(train, "describe", lambda summary: "told")
    study, small = ROOT / "configs/lyrics/study.yaml", ROOT / "configs/lyrics/gpt2-small.yaml"
    assert called(study, "--base", "gpt2", "--genre", "rap", "--learning_rate", "0.5", "-o", "there") == 0
    assert called(small, "--train.steps", "7", "--train.warmup_steps", "1") == 0
    assert seen == [("gpt2 rap there False", 0.5), ("scratch", 7)]

    monkeypatch.chdir(tmp_path)
    settings = finetune_lyrics.FineTune(name="mine", base="gpt2", data="data")
    run_folder.claim(runs.run_folder("mine"), settings, {})
    assert called("mine", "--resume") == 0
    assert seen[-1] == ("gpt2  runs/mine True", 3e-5)


def test_a_wrong_key_or_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        called("configs/lyrics/study.yaml", "--gerne", "rap")
    assert capsys.readouterr().err.startswith("error: --gerne: no such option: did you mean --genre?")
    assert called(ROOT / "configs/lyrics/study.yaml", "--train.steps", "3") == 2
    assert "train.steps" in capsys.readouterr().err
    assert called("nothing.yaml") == 2
    assert "cannot read the configuration nothing.yaml" in capsys.readouterr().err
