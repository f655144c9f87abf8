"""The engine: the tunes of a full forward pass, whatever the batch; ends, limits, masks and callbacks."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from symbolic import models
from symbolic.config import GPT2ModernConfig, LSTMConfig, Mamba2HybridConfig, ModelConfig
from symbolic.decode.engine import engine, native_step
from symbolic.decode.engine.engine import Generated
from symbolic.decode.engine.sampling import Sampling
from symbolic.errors import UsageError, UserError
from tests.small_models import EOS, N_TOKENS, RAGGED, SHAPES, EvenOnly, generate, make_model


def full_logits(model: Any, tune: Generated) -> Tensor:
    """What one forward pass says at the places of the tokens drawn, the end-of-tune token included: (T, V)."""
    with torch.no_grad():
        logits = model(torch.tensor([tune.prompt + tune.tokens]))[0, len(tune.prompt) - 1 :]
    return logits if tune.finished == "eos" else logits[:-1]


def drawn(tune: Generated) -> list[int]:
    return tune.tokens + [EOS] * (tune.finished == "eos")


@pytest.mark.parametrize("family", SHAPES)
def test_greedy_is_the_argmax_of_the_full_forward_pass(family: str) -> None:
    model = make_model(family)
    for tune in generate(model, RAGGED[:8], sampling=Sampling(temperature=0), batch_size=3, eos=None):
        logits = full_logits(model, tune)[:, :N_TOKENS]
        logits[:, :2] = -torch.inf
        chosen = logits.gather(1, torch.tensor(drawn(tune))[:, None])[:, 0]
        torch.testing.assert_close(chosen, logits.amax(-1), rtol=0, atol=1e-4)
        assert len(set(tune.tokens)) > 3


@pytest.mark.parametrize("family", SHAPES)
def test_log_probability_is_that_of_the_full_forward_pass(family: str) -> None:
    model = make_model(family)
    tunes = generate(model, RAGGED[:16], sampling=Sampling(temperature=0.8, top_k=20), max_new_tokens=40)
    assert {tune.finished for tune in tunes} == {"eos", "length"}
    for tune in tunes:
        each = full_logits(model, tune).log_softmax(-1).gather(1, torch.tensor(drawn(tune))[:, None])
        assert tune.log_probability == pytest.approx(each.double().sum().item(), abs=1e-3)


@pytest.mark.parametrize("family", SHAPES)
def test_the_batch_does_not_change_the_tunes(family: str) -> None:
    model = make_model(family)
    alone = generate(model, RAGGED, batch_size=1)
    for settings in ({"batch_size": 8}, {"batch_size": 32}, {"batch_size": 8, "synchronise_every": 7}):
        assert [t.tokens for t in generate(model, RAGGED, **settings)] == [t.tokens for t in alone]
    assert len({tuple(t.tokens) for t in alone}) > 35  # the same prompt, another number: another tune
    assert {t.finished for t in alone} == {"eos", "length"}


def test_the_seed_decides() -> None:
    model = make_model("gpt2")
    first = generate(model, [[1]] * 6)
    assert generate(model, [[1]] * 6) == first
    assert [tune.tokens for tune in generate(model, [[1]] * 3)] == [tune.tokens for tune in first[:3]]
    assert all(a.tokens != b.tokens for a, b in zip(generate(model, [[1]] * 6, seed=6), first, strict=True))
    assert all(a.tokens != b.tokens for a, b in zip(generate(model, [[1]] * 6, stream=1), first, strict=True))


def test_streams_of_numbers() -> None:
    long = engine.uniforms(5, 3, 100)
    assert np.array_equal(engine.uniforms(5, 3, 10), long[:10])
    others = [engine.uniforms(6, 3, 100), engine.uniforms(5, 4, 100), engine.uniforms(5, 3, 100, stream=1)]
    assert all(not np.intersect1d(long, other).size for other in others)
    assert engine.uniforms(2**64 - 1, 0, 1) != engine.uniforms(2**64 - 2, 0, 1)


class CountingState:
    """Where each row of a Counting model stands; `steps` counts passes."""

    def __init__(self, batch: int) -> None:
        self.sums = torch.zeros(batch, dtype=torch.int64)

    def reset(self, rows: Tensor) -> None:
        self.sums[rows] = 0

    def insert(self, rows: Tensor, other: "CountingState") -> None:
        self.sums[rows] = other.sums


class Counting(torch.nn.Module):
    """A model without weights: after reading tokens that sum to s it is sure of s + 3, and of EOS from 40 on.

    From the prompt [1]: 4, 8, 16, 32, EOS. It likes PAD, BOS and padding ids better still, and must not get them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(vocab_size=96)
        self.steps = 0
        self.prefills: list[list[int]] = []

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device) -> CountingState:
        return CountingState(batch)

    def prefill(self, tokens: Tensor, lengths: Tensor, state: CountingState) -> Tensor:
        self.prefills.append(lengths.tolist())
        state.sums = (tokens * (torch.arange(tokens.shape[1]) < lengths[:, None])).sum(1)
        return self.logits(state)

    def step(self, tokens: Tensor, state: CountingState) -> Tensor:
        self.steps += 1
        state.sums = state.sums + tokens
        return self.logits(state)

    def logits(self, state: CountingState) -> Tensor:
        logits = torch.zeros(len(state.sums), 96)
        logits[:, [0, 1, N_TOKENS, 95]] = 2000.0
        following = torch.where(state.sums < 40, state.sums + 3, EOS)
        return logits.scatter(1, following[:, None], 1000.0)


EXPECTED = {(1,): [4, 8, 16, 32], (1, 5, 6): [15, 30], (1, 30): [34], (1, 50): []}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
@pytest.mark.parametrize("synchronise_every", [1, 3, 50])
def test_finished_rows_are_replaced(batch_size: int, synchronise_every: int) -> None:
    prompts = [list(prompt) for prompt in EXPECTED] * 4
    tunes = generate(Counting(), prompts, batch_size=batch_size, synchronise_every=synchronise_every)
    assert [tune.tokens for tune in tunes] == [EXPECTED[tuple(prompt)] for prompt in prompts]
    assert [tune.index for tune in tunes] == list(range(16))
    assert {tune.finished for tune in tunes} == {"eos"}


def test_a_row_works_on_while_others_wait() -> None:
    """Tunes of 5, 1, 1, 1, 1, 1 passes: two rows need 5, not the 7 of three batches one after another."""
    model = Counting()
    generate(model, [[1], *[[1, 50]] * 5], batch_size=2)
    assert model.steps == 5


def test_a_prompt_of_one_token_needs_no_prefill() -> None:
    model = Counting()
    generate(model, [[1], [1, 30], [1], [1, 5, 6]], batch_size=4)
    assert model.prefills == [[1, 2]]  # all but the last token, the two long prompts together


def test_no_end_of_tune_token() -> None:
    [tune] = generate(Counting(), [[1]], eos=None, max_new_tokens=7)
    assert tune.tokens == [4, 8, 16, 32, 2, 2, 2]
    assert tune.finished == "length"


def test_limits() -> None:
    model = make_model("gpt2")
    [short] = generate(model, [[1, 5]], eos=None, max_new_tokens=9)
    [full] = generate(model, [[1, 5]], eos=None, max_new_tokens=1000)
    assert (len(short.tokens), short.finished) == (9, "length")
    assert (len(full.tokens), full.finished) == (63, "context")  # 64 positions read 2 + 62 tokens and predict one more
    assert full.tokens[:9] == short.tokens
    both = generate(model, [[1] * 60, [1]], eos=None, max_new_tokens=1000, batch_size=2, synchronise_every=16)
    assert [(len(tune.tokens), tune.finished) for tune in both] == [(5, "context"), (64, "context")]
    with pytest.raises(UserError, match=r"65 tokens .* at most 64"):
        generate(model, [[1] * 65])


def test_a_state_without_length_has_no_limit() -> None:
    [tune] = generate(make_model("mamba2"), [[1]], eos=None, max_new_tokens=200)
    assert (len(tune.tokens), tune.finished) == (200, "length")


def test_callbacks() -> None:
    seen: dict[int, list[int]] = {}
    ended: list[int] = []
    counts: list[int] = []

    def on_token(index: int, token: int) -> bool:
        seen.setdefault(index, []).append(token)
        return token == 16

    tunes = generate(
        Counting(),
        [[1], [1, 5, 6], [1, 50]],
        batch_size=2,
        on_token=on_token,
        on_tune=lambda tune: ended.append(tune.index),
        on_block=counts.append,
    )
    assert [tune.tokens for tune in tunes] == [[4, 8, 16], [15, 30], []]
    assert [tune.finished for tune in tunes] == ["stopped", "eos", "eos"]
    assert seen == {0: [4, 8, 16], 1: [15, 30]}
    assert sorted(ended) == [0, 1, 2]
    assert sum(counts) == 3 + 3 + 1  # the two ends are tokens, too


@pytest.mark.parametrize("step", ["native", "torch"])
def test_drawing_again_has_the_law_of_the_mask(step: str) -> None:
    """First tokens of 4,000 tunes against the model's distribution over the even ones: chi-square below its 99.9 %
    point."""
    model, n = engine.prepare(make_model("gpt2"), step), 4000
    mask = EvenOnly()
    tunes = generate(model, [[1]] * n, mask=mask, batch_size=200, max_new_tokens=1, sampling=Sampling(2.0))
    counts = torch.tensor([tune.tokens[0] for tune in tunes]).bincount(minlength=96).double()
    scores = make_model("gpt2")(torch.tensor([[1]]))[0, -1].double() / 2
    mask.start(0, [])
    allowed = torch.from_numpy(mask.allowed(0))
    allowed[[0, 1]] = False
    allowed[N_TOKENS:] = False
    expected = n * scores[:96].masked_fill(~allowed, -torch.inf).softmax(-1)
    assert counts[~allowed].sum() == 0
    many = expected >= 5
    chi_square = ((counts - expected)[many] ** 2 / expected[many]).sum().item()
    degrees = int(many.sum()) - 1
    assert chi_square < degrees + 3.1 * (2 * degrees) ** 0.5 + 6.4


def test_mask() -> None:
    mask = EvenOnly()
    model = make_model("gpt2")
    tunes = generate(model, RAGGED[:9], mask=mask, batch_size=4, sampling=Sampling(temperature=2.0))
    assert all(token % 2 == 0 for tune in tunes for token in tune.tokens)
    assert all(len(tune.tokens) >= 3 for tune in tunes)
    assert [prompt for _, prompt in mask.starts[:4]] == RAGGED[:4]
    assert sorted(prompt for _, prompt in mask.starts) == sorted(RAGGED[:9])
    free = generate(model, RAGGED[:9], sampling=Sampling(temperature=2.0))
    assert any(token % 2 for tune in free for token in tune.tokens)
    again = generate(model, RAGGED[:9], mask=EvenOnly(), batch_size=1, sampling=Sampling(temperature=2.0))
    assert [tune.tokens for tune in again] == [tune.tokens for tune in tunes]


def test_nothing_to_do() -> None:
    assert generate(Counting(), []) == []


@pytest.mark.parametrize("settings", [{"max_new_tokens": 0}, {"batch_size": 0}, {"seed": -1}, {"seed": 2**64}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="it must be"):
        generate(Counting(), [[1]], **settings)


# --- which step runs -------------------------------------------------------------------------------------------------

compiler = pytest.mark.skipif(native_step.problem() is not None, reason=str(native_step.problem()))


@compiler
@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("settings", [{}, {"eos": None, "max_new_tokens": 50}, {"sampling": Sampling(0.7, 20, 0.9)}])
def test_the_native_step_draws_the_same_tunes(family: str, settings: dict[str, Any]) -> None:
    model = make_model(family)
    fast = engine.prepare(model)
    assert engine.step_name(fast).startswith("native float32, ") and engine.step_name(model) == "torch float32"
    want = generate(model, RAGGED, batch_size=8, **settings)
    for batch_size in (1, 8, 64):
        got = generate(fast, RAGGED, batch_size=batch_size, **settings)
        assert [(t.tokens, t.finished) for t in got] == [(t.tokens, t.finished) for t in want]
        for ours, theirs in zip(got, want, strict=True):
            assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-3)


@compiler
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
@pytest.mark.parametrize("family", SHAPES)
def test_fast_weights_give_the_same_tunes_in_any_batch(family: str, weights: str) -> None:
    fast = engine.prepare(make_model(family), "native", weights)
    assert weights in engine.step_name(fast)
    alone = generate(fast, RAGGED, batch_size=1)
    for settings in ({"batch_size": 7}, {"batch_size": 256}, {"batch_size": 32, "synchronise_every": 5}):
        assert generate(fast, RAGGED, **settings) == alone


@compiler
def test_mask_and_callbacks_with_the_native_step() -> None:
    model = make_model("gpt2")
    fast, rules = engine.prepare(model), {"batch_size": 4, "sampling": Sampling(temperature=2.0)}
    for settings in ({"mask": EvenOnly}, {"on_token": lambda: lambda _, token: token % 7 == 0}):
        ((name, make),) = settings.items()
        want = generate(model, RAGGED[:9], **{name: make()}, **rules)
        assert [t.tokens for t in generate(fast, RAGGED[:9], **{name: make()}, **rules)] == [t.tokens for t in want]
    assert any(tune.finished == "stopped" for tune in want)


@compiler
def test_progress_counts_the_tokens_of_native_blocks() -> None:
    counts: list[int] = []
    tunes = generate(engine.prepare(make_model("mamba")), RAGGED, batch_size=4, on_block=counts.append)
    assert sum(counts) == sum(len(drawn(tune)) for tune in tunes)
    assert max(counts) > 4  # more than a step in a call


def test_steps_that_cannot_run_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("mamba2")
    assert engine.prepare(model, "torch") is model
    with pytest.raises(UserError, match=r"CUDA.*step='auto'"):
        engine.prepare(model, "graph")
    with pytest.raises(UserError, match=r"int8 weights need the native step.*step='torch' was asked for"):
        engine.prepare(model, "torch", "int8")
    monkeypatch.setattr(native_step, "problem", lambda: "no C compiler is on PATH.")
    assert engine.prepare(model) is model
    with pytest.raises(UserError, match=r"int8 weights need the native step.*no C compiler"):
        engine.prepare(model, "auto", "int8")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("family", SHAPES)
def test_cuda_graphs_draw_the_same_tunes(family: str) -> None:
    model = make_model(family).cuda()
    fast = engine.prepare(model, "graph")
    want = generate(model, RAGGED, batch_size=8)
    assert [t.tokens for t in generate(fast, RAGGED, batch_size=8)] == [t.tokens for t in want]


@pytest.mark.parametrize("step", ["torch", pytest.param("native", marks=compiler)])
def test_the_state_is_freed_when_the_call_returns(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, by its count of references: a cycle would hold hundreds of megabytes until the collector runs."""
    model = engine.prepare(make_model("gpt2"), step)
    states: list[weakref.ref[Any]] = []
    new_state = type(model).new_state

    def note(*arguments: Any, **settings: Any) -> Any:
        state = new_state(*arguments, **settings)
        states.append(weakref.ref(state))
        return state

    monkeypatch.setattr(type(model), "new_state", note)
    gc.disable()
    try:
        for batch_size, mask in ((1, None), (4, None), (4, EvenOnly())):
            generate(model, RAGGED[:8], batch_size=batch_size, mask=mask)
        assert len(states) >= 3 and all(state() is None for state in states)
    finally:
        gc.enable()


OURS: dict[str, ModelConfig] = {
    "gpt2-modern": GPT2ModernConfig(n_layer=2, n_embd=32, n_head=2, n_positions=64, vocab_size=96),
    "mamba2-hybrid": Mamba2HybridConfig(
        n_layer=3, attention_every=2, d_model=32, n_head=2, d_state=8, head_dim=16, chunk_size=16, vocab_size=96
    ),
    "lstm": LSTMConfig(n_layer=1, d_model=32, vocab_size=96),
}


@pytest.mark.parametrize("family", OURS)
def test_families_without_a_native_step_are_drawn_by_torch(family: str) -> None:
    """Greedy tunes are the whole pass's, whatever runs beside them; `auto` takes the torch step, `native` says why."""
    torch.manual_seed(3)
    model = models.build(OURS[family], tied=False).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    assert engine.prepare(model, step="auto") is model
    with pytest.raises(UserError, match=f"knows gpt2, mamba, mamba2, and this model is {family}"):
        engine.prepare(model, step="native")
    tunes = generate(model, RAGGED[:8], batch_size=3, eos=None, sampling=Sampling(temperature=0))
    for tune in tunes:
        logits = full_logits(model, tune)[:, :N_TOKENS]
        logits[:, :2] = -torch.inf
        chosen = logits.gather(1, torch.tensor(tune.tokens)[:, None])[:, 0]
        torch.testing.assert_close(chosen, logits.amax(-1), rtol=0, atol=1e-4)
    alone = generate(model, RAGGED, batch_size=1)
    assert [t.tokens for t in generate(model, RAGGED, batch_size=8)] == [t.tokens for t in alone]
