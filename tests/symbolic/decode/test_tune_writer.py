"""The function behind the verb: same tunes as the command line, edits without a model, refusals by exception."""

from pathlib import Path

import pytest
import torch

from symbolic import models, tokens
from symbolic.config import GPT2Config, Mamba2Config
from symbolic.decode.editing import edit
from symbolic.decode.editing.edit import TuneEdit
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel, trained_shape
from symbolic.decode.prompt import Prompt
from symbolic.decode.tune_writer import DrawnTune, generate
from symbolic.errors import UsageError, UserError
from symbolic.notation import abc_parser, control_codes, validity

JIG = "X:7\nT:Mine\nC:Trad.\nQ:1/4=90\nM:6/8\nL:1/8\nK:G\n|:GABd2B|c2AAFD|GABd2e|d2Bc2A:|\n"


@pytest.fixture(scope="module")
def untrained() -> LoadedModel:
    torch.manual_seed(0)
    model = models.build(GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=256)).eval()
    return LoadedModel(Path("nowhere"), "untrained", [], model, tokens.build("grammar"))


def test_constrained_tunes_are_right_and_do_not_depend_on_the_batch(untrained: LoadedModel) -> None:
    ended: list[DrawnTune] = []
    made = generate(
        untrained, 3, seed=5, prompt="M:6/8 K:Dmix", constrain=True, max_tokens=120, batch_size=3, on_tune=ended.append
    )
    assert [tune.number for tune in made.tunes] == [1, 2, 3] and sorted(ended, key=lambda t: t.number) == made.tunes
    assert all(
        tune.text.startswith("M:6/8\nL:1/8\nK:Dmix\n") and validity.check(tune.text).is_right for tune in made.tunes
    )
    alone = generate(untrained, 3, seed=5, prompt=Prompt("6/8", "Dmix"), constrain=True, max_tokens=120, batch_size=1)
    assert [tune.text for tune in alone.tunes] == [tune.text for tune in made.tunes]
    assert made.n_tokens == alone.n_tokens > 0 and made.n_unparseable == 0


def test_filled_bars_leave_the_others_and_keep_the_fields(untrained: LoadedModel) -> None:
    given = edit.pick_tune(JIG)
    made = generate(untrained, 2, edit=edit.fill_edit(given, "2-3"), constrain=True)
    for tune in made.tunes:
        assert edit.changed_bars(given.text, tune.text) in ([1, 2], [1], [2], [])
        assert tune.score is not None and tune.score.fields["C"] == ["Trad."] and tune.score.fields["Q"] == ["1/4=90"]


def test_a_share_chooses_other_bars_for_each_tune(untrained: LoadedModel) -> None:
    given = edit.pick_tune(JIG)
    made = generate(untrained, 4, seed=1, edit=edit.vary_edit(given, "0.25"), constrain=True)
    assert [tune.title for tune in made.tunes] == [f"Mine / {number}" for number in (1, 2, 3, 4)]
    assert len({tune.remark.split(":")[0] for tune in made.tunes}) > 1


def test_a_tune_is_transposed_without_a_model() -> None:
    made = generate(edit=TuneEdit(edit.pick_tune(JIG)), transpose=2, harmonise="bar")
    assert made.model is NO_MODEL and made.n_tokens == 0
    score = made.tunes[0].score
    assert score is not None and score.key.text == "A" and '"' in abc_parser.canonical(score)


def test_contradictions_are_named(untrained: LoadedModel) -> None:
    given = edit.pick_tune(JIG)
    for message, call in {
        "name the model": lambda: generate(n=1),
        "-n is 0": lambda: generate(untrained, 0),
        "--voices is 9": lambda: generate(untrained, voices=9, constrain=True),
        "brings its own beginning": lambda: generate(untrained, edit=edit.fill_edit(given, "1"), prompt="K:G"),
    }.items():
        with pytest.raises(UsageError, match=message):
            call()
    with pytest.raises(UserError, match="was not trained with control codes"):
        generate(untrained, asked=control_codes.ask(2, [], [4], None, None, None))


def test_tunes_that_are_not_right_are_drawn_again(untrained: LoadedModel) -> None:
    once = generate(untrained, 3, seed=5, max_tokens=20)
    again = generate(untrained, 3, seed=5, max_tokens=20, attempts=3)
    assert once.n_again == 0 and again.n_again == 6  # an untrained model writes no tune
    assert [tune.number for tune in again.tunes] == [1, 2, 3]
    right = generate(untrained, 3, seed=5, prompt="M:6/8 K:Dmix", constrain=True, max_tokens=120, attempts=3)
    assert right.n_again == 0


def test_positions_that_were_not_trained_are_not_used() -> None:
    shape = GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=1024)
    assert trained_shape(shape, 512).n_positions == 512
    assert trained_shape(shape, None) == trained_shape(shape, 2048) == shape
    assert trained_shape(Mamba2Config(n_layer=1, d_model=32), 512) == Mamba2Config(n_layer=1, d_model=32)
