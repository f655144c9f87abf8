"""`generate` with a model of MIDI: files that hold what was drawn, options of ABC refused, `evaluate` reads them."""

import json
from pathlib import Path

import pytest
import torch

from symbolic import models, tokens
from symbolic.__main__ import VERBS
from symbolic.command_line import main
from symbolic.config import GPT2Config
from symbolic.formats import midi_text
from symbolic.formats.sandbox import Guard
from symbolic.training import checkpoint
from symbolic.training.checkpoint import Origin, TrainingProgress

NOTES = [(0, 62), (12, 66), (24, 69), (36, 74), (48, 69), (60, 66), (72, 62), (84, 57), (96, 62)]
PIECE = midi_text.canonical(
    midi_text.arranged([], [(0, 120)], {0: [midi_text.PieceNote(onset, pitch, 12) for onset, pitch in NOTES]})
)


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model that was taught one piece."""
    torch.manual_seed(0)
    tokenizer = tokens.build("remi", 768, [PIECE])
    model = models.build(GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=128, vocab_size=768))
    row = torch.tensor([[tokenizer.bos, *tokenizer.encode(PIECE), tokenizer.eos]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(model(row[:, :-1]).flatten(0, 1), row[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("knowing") / "best"
    checkpoint.save(
        folder, model, tokenizer, TrainingProgress(7), Origin("c" * 64, tokenizer.digest, [], {"name": "tiny"})
    )
    return folder


def generate(*arguments: object) -> int:
    return main("symbolic", VERBS, ["generate", *map(str, arguments)])


def test_files_hold_what_was_drawn(knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out" / "pieces.mid"
    assert generate(knowing, "-n", 3, "--temperature", 0, "-o", out, "--json") == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = [f"pieces-{n}.mid" for n in (1, 2, 3)]
    assert sorted(path.name for path in out.parent.iterdir()) == names
    assert (record["pieces"], record["unfinished"], record["empty"]) == (3, 0, 0)
    assert record["seconds_of_music"] == pytest.approx(3 * midi_text.parse(PIECE).seconds, abs=0.1)
    with Guard() as guard:
        read = [guard.read("midi", (out.parent / name).read_bytes(), "midi")["text"] for name in names]
    assert read == [PIECE] * 3


def test_one_piece_has_the_name_that_was_given(knowing: Path, tmp_path: Path) -> None:
    assert generate(knowing, "-n", 1, "--temperature", 0, "-o", tmp_path / "a.midi") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.midi"]


def test_the_same_seed_draws_the_same_and_another_another(knowing: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert generate(knowing, "-n", 4, "--seed", seed, "--temperature", 3, "-o", tmp_path / name / "p.mid") == 0
    one, same, other = ([p.read_bytes() for p in sorted((tmp_path / name).iterdir())] for name in "abc")
    assert one == same != other


@pytest.mark.parametrize(("options", "words"), [
    (["-o", "x.abc"], "-o pieces.mid"),
    ([], "-o pieces.mid"),
    (["-o", "x.mid", "--key", "D"], "--key"),
    (["-o", "x.mid", "--constrain"], "--constrain"),
])  # fmt: skip
def test_options_of_abc_are_refused(
    knowing: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(knowing, "-n", 1, *options) == 2
    assert words in capsys.readouterr().err


def test_a_piece_without_notes_is_counted_and_not_written(
    knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(knowing, "-n", 2, "--max-tokens", 1, "-o", tmp_path / "p.mid", "--json") == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["empty"], record["unfinished"], record["files"]) == (2, 2, [])
    assert list(tmp_path.iterdir()) == []
