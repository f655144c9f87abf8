"""Fine-tuning end to end on the debug model: resume after a kill, early stopping, export, copies; and its errors."""

import contextlib
import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audio_bridge.__main__ import VERBS
from audio_bridge.musicgen import finetune, musicgen_model
from audio_bridge.musicgen.clips import Clip
from audio_bridge.musicgen.finetune import FinetuneConfig
from audio_bridge.sound import chroma
from audio_bridge.sound.audio import Audio, write_audio
from symbolic import runs
from symbolic.command_line import main
from symbolic.errors import UsageError, UserError
from symbolic.progress import Console
from symbolic.training import checkpoint, metrics_log
from symbolic.training.checkpoint import TrainingProgress
from symbolic.training.distributed import Group
from symbolic.training.loop import Loop, Plan, Stop

RATE = 32_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of 1.3 s and two held out."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("valid", 2)):
        for i in range(count):
            hz = 440 * 2 ** (rng.integers(-9, 10, 5) / 12)
            time = np.arange(RATE * 26 // 100) / RATE
            sound = np.concatenate([0.3 * np.sin(2 * np.pi * one * time) for one in hz]).astype(np.float32)
            write_audio(Audio(sound[None], RATE), folder / split / f"{split}-{i}.wav")
            (folder / split / f"{split}-{i}.txt").write_text(f"tune {i}", encoding="utf-8")
    return folder


def config(data: Path, **changes: object) -> FinetuneConfig:
    base = FinetuneConfig(
        name="t", data=str(data), model="debug", epochs=3, batch_size=2, accumulation=1, learning_rate=1e-2,
        warmup_steps=2, clip_seconds=1.3, samples=1, save_every=2, device="cpu", dtype="float32",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def rows(folder: Path, kind: str) -> list[dict]:
    return [row for row in metrics_log.read(folder / "metrics.jsonl") if row["kind"] == kind]


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_losses(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finetune.finetune(config(data), tmp_path / "whole")
    update = Loop.update

    def killed(loop: Loop) -> None:
        if loop.step == 5:
            raise KeyboardInterrupt
        update(loop)

    monkeypatch.setattr(Loop, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune.finetune(config(data), tmp_path / "cut")
    monkeypatch.setattr(Loop, "update", update)
    with pytest.raises(UsageError, match="Add --resume"):
        finetune.finetune(config(data), tmp_path / "cut")
    with pytest.raises(UsageError, match="rank differs"):
        finetune.finetune(config(data, rank=8), tmp_path / "cut", resume=True)
    resumed = finetune.finetune(config(data), tmp_path / "cut", resume=True)
    assert [row["loss"] for row in rows(tmp_path / "cut", "train")] == [
        row["loss"] for row in rows(tmp_path / "whole", "train")
    ]
    assert [row["step"] for row in rows(tmp_path / "cut", "train")] == list(range(1, 10))
    assert resumed["best_loss"] == whole["best_loss"] and whole["steps"] == 9


@pytest.mark.slow
def test_full_fine_tuning_learns_stops_early_and_exports_a_plain_folder(data: Path, tmp_path: Path) -> None:
    from transformers import MusicgenMelodyForConditionalGeneration

    settings = config(data, method="full", epochs=40, patience=2, gradient_checkpointing=False, learning_rate=3e-2)
    summary = finetune.finetune(settings, tmp_path / "run")
    losses = [row["loss"] for row in rows(tmp_path / "run", "validation")]
    train = [row["loss"] for row in rows(tmp_path / "run", "train")]
    assert np.mean(train[-3:]) < train[0] - 0.3
    assert summary["stopped"] == "validation has not fallen for 2 epochs" and len(losses) < 40
    assert summary["best_loss"] == min(losses) == losses[-3]
    assert set(rows(tmp_path / "run", "validation")[0]) >= {"exchanged", "none"}
    assert len(list((tmp_path / "run" / "samples").glob("*.wav"))) == len(losses)

    with musicgen_model.quiet():
        plain = MusicgenMelodyForConditionalGeneration.from_pretrained(tmp_path / "run" / "export")
    loaded = musicgen_model.load(str(tmp_path / "run" / "export"), torch.device("cpu"), torch.float32)
    with torch.no_grad():
        for one, other in zip(plain.parameters(), loaded.model.parameters(), strict=True):
            assert torch.equal(one, other)
    loss = finetune.validation(loaded, finetune_clips(data, loaded), settings)["loss"]
    assert loss == pytest.approx(summary["best_loss"], abs=1e-5)
    note = (tmp_path / "run" / "export" / "README.md").read_text(encoding="utf-8")
    assert "its licence and the terms of the clips" in note


def finetune_clips(data: Path, gen: musicgen_model.MusicGen) -> list:
    from audio_bridge.musicgen import clips

    return clips.load(data, "valid", gen)


def test_codes_and_chroma_are_computed_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gen = musicgen_model.debug_model()
    first = finetune_clips(data, gen)
    monkeypatch.setattr(musicgen_model.MusicGen, "encode", lambda *_: pytest.fail("encoded again"))
    second = finetune_clips(data, gen)
    assert [c.text for c in second] == ["tune 0", "tune 1"]
    for one, other in zip(first, second, strict=True):
        assert (one.codes == other.codes).all() and (one.classes == other.classes).all()
    assert first[0].codes.shape == (4, 65) and len(first[0].classes) == chroma.n_frames(1.3)
    monkeypatch.undo()
    other_codec = musicgen_model.debug_model(seed=1)
    assert (finetune_clips(data, other_codec)[0].codes != first[0].codes).any()
    finetune_clips(data, gen)


def test_a_text_only_model_is_trained_too(data: Path, tmp_path: Path) -> None:
    from transformers import MusicgenForConditionalGeneration

    codec = {"num_filters": 4, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": 64, "hidden_size": 16}
    shape = musicgen_model.tiny_config(
        hidden=32, layers=1, heads=4, codec=codec | {"target_bandwidths": [1.2]}, melody=False
    )
    gen = musicgen_model.random_model(MusicgenForConditionalGeneration, shape)
    summary = finetune.finetune(config(data, method="full", epochs=1), tmp_path / "run", gen=gen)
    assert summary["steps"] == 3 and "none" not in rows(tmp_path / "run", "validation")[0]


def test_memory_grows_with_what_is_trained_and_shrinks_with_checkpointing(data: Path) -> None:
    gen = musicgen_model.debug_model()
    plain = finetune.memory_bytes(config(data, gradient_checkpointing=False), gen, 1000)
    assert plain > finetune.memory_bytes(config(data), gen, 1000)
    assert finetune.memory_bytes(config(data, batch_size=4), gen, 1000) > finetune.memory_bytes(config(data), gen, 1000)


def test_the_verb_reads_its_configuration_strictly(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"name: x\ndata: {data}\nmodel: debug\nepochs: 1\nrnak: 4\n", encoding="utf-8")
    call = ["finetune", str(path), "--folder", str(tmp_path / "run")]
    assert main("audio_bridge", VERBS, call) == 2
    assert f"{path}:5: rnak: no such key: did you mean 'rank'?" in capsys.readouterr().err
    path.write_text(f"name: x\ndata: {data}\nmodel: debug\n", encoding="utf-8")
    options = ["--epochs", "1", "--clip_seconds", "1.0", "--samples", "1", "--json"]
    assert main("audio_bridge", VERBS, [*call, *options]) == 0
    shown = capsys.readouterr()
    summary = json.loads(shown.out.splitlines()[-1])
    assert summary["export"].endswith("export") and len(summary["nearest"]) == 1
    assert "GiB needed" in shown.err
    assert main("audio_bridge", VERBS, [*call[:2], "--folder", str(tmp_path / "y"), "--drop_both", "2"]) == 2


@pytest.mark.parametrize("name", ["melody", "small"])
def test_the_configurations_that_come_along(name: str) -> None:
    from symbolic import config as configuration

    path = Path(__file__).parents[3] / "configs" / "finetune" / f"{name}.yaml"
    loaded = configuration.load_as(FinetuneConfig, path, [("batch_size", "1")])
    assert loaded.batch_size == 1 and loaded.model.startswith("facebook/musicgen-") and loaded.epochs == 50


def test_what_cannot_work_is_said_before_the_model_is_loaded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(musicgen_model, "load", lambda *_: pytest.fail("the model was loaded"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty/train has no .wav clips: make them with"):
        finetune.finetune(config(tmp_path / "empty"), tmp_path / "run")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"file is not a folder that you may write to"):
        finetune.finetune(config(data), tmp_path / "file" / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_weights_are_named_and_the_state_before_them_is_gone_on_from(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(data, epochs=1, samples=0)
    finetune.finetune(settings, tmp_path / "run")
    path = runs.checkpoint_folder(tmp_path / "run", 3) / checkpoint.TRAINED
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"no checkpoint .* is whole.*best is whole: its weights can be used"):
        finetune.finetune(settings, tmp_path / "run", resume=True)
    assert f"{path} holds 200 bytes" in capsys.readouterr().err


def test_training_with_checkpointing_keeps_no_cache(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    from audio_bridge.musicgen import clips

    gen = musicgen_model.debug_model()
    finetune.prepare(gen, config(data))
    gen.model.train()
    held = finetune_clips(data, gen)
    with caplog.at_level("WARNING", logger="transformers"):
        logging.getLogger("transformers").addHandler(caplog.handler)
        clips.loss(gen, held, clips.Dropout(), np.random.default_rng(0)).backward()
    logging.getLogger("transformers").removeHandler(caplog.handler)
    assert "use_cache" not in caplog.text
    assert gen.model.decoder.config.use_cache, "what is exported is as it came"


def test_the_help_names_a_configuration_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main("audio_bridge", VERBS, ["finetune", "--help"])
    named = set(re.findall(r"configs/[\w/.-]+\.yaml", capsys.readouterr().out + str(finetune.__doc__)))
    assert named and all((Path(__file__).parents[3] / name).is_file() for name in named)


def test_a_clip_is_never_exchanged_with_itself() -> None:
    from typing import Any

    def clip(*classes: int) -> Any:
        return Clip("", np.zeros((4, 2), dtype=np.int64), np.array(classes), "")

    assert finetune.exchanged([clip(1, 2)]) == [] and finetune.exchanged([clip(1, 2), clip(1, 2)]) == []
    made = finetune.exchanged([clip(1, 2), clip(1, 2), clip(3, 4)])
    assert [list(one.classes) for one in made] == [[3, 4], [3, 4], [1, 2]]


def _clips(*lengths: int) -> list[Clip]:
    rng = np.random.default_rng(1)
    return [Clip(str(n), rng.integers(0, 64, (4, n)), rng.integers(0, 12, 5 + n // 4), "") for n in lengths]


def test_validation_weighs_clips_by_their_codes() -> None:
    """A loss is the mean over codes, so it does not depend on how clips are grouped; nor is it the mean of clips."""
    gen = musicgen_model.debug_model()
    own = _clips(8, 40, 20)
    whole = finetune.validation(gen, own, config(Path(), batch_size=3))
    alone = finetune.validation(gen, own, config(Path(), batch_size=1))
    assert alone == pytest.approx(whole, rel=1e-5)
    each = [finetune.validation(gen, [clip], config(Path()))["loss"] for clip in own]
    assert whole["loss"] == pytest.approx(np.average(each, weights=[8, 40, 20]), rel=1e-5)
    assert abs(whole["loss"] - np.mean(each)) > 1e-3


def test_exchanged_melodies_are_those_of_the_other_clips() -> None:
    gen = musicgen_model.debug_model()
    one, other = _clips(30, 30)
    swapped = [replace(one, classes=other.classes), replace(other, classes=one.classes)]
    losses = finetune.validation(gen, [one, other], config(Path()))
    assert losses["exchanged"] == finetune.validation(gen, swapped, config(Path()))["loss"] != losses["loss"]
    held = [replace(clip, classes=np.zeros(1, dtype=np.int64)) for clip in (one, other)]  # a C throughout: no melody
    assert losses["none"] == finetune.validation(gen, held, config(Path()))["loss"]
    assert len({losses["loss"], losses["exchanged"], losses["none"]}) == 3


def test_a_step_is_the_same_however_its_clips_are_grouped(tmp_path: Path) -> None:
    """Gradients of clips of unequal length, one at a time or together, move the weights alike, and by clipped norm."""
    moved = []
    for batch_size, accumulation in ((1, 3), (3, 1)):
        gen = musicgen_model.debug_model()
        for module in gen.model.modules():
            for name in ("dropout", "activation_dropout", "attention_dropout"):
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, 0.0)
        settings = config(
            Path(), method="full", batch_size=batch_size, accumulation=accumulation, drop_both=0.0, drop_melody=0.0,
            gradient_checkpointing=False, clip_norm=0.1, learning_rate=1.0, warmup_steps=0,
        )  # fmt: skip
        own = _clips(8, 40, 20)
        learner = finetune.ClipLearner(settings, tmp_path, gen, own, own)
        before = {name: p.detach().clone() for name, p in learner.trained.items()}
        learner.optimizer = torch.optim.SGD(learner.trained.values(), lr=1.0)
        plan = Plan("t", tmp_path, learner.settings, learner.codes_per_step, "", str, measure="loss")
        log = metrics_log.Journal(tmp_path / f"{batch_size}.jsonl", 0, 0.0, 1, "loss")
        loop = Loop(learner, plan, TrainingProgress(0), log, Stop(), Console(), print, Group())
        loop.update()
        _, loss, _, rate = log.pending[0]
        log.close()
        moved.append((float(loss), {name: (p.detach() - before[name]) / rate for name, p in learner.trained.items()}))
    assert moved[0][0] == pytest.approx(moved[1][0], rel=1e-5)
    for name, change in moved[0][1].items():
        torch.testing.assert_close(change, moved[1][1][name], rtol=1e-3, atol=1e-6)
    norm = torch.sqrt(sum(((change**2).sum() for change in moved[0][1].values()), torch.zeros(())))
    assert float(norm) == pytest.approx(0.1, rel=1e-3)
