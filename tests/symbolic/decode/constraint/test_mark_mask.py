"""Marks beside other masks: sections as asked, beginnings as given, bars that another mask fills."""

import re
from pathlib import Path

import pytest
import torch

from symbolic import models, tokens
from symbolic.config import Mamba2Config
from symbolic.decode.constraint.mark_mask import MarkMask
from symbolic.decode.editing import edit
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.loaded_model import LoadedModel
from symbolic.decode.tune_writer import generate
from symbolic.errors import UserError
from symbolic.notation import control_codes, validity
from symbolic.tokens import counted
from symbolic.tokens.counted import CountedTokenizer

HEAD = "M:6/8\nL:1/8\nK:G\n"
LONG = HEAD + "|:GABd2B|c2AAFD|GABd2e|d2Bc2A|GABd2B|c2AAFD|gfedBG|A3G3:|\n"
HALVES = HEAD + "|:GABd2B|c2AAFD|GABd2e|d2BG3::gfedBG|c2AAFD|gfedBG|A3G3:|\n"
JIG = "X:7\nT:Mine\nM:6/8\nL:1/8\nK:G\nGABd2B|c2AAFD|GABd2e|d2Bc2A|\n"
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def tokenizer() -> CountedTokenizer:
    made = tokens.build(counted.KIND, counted.VOCAB_SIZE, lines=["R:jig\n"])
    assert isinstance(made, CountedTokenizer)
    return made


def loaded(tokenizer: CountedTokenizer, tunes: tuple[str, ...] = (), *, infill: bool = False) -> LoadedModel:
    torch.manual_seed(0)
    model = models.build(Mamba2Config(n_layer=1, d_model=64, d_state=16, head_dim=16, vocab_size=counted.VOCAB_SIZE))
    if tunes:
        ids = [[1, *tokenizer.encode(tune), 2] for tune in tunes]
        rows = torch.tensor([row + [0] * (max(map(len, ids)) - len(row)) for row in ids])
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(90):
            scores = model(rows[:, :-1]).flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(scores, rows[:, 1:].flatten(), ignore_index=0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss < 0.3
    return LoadedModel(Path("nowhere"), "tiny", [], model.eval(), tokenizer, infill=infill)


@pytest.fixture(scope="module")
def knowing(tokenizer: CountedTokenizer) -> LoadedModel:
    return loaded(tokenizer, (LONG, HALVES))


def form(text: str) -> list[int]:
    return [control_codes.n_bars(section) for section in control_codes.sections(control_codes.music_of(text))]


@pytest.mark.parametrize("bars", [(8,), (4, 4)])
def test_sections_come_as_asked(knowing: LoadedModel, bars: tuple[int, ...]) -> None:
    made = generate(knowing, 2, sampling=GREEDY, asked=control_codes.ask(bars=bars))
    assert [form(tune.text) for tune in made.tunes] == [list(bars)] * 2
    assert all("@" not in tune.text for tune in made.tunes)


def test_a_beginning_is_kept_and_counted(knowing: LoadedModel) -> None:
    made = generate(knowing, 2, sampling=GREEDY, prompt=HEAD + "|:GABd2B|c2AAFD|GABd2e|d2Bc2A|GABd2B|")
    assert [tune.text.startswith(HEAD + "|:GABd2B|c2AAFD|GABd2e|d2Bc2A|GABd2B|") for tune in made.tunes] == [True] * 2
    assert [form(tune.text) for tune in made.tunes] == [[8]] * 2  # of the two it is the one with five bars or more


def test_a_given_tune_is_continued(knowing: LoadedModel) -> None:
    made = generate(knowing, 2, seed=1, edit=edit.continue_edit(edit.pick_tune(JIG), 2))
    assert all(tune.text.startswith(HEAD + "GABd2B|c2AAFD|") for tune in made.tunes)


def test_constrained_bars_are_full_with_marks_between(tokenizer: CountedTokenizer) -> None:
    made = generate(loaded(tokenizer), 3, seed=5, prompt="M:6/8 K:D", constrain=True, max_tokens=150)
    assert all(validity.check(tune.text).is_right and tune.finished == "eos" for tune in made.tunes)


@pytest.mark.parametrize("max_tokens", [60, 200])
def test_sections_and_full_bars_at_once(tokenizer: CountedTokenizer, max_tokens: int) -> None:
    """Whatever an untrained model draws, and however few tokens are left, something may come next."""
    asked = control_codes.ask(bars=(2, 2))
    made = generate(loaded(tokenizer), 3, seed=2, prompt="K:D", asked=asked, constrain=True, max_tokens=max_tokens)
    assert all(validity.check(tune.text).is_right and tune.finished == "eos" for tune in made.tunes)


def test_filled_bars_are_full(tokenizer: CountedTokenizer) -> None:
    given = edit.pick_tune(JIG)
    made = generate(loaded(tokenizer, infill=True), 2, edit=edit.fill_edit(given, "2-3"), constrain=True)
    for tune in made.tunes:
        assert tune.score is not None and set(edit.changed_bars(given.text, tune.text)) <= {1, 2}


def test_marks_come_one_at_a_time_and_in_music_only(tokenizer: CountedTokenizer) -> None:
    mask = MarkMask(tokenizer, counted.VOCAB_SIZE)
    mask.start(0, [1, *tokenizer.encode("M:6/8\nL:1/8\n")])

    def may(mark: str) -> bool:
        (id,) = tokenizer.encode_counted(mark)
        return bool(mask.allowed(0)[id])

    def draw(text: str) -> None:
        assert all(mask.take(0, id) for id in tokenizer.encode_counted(text)), text

    assert not may("@S2;") and not may("@5;")
    draw("K:G\n")
    assert may("@S2;")
    draw("@S2;")
    assert may("@B8;") and not may("@S1;") and not may("@5;")
    draw("@B8;G")
    assert may("@5;")
    draw("@5;")
    assert not may("@4;")
    assert not mask.take(0, tokenizer.encode_counted("@4;")[0])


def test_a_plan_leaves_no_other_section(tokenizer: CountedTokenizer) -> None:
    mask = MarkMask(tokenizer, counted.VOCAB_SIZE, plan=(4, 0))
    mask.start(0, [1, *tokenizer.encode(HEAD)])

    def texts() -> list[str]:
        return [mask.raw[id] for id in mask.allowed(0)[: tokenizer.n_tokens].nonzero()[0]]

    assert {text for text in texts() if "|" not in text and ":" not in text} == {"@S2;"}
    assert "|:" in texts()
    assert mask.take(0, tokenizer.encode_counted("@S2;")[0])
    assert {re.sub("@D.*", "", text) for text in texts()} == {"@B4;"}
    for id in tokenizer.encode_counted("@B4;G3@3;A3@0;||"):
        assert mask.take(0, id)
    assert [text for text in texts() if text.startswith("@S")] == ["@S1;"]
    assert not mask.take(0, tokenizer.eos) and "\n" not in texts()
    assert mask.take(0, tokenizer.encode_counted("@S1;")[0])
    assert len(texts()) > 60  # any number of bars


def test_what_counted_models_cannot_do_is_refused(knowing: LoadedModel) -> None:
    for asked in (control_codes.ask(rhythm="jig"), control_codes.ask(sections=2, similarity=[5])):
        with pytest.raises(UserError, match="not trained with control codes"):
            generate(knowing, 1, asked=asked)
