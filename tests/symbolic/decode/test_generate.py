"""The verb, end to end: a checkpoint that knows two tunes by heart, and one that knows nothing."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
import torch

from symbolic import files, models, tokens
from symbolic.__main__ import VERBS
from symbolic.command_line import main
from symbolic.config import GPT2Config, Mamba2Config, ModelConfig
from symbolic.decode import continuation, output
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel
from symbolic.decode.prompt import Prompt
from symbolic.decode.tune_writer import DrawnTune, Generation, GenerationRequest
from symbolic.evaluate.metrics.voice_alignment import bars_that_differ
from symbolic.formats import midi
from symbolic.notation import abc_parser, validity
from symbolic.training import checkpoint
from symbolic.training.checkpoint import Origin, TrainingProgress

JIG = "M:6/8\nL:1/8\nK:Dmix\n|:A|d2fa2f|gecA2A|d2fa2f|gecd2:|\n"
REEL = "M:4/4\nL:1/8\nK:G\nG2BGdGBG|A2cAeAcA|(3BcdgdBcAF|G4G4|]\n"
TERMS = [{"name": "made for a test", "terms": "public domain", "sha256": "0" * 64}]
GPT2 = GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=128)
TOKENIZER = tokens.build("grammar")


def save(folder: Path, shape: ModelConfig, tunes: tuple[str, ...] = ()) -> Path:
    """A checkpoint of a model that was taught the tunes, or nothing."""
    torch.manual_seed(0)
    model = models.build(shape)
    if tunes:
        learn(model, tunes)
    origin = Origin("c" * 64, TOKENIZER.digest, TERMS, {"name": "tiny"})
    checkpoint.save(folder, model, TOKENIZER, TrainingProgress(7), origin)
    return folder


def learn(model: torch.nn.Module, tunes: tuple[str, ...]) -> None:
    ids = [[1, *TOKENIZER.encode(tune), 2] for tune in tunes]
    rows = torch.tensor([row + [0] * (max(map(len, ids)) - len(row)) for row in ids])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(400):
        loss = torch.nn.functional.cross_entropy(
            model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), ignore_index=0
        )
        optimizer.zero_grad()
        if loss < 0.02:
            break
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("knowing") / "best", GPT2, (JIG, REEL))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(
        tmp_path_factory.mktemp("untrained") / "best", Mamba2Config(n_layer=1, d_model=32, d_state=8, head_dim=16)
    )


def call(*arguments: object) -> int:
    return main("symbolic", VERBS, ["generate", *map(str, arguments), "--device", "cpu", "--threads", "1"])


def canonical_tunes(path: Path) -> list[str]:
    return [abc_parser.canonical(abc_parser.parse(raw.text)) for raw in abc_parser.split_tunes(path.read_text())]


def test_tunes_are_written_for_people(knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "tunes.abc"
    assert call(knowing, "-n", 12, "--seed", 3, "-o", output, "--temperature", 0.5) == 0
    text = output.read_text()
    assert set(canonical_tunes(output)) == {JIG, REEL}
    found = re.findall(r"^X:(\d+)\nT:(.*)$", text, re.MULTILINE)
    assert [number for number, _ in found] == [str(number) for number in range(1, 13)]
    assert {title for _, title in found} == {"Jig in D mixolydian", "Tune in G"}
    head = text.partition("\n\n")[0]
    assert "% model tiny\n% seed 3, temperature 0.5, top-k 0, top-p 1, min-p 0.05, at most 1024 tokens, float32" in head
    assert "% data made for a test; public domain" in head
    assert "12 tunes by tiny: 0 unfinished, 0 unparseable" in capsys.readouterr().out


def test_the_same_seed_writes_the_same_file(knowing: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.abc", "b.abc", "c.abc")]
    for path, batch_size, seed in zip(paths, (1, 5, 5), (17, 17, 18), strict=True):
        assert call(knowing, "-n", 9, "--seed", seed, "--batch-size", batch_size, "-o", path) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    first, other = (re.sub(r"(?m)^(T:|% seed).*", "", path.read_text()) for path in paths[1:])
    assert first != other


def test_title_and_tempo_are_written(knowing: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.abc"
    options = ["--title", "  Kettle\n drum ", "--tempo", 90, "--musicxml", "--temperature", 0.5]
    assert call(knowing, "-n", 6, "-o", output, *options) == 0
    tunes = [raw.text for raw in abc_parser.split_tunes(output.read_text())]
    assert [abc_parser.parse(text).title for text in tunes] == [f"Kettle drum {number}" for number in range(1, 7)]
    for text in tunes:
        assert ("Q:3/8=90\n" if "M:6/8" in text else "Q:1/4=90\n") in text
    assert 'tempo="' in (tmp_path / "t_musicxml" / "0001.musicxml").read_text()


def test_a_tune_that_is_not_right_is_drawn_again_as_a_whole(
    knowing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(validity, "MIN_BARS", 2)  # the tunes that this model knows are short
    once, more = tmp_path / "once.abc", tmp_path / "more.abc"
    options = ["-n", 12, "--seed", 2, "--temperature", 1.1, "--min-p", 0, "--json"]
    records, tunes = [], []
    for path, attempts in ((once, 1), (more, 20)):
        assert call(knowing, *options, "--attempts", attempts, "-o", path) == 0
        records.append(json.loads(capsys.readouterr().out))
        tunes.append([raw.text for raw in abc_parser.split_tunes(path.read_text())])
    right = [[validity.check(text).is_right for text in texts] for texts in tunes]
    assert 0 < sum(right[0]) < 12, tunes[0]
    assert sum(right[1]) > sum(right[0])
    assert all(one == other for one, other, is_right in zip(*tunes, right[0], strict=True) if is_right)
    assert records[0]["drawn_again"] == 0 and records[1]["drawn_again"] >= 12 - sum(right[0])
    assert ", 20 attempts" in more.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_tunes_that_have_ended(
    knowing: Path, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path, add = tmp_path / "t.abc", output.UnfinishedFile.add

    def add_and_stop(part: output.UnfinishedFile, tune: DrawnTune) -> None:
        add(part, tune)
        assert len(abc_parser.split_tunes((tmp_path / "t.abc.part").read_text())) == len(part.tunes)
        if len(part.tunes) == 3:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(output.UnfinishedFile, "add", add_and_stop)
    before = signal.getsignal(number)
    assert call(knowing, "-n", 40, "--batch-size", 2, "-o", path, "--midi") == 128 + number
    assert signal.getsignal(number) is before
    tunes = abc_parser.split_tunes(path.read_text())
    assert 3 <= len(tunes) < 40 and f"% stopped after {len(tunes)} of 40 tunes\n" in path.read_text()
    assert "which are kept" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["t.abc", "t_midi"]


def test_a_full_disk_keeps_the_tunes_that_have_ended(
    knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    path, part = tmp_path / "t.abc", tmp_path / "t.abc.part"
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        assert call(knowing, "-n", 40, "--batch-size", 2, "-o", path) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    kept = canonical_tunes(part)
    assert f"The {len(kept)} tunes that have ended are in {part}." in capsys.readouterr().err
    assert 0 < len(kept) < 40 and not path.exists()
    assert call(knowing, "-n", 2, "-o", path) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["t.abc"]


def test_two_processes_do_not_write_one_file(knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with files.locked(tmp_path / "t.abc", "writing"):
        assert call(knowing, "-n", 1, "-o", tmp_path / "t.abc") == 1
        assert "another process is writing" in capsys.readouterr().err
    assert call(knowing, "-n", 1, "-o", tmp_path / "t.abc") == 0


def test_voices_are_as_many_as_asked_for_and_stay_together(untrained: Path, tmp_path: Path) -> None:
    output = tmp_path / "trios.abc"
    options = ["--constrain", "--voices", 3, "--metre", "3/4", "--key", "G", "--max-tokens", 300]
    assert call(untrained, "-n", 2, "-o", output, *options) == 0
    scores = [abc_parser.parse(raw.text) for raw in abc_parser.split_tunes(output.read_text())]
    assert [len(score.voices) for score in scores] == [3] * 2
    for score in scores:
        n_bars, n_apart = bars_that_differ(score)
        assert n_bars > 0 and n_apart == 0


def test_nothing_of_somebody_elses_is_replaced(
    knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, folder = tmp_path / "z.abc", tmp_path / "z_midi"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert call(knowing, "-n", 1, "-o", output, "--midi") == 2
    assert "holds other files" in capsys.readouterr().err and (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").rename(folder / "0007.mid")
    assert call(knowing, "-n", 1, "-o", output, "--midi", "--temperature", 0) == 0
    assert [path.name for path in folder.iterdir()] == ["0001.mid"]
    before = output.read_bytes()
    assert call("--tune", output, "--transpose", 2, "-o", output) == 2
    assert "is the file of --tune" in capsys.readouterr().err and output.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threads", "100000"], "--threads is 100000; it must be"),
        (["-o", "x.mid"], "Name a .abc file"),
    ],
)
def test_what_cannot_be_done_is_refused(
    knowing: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main("symbolic", VERBS, ["generate", str(knowing), "-n", "1", *options]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_voices_need_the_mask_and_a_sensible_number(untrained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--voices", 3], ["--voices", 9, "--constrain"], ["--voices", 1, "--constrain"]):
        assert call(untrained, *options) == 2
        assert "--voices is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        (["--prompt", "M:6/8"], r"M:6/8\nL:1/8\nK:Dmix\n"),
        (["--prompt", "M:C K:G"], r"M:4/4\nL:1/8\nK:G\n"),
        (["--key", "G"], r"M:(6/8|4/4)\nL:1/8\nK:G\n"),
        (["--metre", "3/4", "--key", "Em", "--first-bars", "E2 G2 B2|"], r"M:3/4\nL:1/8\nK:Em\nE2G2B2\|"),
        (["--first-bars", "|:A|d2f a2f|"], r"M:(6/8|4/4)\nL:1/8\nK:(Dmix|G)\n\|:A\|d2fa2f\|"),
    ],
)
def test_prompts_are_kept(knowing: Path, tmp_path: Path, arguments: list[str], beginning: str) -> None:
    output = tmp_path / "tunes.abc"
    assert call(knowing, "-n", 4, "-o", output, "--temperature", 0.5, *arguments) == 0
    tunes = canonical_tunes(output)
    assert len(tunes) == 4
    assert all(re.match(beginning, tune) for tune in tunes)
    assert "% prompt " in output.read_text()


def test_text_that_does_not_parse_is_kept_and_counted(
    untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "noise.abc"
    assert call(untrained, "-n", 5, "-o", output, "--max-tokens", 40, "--json") == 0
    out, err = capsys.readouterr()
    record = json.loads(out.splitlines()[-1])
    assert record["tunes"] == record["unparseable"] == 5
    assert record["tokens"] >= 5 * 40 - 5
    assert record["output"] == str(output)
    assert "5 unparseable" in err
    text = output.read_text()
    assert len(abc_parser.split_tunes(text)) == text.count("% unparseable, ") == 5
    kept = [json.loads(line.removeprefix("% text ")) for line in text.splitlines() if line.startswith("% text ")]
    assert all(TOKENIZER.decode(TOKENIZER.encode(line)) == line for line in kept)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("M:6/8\nABc|\n", "M:6/8\nABc|"),
        ("M:6/8\nX:3\nABc", '% text "M:6/8\\nX:3\\nABc"'),
        ("A\n\nB", '% text "A\\n\\nB"'),
        ("A\r\nB", '% text "A\\r\\nB"'),
        ("A\x00\x0b\u2028B", '% text "A\\u0000\\u000b\\u2028B"'),
        ("", '% text ""'),
    ],
)
def test_raw_text_cannot_break_the_file(text: str, written: str) -> None:
    assert output._raw(text) == written
    assert len(abc_parser.split_tunes(f"X:1\n{written}\nX:2\nK:C\n")) == 2


def test_midi_beside_the_tunes(knowing: Path, tmp_path: Path) -> None:
    assert call(knowing, "-n", 3, "-o", tmp_path / "t.abc", "--midi", "--temperature", 0.5) == 0
    written = sorted((tmp_path / "t_midi").iterdir())
    assert [path.name for path in written] == ["0001.mid", "0002.mid", "0003.mid"]
    for path, tune in zip(written, canonical_tunes(tmp_path / "t.abc"), strict=True):
        sounds = abc_parser.performance(abc_parser.parse(tune))
        assert [(s.onset_ticks, s.midi) for s in midi.read_notes(path)] == [(s.onset_ticks, s.midi) for s in sounds]


def test_musicxml_beside_the_tunes(knowing: Path, tmp_path: Path) -> None:
    assert call(knowing, "-n", 2, "-o", tmp_path / "t.abc", "--musicxml", "--temperature", 0.5) == 0
    written = sorted((tmp_path / "t_musicxml").iterdir())
    assert [path.name for path in written] == ["0001.musicxml", "0002.musicxml"]
    assert re.search("title>(Jig in D mixolydian|Tune in G)<", written[1].read_text())


def test_no_files_for_what_does_not_parse(untrained: Path, tmp_path: Path) -> None:
    assert call(untrained, "-n", 2, "-o", tmp_path / "t.abc", "--midi", "--max-tokens", 9) == 0
    assert list((tmp_path / "t_midi").iterdir()) == []


def test_without_a_file_the_tunes_go_to_standard_output(knowing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(knowing, "-n", 2, "--temperature", 0.5) == 0
    out, err = capsys.readouterr()
    assert len(abc_parser.split_tunes(out)) == 2
    assert "2 tunes by tiny" in err
    assert "2 tunes by tiny" not in out


def test_unfinished_tunes_are_counted_and_marked(knowing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(knowing, "-n", 2, "--max-tokens", 12, "--temperature", 0.5, "--json") == 0
    out = capsys.readouterr().out
    assert out.count("% unfinished: length") == 2
    assert json.loads(out.splitlines()[-1])["unfinished"] == 2
    assert json.loads(out.splitlines()[-1])["tokens"] == 24


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-n", 0], 2, "-n is 0; it must be 1 or more"),
        (["--top-k", -1], 2, "top-k is -1"),
        (["--temperature", "nan"], 2, "temperature is nan"),
        (["--temperature", "1e30"], 2, "it must be 0 (greedy), or 0.01 to 10"),
        (["--temperature", "1e-30"], 2, "temperature is 1e-30"),
        (["--attempts", 0], 2, "--attempts is 0; it must be 1 or more"),
        (["--tempo", "fast"], 2, "--tempo is 'fast'; it must be 10 to 600 beats a minute"),
        (["--tempo", "1/4=5"], 2, "--tempo is '1/4=5'"),
        (["--max-tokens", 0], 2, "--max-tokens is 0"),
        (["--batch-size", -3], 2, "--batch-size is -3"),
        (["--seed", -1], 2, "--seed is -1"),
        (["--midi"], 2, "-o FILE.abc"),
        (["--prompt", "K:G", "--metre", "6/8"], 2, "either --prompt"),
        (["--dtype", "float7"], 2, "float7"),
        (["--prompt", "hello there"], 1, "cannot be read as ABC"),
        (["--metre", "6"], 1, "M:6 is not a metre"),
        (["--prompt", "M:4/4 K:C " + "abc|" * 40], 1, "tokens and the model reads at most 128"),
        (["-o", "/proc/none/tunes.abc"], 1, "cannot write /proc/none/tunes.abc"),
        (["-o", "/tmp"], 1, "it is a folder"),
    ],
)
def test_bad_input(
    knowing: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], status: int, message: str
) -> None:
    assert call(knowing, *arguments) == status
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("error: ")
    assert out == ""


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = save(tmp_path / "cut", GPT2)
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert call(folder, "-o", tmp_path / "t.abc") == 1
    assert name in capsys.readouterr().err
    assert not (tmp_path / "t.abc").exists()


def test_an_unknown_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path / "none") == 2
    assert "no run or checkpoint" in capsys.readouterr().err


def test_a_library_directory_without_our_record_is_read(knowing: Path, tmp_path: Path) -> None:
    (knowing.parent / "plain").mkdir()
    for path in knowing.iterdir():
        if path.name != checkpoint.RECORD:
            (knowing.parent / "plain" / path.name).write_bytes(path.read_bytes())
    assert call(knowing.parent / "plain", "-n", 1, "-o", tmp_path / "t.abc") == 0
    assert "% model plain\n" in (tmp_path / "t.abc").read_text()
    assert "% data of unknown terms\n" in (tmp_path / "t.abc").read_text()


def test_the_printed_speed_is_tokens_over_seconds() -> None:
    assert Generation(NO_MODEL, GenerationRequest(), [], n_tokens=300, seconds=1.5).tokens_per_second == 200


def test_progress_tells_the_time_left() -> None:
    progress = continuation.GenerationProgress(10)
    progress.add_tokens(50)
    assert progress.line(4.0) == "0/10 tunes, 50 tokens, 12 tokens/s, ..."
    progress.add_tune()
    progress.add_tune()
    assert progress.line(4.0) == "2/10 tunes, 50 tokens, 12 tokens/s, 16 s left"


def test_settings_stand_in_the_file() -> None:
    request = GenerationRequest(seed=4, sampling=Sampling(0.9, 5, 0.95, 0.1), max_tokens=99, prompt=Prompt("6/8"))
    model = LoadedModel(Path("a"), "m", [], None, TOKENIZER, dtype="bfloat16")
    assert (
        "% seed 4, temperature 0.9, top-k 5, top-p 0.95, min-p 0.1, at most 99 tokens, bfloat16\n% prompt M:6/8\n"
    ) in output.abc_file(Generation(model, request, [], 0, 0.0))
