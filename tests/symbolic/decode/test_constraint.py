"""--constrain: even an untrained model writes tunes that parse and whose bars are all full, with every tokenizer."""

import random

import pytest
import torch

from symbolic import models, tokens
from symbolic.config import GPT2Config
from symbolic.data.notation import canonical, parse
from symbolic.decode import engine
from symbolic.decode.automaton import Place
from symbolic.decode.constraint import Constraint, prompted
from symbolic.decode.prompt import read_prompt
from symbolic.decode.sampling import Sampling
from symbolic.errors import UserError
from symbolic.evaluate import validity

KINDS = ("characters", "grammar", "bytepair")


def write(kind: str, texts: list[str], n: int, most_tokens: int, seed: int, beginning: str = "") -> list[str]:
    """Tunes of an untrained model under the mask, all begun by the canonical text `beginning`."""
    tokenizer = tokens.build(kind, 768, texts)
    torch.manual_seed(seed)
    model = models.build(GPT2Config(n_layer=1, n_embd=16, n_head=1, n_positions=1024)).eval()
    mask = Constraint(tokenizer, prompted(read_prompt(beginning)), vocab_size=768)
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
        prompted(read_prompt("M:2/4 K:G A8A8|B"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_what_the_automaton_reads(kind: str, real_tunes: list[str]) -> None:
    """Cores and tables against reading every token from the state, along human and random tunes."""
    tokenizer = tokens.build(kind, 768, real_tunes[:300])
    mask = Constraint(tokenizer, vocab_size=768)
    texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
    choices = random.Random(7)
    for start in range(2):
        mask.start(start, [])
        for _ in range(40):
            row, allowed = mask.rows[start], mask.allowed(start)
            n_read = [mask.automaton.read(text, row.state)[1] for text in texts]
            readable = {id for id, text in enumerate(texts) if text and n_read[id] == len(text)}
            ended = {tokenizer.eos} if row.state.place == Place.END else set()
            assert {*allowed.nonzero()[:, 0].tolist()} == readable | ended, row.state
            if ended:
                break
            mask.advance(start, choices.choice(sorted(readable)))


def test_several_voices_are_refused_with_a_reason() -> None:
    with pytest.raises(UserError, match="second voice"):
        prompted(read_prompt("M:4/4\nL:1/8\nK:C\n[V:1]"))
