"""--constrain: even an untrained model writes tunes that parse and whose bars are all full, with every tokenizer."""

import random

import pytest
import torch

from symbolic import models, tokens
from symbolic.config import GPT2Config
from symbolic.decode.constraint.automaton import Automaton, Place
from symbolic.decode.constraint.token_mask import TokenMask, rules_after_prompt
from symbolic.decode.engine import engine
from symbolic.decode.engine.sampling import Sampling
from symbolic.decode.loaded_model import load_source
from symbolic.decode.prompt import Prompt, read_prompt
from symbolic.errors import UserError
from symbolic.notation import control_codes, validity
from symbolic.notation.abc_parser import canonical, parse

KINDS = ("characters", "grammar", "bytepair")


def write(kind: str, texts: list[str], n: int, most_tokens: int, seed: int, beginning: str = "") -> list[str]:
    """Tunes of an untrained model under the mask, all begun by the canonical text `beginning`."""
    tokenizer = tokens.build(kind, 768, texts)
    torch.manual_seed(seed)
    model = models.build(GPT2Config(n_layer=1, n_embd=16, n_head=1, n_positions=1024)).eval()
    mask = TokenMask(tokenizer, rules_after_prompt(read_prompt(beginning)), vocab_size=768)
    mask.limit(most_tokens, engine.context_limit(model))
    prompt = [tokenizer.bos, *tokenizer.encode(beginning)]
    written = engine.generate(
        model, [prompt] * n, max_new_tokens=most_tokens, sampling=Sampling(), seed=seed, eos=tokenizer.eos,
        n_tokens=tokenizer.n_tokens, batch_size=n, mask=mask,
    )  # fmt: skip
    assert [tune.finished for tune in written] == ["eos"] * n
    return [tokenizer.decode(tune.prompt + tune.tokens) for tune in written]


@pytest.mark.parametrize("kind", KINDS)
def test_noise_becomes_right_tunes(kind: str, real_tunes: list[str]) -> None:
    for text in write(kind, real_tunes[:300], 6, 300, seed=5):
        check = validity.check(text)
        assert check.parses and check.n_full == check.n_bars, text
        assert canonical(parse(text)) == text


def test_a_prompt_is_kept_and_completed(real_tunes: list[str]) -> None:
    beginning = "M:6/8\nL:1/8\nK:Dmix\nA|d2ef"
    for text in write("grammar", real_tunes[:300], 4, 400, seed=1, beginning=beginning):
        assert text.startswith(beginning)
        assert validity.check(text).n_full == validity.check(text).n_bars


def test_a_prompt_that_no_right_tune_begins_with_is_refused() -> None:
    with pytest.raises(UserError):
        rules_after_prompt(read_prompt("M:2/4 K:G A8A8|B"))


@pytest.mark.parametrize("plan", [None, (4, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_what_the_automaton_reads(kind: str, plan: tuple[int, ...] | None, real_tunes: list[str]) -> None:
    """Cores and tables against reading every token from the state, along random tunes."""
    tokenizer = tokens.build(kind, 768, real_tunes[:300])
    mask = TokenMask(tokenizer, Automaton(plan=plan), vocab_size=768)
    texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
    choices = random.Random(7)
    for start in range(2):
        mask.start(start, [])
        for _ in range(40):
            row, allowed = mask.rows[start], mask.allowed(start)
            n_read = [mask.automaton.read(text, row.state)[1] for text in texts]
            readable = {id for id, text in enumerate(texts) if text and n_read[id] == len(text)}
            ended = {tokenizer.eos} if row.state.place == Place.END else set()
            assert {*allowed.nonzero()[0].tolist()} == readable | ended, row.state
            taken = set()
            for id in range(mask.vocabulary.size):
                if mask.take(start, id):
                    taken.add(id)
                    mask.rows[start] = row
            assert taken == readable | ended, row.state
            if ended:
                break
            mask.advance(start, choices.choice(sorted(readable)))


def test_near_the_limit_a_token_is_taken_where_it_is_allowed(real_tunes: list[str]) -> None:
    tokenizer = tokens.build("grammar", 768, real_tunes[:300])
    mask, choices = TokenMask(tokenizer, vocab_size=768), random.Random(3)
    mask.limit(260)
    mask.start(0, [])
    while mask.rows[0].state.place != Place.END:
        row, left, allowed = mask.rows[0], mask.tokens_left[0], mask.allowed(0)
        may = [id for id in range(768) if allowed[id]]
        for id in choices.sample(range(768), 60):
            assert mask.take(0, id) == (id in may), (row.state, id)
            mask.rows[0], mask.tokens_left[0] = row, left
        mask.advance(0, choices.choice(may))
    assert mask.tokens_left[0] > 0


@pytest.mark.parametrize("step", ["native", "torch"])
def test_up_to_the_first_refusal_a_tune_is_the_free_one(step: str, real_tunes: list[str]) -> None:
    """And the batch, and whether the tables are filled, change nothing (the batch with the native step)."""
    source = load_source("gpt2-6m", "cpu", step=step)
    mask = TokenMask(source.tokenizer, vocab_size=source.model.config.vocab_size)
    mask.limit(60)

    def draw(mask: TokenMask | None, batch_size: int) -> list[list[int]]:
        made = engine.generate(
            source.model, [[source.tokenizer.bos]] * 3, max_new_tokens=60, eos=source.tokenizer.eos, seed=5,
            n_tokens=source.tokenizer.n_tokens, batch_size=batch_size, mask=mask,
        )  # fmt: skip
        return [tune.tokens for tune in made]

    free, masked = draw(None, 3), draw(mask, 3)
    assert draw(mask, 3) == masked
    assert step == "torch" or draw(mask, 2) == masked
    for tune, other in zip(free, masked, strict=True):
        mask.start(0, [])
        same = [one == two for one, two in zip(tune, other, strict=False)]
        parted = same.index(False) if False in same else len(same)
        assert all(mask.take(0, token) for token in tune[:parted]), "refused and yet drawn"
        assert parted == min(len(tune), len(other)) or not mask.take(0, tune[parted])


@pytest.mark.parametrize("bars", [(8, 8), (0, 0, 0), (5, 1), (1, 16), (9,)], ids=str)
def test_a_form_that_is_asked_for_is_kept(bars: tuple[int, ...], real_tunes: list[str]) -> None:
    """Also by a model that knows nothing, and in few tokens."""
    asked = control_codes.ask(sections=len(bars), bars=bars if all(bars) else ())
    tokenizer = tokens.build("grammar", 768, real_tunes[:300])
    torch.manual_seed(3)
    model = models.build(GPT2Config(n_layer=1, n_embd=16, n_head=1, n_positions=1024)).eval()
    mask = TokenMask(tokenizer, rules_after_prompt(Prompt(asked=asked)), vocab_size=768)
    mask.limit(240, engine.context_limit(model))
    made = engine.generate(
        model, [[tokenizer.bos]] * 3, max_new_tokens=240, seed=2, eos=tokenizer.eos,
        n_tokens=tokenizer.n_tokens, batch_size=3, mask=mask,
    )  # fmt: skip
    for tune in made:
        text = tokenizer.decode(tune.tokens)
        found = control_codes.codes_of(text)
        assert tune.finished == "eos" and validity.check(text).is_right, text
        assert found.sections == len(bars), text
        assert all(wanted in (0, n) for wanted, n in zip(bars, found.bars, strict=True)), text


def test_a_form_that_no_right_tune_has_is_refused() -> None:
    with pytest.raises(UserError, match="3 bars"):
        rules_after_prompt(Prompt(asked=control_codes.ask(bars=[1, 1])))
    automaton = rules_after_prompt(Prompt(asked=control_codes.ask(bars=[4, 4])))
    head = "M:4/4\nL:1/8\nK:C\n"
    assert automaton.accepts(f"{head}C8|C8|C8|C8||C8|C8|C8|C8|]\n")
    assert not automaton.accepts(f"{head}C8|C8|C8||C8|C8|C8|C8|]\n")
    assert automaton.read(f"{head}C8|C8|C8|C8|C8")[1] == len(head) + 12, "the fourth bar line must end the section"


def test_a_bar_is_divided_for_a_pickup_only() -> None:
    head = "M:4/4\nL:1/8\nK:C\n"
    for bars, is_right in (
        ("C|C8|C8|C8|C7||C|C8|C8|C7|]", True),
        ("C|C8|C8|C8|C4||C4|C8|C8|C7|]", False),
        ("C8|C8|C8|C6||C2|C8|C8|C6|]", True),
        ("C8|C8|C8|C3||C5|C8|C8|C6|]", False),
    ):
        assert Automaton().accepts(f"{head}{bars}\n") == is_right, bars


def test_several_voices_are_refused_with_a_reason() -> None:
    with pytest.raises(UserError, match="second voice"):
        rules_after_prompt(read_prompt("M:4/4\nL:1/8\nK:C\n[V:1]"))
