"""The verb on the debug model: exact lengths, stems, takes, batches, records; and its errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio_bridge.__main__ import VERBS
from audio_bridge.musicgen import condition, generation, musicgen_model
from audio_bridge.sound.audio import Audio, write_audio
from symbolic.command_line import main

TUNE = "X:1\nT:A jig\nM:6/8\nL:1/8\nQ:3/8=120\nK:D\nA|d2e dcd|fed e2d|edc BAG|\n"  # bars of 1 s, a pick-up of 1/6 s
SECOND = "\nX:2\nT:Another\nM:4/4\nL:1/8\nQ:1/4=240\nK:G\nG2A2 B2c2|\n"


def call(*arguments: object) -> int:
    return main("audio_bridge", VERBS, ["condition", *map(str, arguments)])


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.abc"
    path.write_text(TUNE, encoding="utf-8")
    return path


def test_bars_are_exact_and_stems_lie_on_the_score(tune: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tune.with_name("out.flac")
    done = call(tune, "--text", "fiddle", "--model", "debug", "-o", out, "--bars", 1, "--stems", "--takes", 2)
    assert done == 0
    shown = capsys.readouterr()
    assert "what it plays is noise" in shown.err and "of memory" in shown.err
    record = json.loads(out.with_name("out.flac.json").read_text(encoding="utf-8"))
    names = ["out.flac", *(f"out-{stem}.flac" for stem in ("conditioned", "melody", "click", "mix"))]
    infos = [soundfile.info(out.with_name(name)) for name in names]
    assert {info.frames for info in infos} == {round((1 + 1 / 6) * 32_000)} and infos[0].samplerate == 32_000
    click, _ = soundfile.read(out.with_name("out-click.flac"))
    assert np.flatnonzero(np.abs(click) > 0.01)[0] == pytest.approx(32_000 / 6, abs=2)
    assert len(record["chroma_match_of_takes"]) == 2
    assert record["seed"] == int(np.argmax(record["chroma_match_of_takes"]))
    assert record["score"] == TUNE and record["adherence"]["ceiling"]["chroma match"] > 0.5
    assert (record["text"], record["chroma"], record["model"]) == ("fiddle", "exact", "debug")


def test_the_same_call_gives_the_same_file_and_another_seed_another(tune: Path) -> None:
    names = [tune.with_name(f"{i}.wav") for i in range(3)]
    for name, seed in zip(names, (5, 5, 6)):
        assert call(tune, "--model", "debug", "-o", name, "--bars", 1, "--seed", seed, "--loudness", -20) == 0
    assert names[0].read_bytes() == names[1].read_bytes() != names[2].read_bytes()


def test_every_tune_with_every_text(tune: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tune.write_text(TUNE + SECOND, encoding="utf-8")
    sound = tune.with_name("melody.wav")
    wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 32_000)
    write_audio(Audio(wave.astype(np.float32)[None], 32_000), sound)
    out = tune.with_name("out.wav")
    assert call(tune, sound, "--text", "a", "--text", "b", "--model", "debug", "-o", out, "--seconds", 1.0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[3].endswith("b") and "out-6.wav" in lines[5]
    records = [json.loads(out.with_name(f"out-{i}.wav.json").read_text(encoding="utf-8")) for i in range(1, 7)]
    assert [(r["tune"], r["text"], r["chroma"]) for r in records] == [
        (1, "a", "exact"), (1, "b", "exact"), (2, "a", "exact"), (2, "b", "exact"),
        (None, "a", "audio"), (None, "b", "audio"),
    ]  # fmt: skip
    assert [r["seconds"] for r in records] == pytest.approx([1.0] * 6, abs=1e-6)


def test_a_loop_and_a_rendered_chroma(tune: Path) -> None:
    out = tune.with_name("loop.wav")
    assert call(tune, "--model", "debug", "-o", out, "--bars", 2, "--loop", "--chroma", "rendered") == 0
    assert soundfile.info(out).frames == round((2 + 1 / 6) * 32_000)
    assert json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))["chroma"] == "rendered"


def test_the_melody_reaches_the_model(tune: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `generate` is given is the score's pitch classes, moved by --transpose."""
    seen = []

    def caught(gen, texts, chroma_at, n_frames, seeds, sampling, **options):  # type: ignore[no-untyped-def]
        seen.append(chroma_at(0.0, 5)[0].tolist())
        return torch.zeros((1, 4, n_frames), dtype=torch.long), []

    monkeypatch.setattr(generation, "generate", caught)
    for semitones in (0, 2):
        assert call(tune, "--model", "debug", "-o", tune.with_name("x.wav"), "--transpose", semitones) == 0
    assert seen == [[9, 9, 2, 2, 4], [11, 11, 4, 4, 6]]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--bars", "9"], 2, "has 3 bars"),
        (["--seconds", "0.1"], 2, "give 1 or more"),
        (["--voice", "7"], 2, "no voice 7"),
        (["--tune", "3"], 2, "--tune 3: tune.abc holds 1 tune, none of them X:3"),
        (["--guidance", "0.5"], 2, "--guidance 0.5"),
        (["--dtype", "float16", "--device", "cpu"], 2, "overflows on a CPU"),
        (["--model", "no-such-folder"], 2, "name a folder, or one of ocarina, debug"),
        (["-o", "x.ogg"], 2, ".wav, .flac, .mp3"),
        (["--stride", "40"], 2, "--stride 40"),
        (["--bars", "0"], 2, "--bars 0"),
        (["--loudness", "nan"], 2, "--loudness nan: give -70 to 0"),
        (["--temperature", "nan"], 2, "--temperature nan"),
        (["--seconds", "nan"], 2, "--seconds nan"),
        (["--seed", "99999999999999999999"], 2, "--seed 9999"),
    ],
)
def test_errors_come_before_the_work(
    tune: Path, options: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tune.parent)
    arguments = ["-o", "x.wav", "--model", "debug", *options]
    assert call(tune.name, *arguments) == status
    assert message in capsys.readouterr().err
    assert not list(tune.parent.glob("x*"))


def test_without_checkpoint_and_network_it_says_what_to_fetch(
    tune: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    def no_network(name: str, **options: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_network)
    monkeypatch.setattr(huggingface_hub, "model_info", no_network)
    assert call(tune, "-o", tune.with_name("x.wav"), "--model", "facebook/musicgen-melody") == 1
    error = capsys.readouterr().err
    for part in (
        "facebook/musicgen-melody",
        "6.2 GB",
        "CC-BY-NC",
        "hf download",
        "--model debug plays noise",
        "no route to host",
    ):
        assert part in error


def test_a_folder_that_holds_no_checkpoint(tune: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tune, "-o", tune.with_name("x.wav"), "--model", tune.parent) == 1
    assert "config.json is missing" in capsys.readouterr().err


def test_the_plan_tells_the_cost_of_the_real_checkpoint_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """1.5 B parameters in bf16 peak at about 4 GB (measured with the real weights, FACTS.md)."""
    from transformers import EncodecConfig, MusicgenMelodyConfig, T5Config
    from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

    t5 = T5Config(d_model=768, d_ff=3072, num_layers=12, num_heads=12)
    shape = {"num_filters": 64, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": 2048, "target_bandwidths": [2.2]}
    codec = EncodecConfig(sampling_rate=32_000, **shape)
    decoder = MusicgenMelodyDecoderConfig(hidden_size=1536, num_hidden_layers=48, num_attention_heads=24, ffn_dim=6144)
    whole = MusicgenMelodyConfig(text_encoder=t5, audio_encoder=codec, decoder=decoder)
    monkeypatch.setattr(musicgen_model, "config_of", lambda name: whole)
    cost = musicgen_model.cost("facebook/musicgen-melody", torch.device("cpu"), torch.bfloat16, 1, 30.0, 30.0)
    assert cost.parameters == pytest.approx(1.56e9, rel=0.05)
    assert 3.5 < cost.memory_bytes / 1e9 < 5.0
    assert cost.seconds is not None and cost.seconds > 10


def test_sources_wrap_at_their_end() -> None:
    source = condition.MelodySource(Path("x"), None, "audio", 1.0, np.array([1, 2, 3]))
    assert source.classes(0.128, 4).tolist() == [2, 3, 1, 2]


def test_the_model_that_comes_along_follows_a_tune_it_has_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Above what the published checkpoint reaches (0.44 chroma match), far above shuffled notes; several windows."""
    import huggingface_hub

    def not_fetched(name: str, **options: object) -> str:
        raise OSError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", not_fetched)
    tune = tmp_path / "new.abc"
    tune.write_text("X:1\nM:3/4\nL:1/4\nQ:1/4=110\nK:F\nF A c|d2 A|B A G|F3|c A F|G2 B|A G E|F3|\n", encoding="utf-8")
    out = tmp_path / "out.wav"
    assert call(tune, "-o", out, "--text", "ocarina") == 0
    assert "so the small model ocarina plays" in capsys.readouterr().err
    record = json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))
    scores, floor = record["adherence"]["scores"], record["adherence"]["floor"]
    assert scores["chroma match"] > 0.6 > 0.4 > floor["chroma match"]
    assert len(record["seams"]) > 2 and np.mean([seam["rank"] for seam in record["seams"]]) < 0.9


def test_what_is_heard_is_not_overwritten_and_must_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = tmp_path / "sound.wav"
    write_audio(Audio(np.zeros((1, 2), np.float32), 32_000), sound)
    before = sound.read_bytes()
    assert call(sound, "-o", sound, "--model", "debug") == 2
    assert "name another file" in capsys.readouterr().err and sound.read_bytes() == before
    assert call(sound, "-o", tmp_path / "x.wav", "--model", "debug") == 1
    assert "lasts 0.00 s" in capsys.readouterr().err


def test_the_codec_keeps_its_own_weights_whatever_the_type_of_the_decoder() -> None:
    """Rounded to bfloat16, an EnCodec clicks at the end of every frame."""
    device = torch.device("cpu")
    codes = torch.zeros((1, 4, 20), dtype=torch.long)
    wide, narrow = (
        musicgen_model.load(musicgen_model.SMALL, device, dtype) for dtype in (torch.float32, torch.bfloat16)
    )
    assert narrow.model.decoder.dtype == torch.bfloat16
    assert np.array_equal(wide.decode(codes), narrow.decode(codes))
    for part in musicgen_model.ENCODERS:
        own, other = (getattr(one.model, part).state_dict() for one in (wide, narrow))
        assert all(torch.equal(own[name], other[name]) for name in own)


def test_rests_and_repeated_notes_are_told_and_put_onto_the_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The melody condition holds through rests; --articulate makes them silent."""
    tune = tmp_path / "rests.abc"
    tune.write_text("X:1\nM:4/4\nL:1/4\nQ:1/4=120\nK:G\nz G z B|d d z2|\n", encoding="utf-8")
    held, made = tmp_path / "held.wav", tmp_path / "made.wav"
    assert call(tune, "-o", held, "--text", "ocarina", "--model", "ocarina") == 0
    told = capsys.readouterr().err
    assert "1 repeated note, 2 rests" in told and "(--articulate puts" in told
    assert call(tune, "-o", made, "--text", "ocarina", "--model", "ocarina", "--articulate") == 0
    assert "--articulate" not in capsys.readouterr().err
    levels = [[np.abs(soundfile.read(path)[0][a:b]).max() for a, b in ((33_000, 47_000), (17_000, 31_000))]
              for path in (held, made)]  # fmt: skip
    assert levels[0][0] > 0.02 and levels[0][1] > 0.02, "held through the rest"
    assert levels[1][0] == 0.0 and levels[1][1] > 0.02
    assert json.loads(Path(f"{made}.json").read_text(encoding="utf-8"))["options"]["articulate"] is True
    assert call(held, "-o", tmp_path / "x.wav", "--model", "ocarina", "--articulate") == 2
    assert "no notes to begin" in capsys.readouterr().err


@pytest.mark.slow
def test_the_model_that_comes_along_follows_every_kind_of_tune(tmp_path: Path) -> None:
    """Steps in major, a minor tune with raised sevenths, three beats, seven eighths."""
    tunes = tmp_path / "tunes.abc"
    tunes.write_text(
        "X:1\nM:4/4\nL:1/4\nQ:1/4=100\nK:F\nF G A B|c2 A2|B A G A|F4|\n\n"
        "X:2\nM:4/4\nL:1/4\nQ:1/4=90\nK:Em\nE F G E|B2 A G|F ^D E F|G2 E2|\n\n"
        "X:3\nM:3/4\nL:1/4\nQ:1/4=120\nK:G\nG B d|e2 d|c B A|B3|A F D|G3|\n\n"
        "X:4\nM:7/8\nL:1/8\nQ:1/4=150\nK:Ador\nA2B c2dc|e2d c2BA|A2c e2dc|B2A G2A2|\n",
        encoding="utf-8",
    )
    assert call(tunes, "-o", tmp_path / "out.wav", "--text", "ocarina", "--model", "ocarina", "--seconds", 6) == 0
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("out-*.json"))]
    assert [record["tune"] for record in records] == [1, 2, 3, 4]
    for record in records:
        scores, floor = record["adherence"]["scores"], record["adherence"]["floor"]
        assert scores["chroma match"] > 0.7 > floor["chroma match"] + 0.2, record["tune"]
        assert scores["raw chroma accuracy"] > floor["raw chroma accuracy"]
