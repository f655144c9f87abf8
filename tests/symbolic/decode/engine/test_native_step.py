"""The native step against the PyTorch models: scores, independence of rows, sampling, what fast weights cost."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from symbolic import models
from symbolic.config import GPT2Config, Mamba2Config, MambaConfig, ModelConfig
from symbolic.decode.engine import engine, kernel_library, native_step, sampling
from symbolic.decode.engine.native_step import NativeModel, choose_step
from symbolic.decode.engine.sampling import Sampling
from symbolic.errors import UsageError, UserError

pytestmark = pytest.mark.skipif(native_step.problem() is not None, reason=str(native_step.problem()))

VOCABULARY = 128  # characters
TINY: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=64, n_head=2, n_positions=256, vocab_size=VOCABULARY),
    "mamba": MambaConfig(n_layer=2, d_model=64, vocab_size=VOCABULARY),
    "mamba2": Mamba2Config(n_layer=2, d_model=64, d_state=16, head_dim=32, vocab_size=VOCABULARY),
}
# Sizes that are no multiple of anything, several groups, one head.
ODD: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=60, n_head=3, n_positions=150, vocab_size=101),
    "gpt2-wide": GPT2Config(n_layer=1, n_embd=144, n_head=1, n_positions=150, vocab_size=257),
    "mamba": MambaConfig(n_layer=2, d_model=50, d_state=5, d_conv=3, dt_rank=3, vocab_size=77),
    "mamba2": Mamba2Config(n_layer=2, d_model=60, d_state=9, head_dim=20, n_groups=2, vocab_size=99),
}
RULES = [
    Sampling(temperature=0),
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(top_k=1),
    Sampling(top_k=5, temperature=1.3),
    Sampling(top_k=1000),
    Sampling(top_p=0.9),
    Sampling(top_p=0.05),
    Sampling(top_p=0.999),
    Sampling(min_p=0.02),
    Sampling(temperature=1.5, top_k=40, top_p=0.95, min_p=0.05),
]
NO_TILES = ("-march=sapphirerapids", "-mno-amx-tile", "-mno-amx-bf16", "-mno-amx-int8")
BUILDS = {"portable": ("-march=x86-64",), "avx2": ("-march=haswell",), "avx512 bf16 vnni": NO_TILES}


@pytest.fixture(scope="module")
def text(music21_corpus: Path) -> Tensor:
    """Folk tunes as characters."""
    paths = sorted((music21_corpus / "airdsAirs").glob("*.abc"))
    joined = "".join(path.read_text(encoding="latin-1") for path in paths)
    return torch.tensor([min(ord(c), VOCABULARY - 1) for c in joined])


@pytest.fixture(scope="module")
def trained(text: Tensor) -> dict[str, Any]:
    """The tiny models after some seconds of training: what a random one draws does not depend on what it reads."""
    return {family: _train(config, text[:-20_000]) for family, config in TINY.items()}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("family", TINY)
def test_steps_agree_with_the_model_at_every_position(
    trained: dict[str, Any], text: Tensor, family: str, threads: int
) -> None:
    tokens = text[: 3 * 200].view(3, 200)
    _assert_close(_stepped(NativeModel(trained[family], threads=threads), tokens), _forward(trained[family], tokens))


@pytest.mark.parametrize("name", ODD)
def test_odd_sizes(name: str) -> None:
    model = _random(ODD[name])
    tokens = torch.randint(0, model.config.vocab_size, (5, 150))
    _assert_close(_stepped(NativeModel(model, threads=2), tokens), _forward(model, tokens))


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_of_its_own(tied: bool) -> None:
    torch.manual_seed(0)
    model = models.build(TINY["mamba2"], tied=tied).eval()
    tokens = torch.randint(0, VOCABULARY, (2, 20))
    _assert_close(_stepped(NativeModel(model), tokens), _forward(model, tokens))


@pytest.mark.parametrize("family", TINY)
def test_ragged_prompts_then_steps(trained: dict[str, Any], text: Tensor, family: str) -> None:
    model, lengths = trained[family], torch.tensor([70, 1, 33, 128])
    prompts, more = text[: 4 * 128].view(4, 128), text[5000:5040].view(4, 10)
    fast = NativeModel(model, threads=2)
    slow_state, state = (m.new_state(4, 138, torch.float32, "cpu") for m in (model, fast))
    padded = prompts * (torch.arange(128) < lengths[:, None])
    _assert_close(fast.prefill(padded, lengths, state), model.prefill(padded, lengths, slow_state))
    for column in more.t():
        _assert_close(fast.step(column, state), model.step(column, slow_state))


@pytest.mark.parametrize("weights", native_step.WEIGHTS)
@pytest.mark.parametrize("family", TINY)
def test_a_row_never_depends_on_its_company(trained: dict[str, Any], text: Tensor, family: str, weights: str) -> None:
    """Bit for bit: alone, among 7, among 70 (more than one pass), on one thread or two, by steps or as a prompt."""
    tokens = text[: 70 * 90].view(70, 90)
    many = _stepped(NativeModel(trained[family], weights=weights, threads=2), tokens)
    fast = NativeModel(trained[family], weights=weights, threads=1)
    assert torch.equal(_stepped(fast, tokens[20:27]), many[20:27])
    assert torch.equal(_stepped(fast, tokens[69:]), many[69:])
    read = fast.prefill(tokens, torch.full((70,), 90), fast.new_state(70, 90))
    assert torch.equal(read, many[:, -1])


@pytest.mark.parametrize("family", TINY)
def test_rows_are_replaced_and_reset(trained: dict[str, Any], text: Tensor, family: str) -> None:
    fast, a, b = NativeModel(trained[family]), text[:300].view(3, 100), text[900:1040].view(2, 70)
    state, other = fast.new_state(3, 101), fast.new_state(2, 70)
    fast.prefill(a, torch.tensor([100, 100, 100]), state)
    fast.prefill(b, torch.tensor([70, 40]), other)
    state.insert(torch.tensor([2, 0]), other)
    got = fast.step(text[:3], state)
    alone = fast.new_state(1, 101)
    for row, prompt in ((0, b[1:, :40]), (1, a[1:2]), (2, b[:1])):
        fast.prefill(prompt, torch.tensor([prompt.shape[1]]), alone)
        assert torch.equal(fast.step(text[row : row + 1], alone)[0], got[row])
    state.reset(torch.tensor([1]))
    again = fast.step(text[:3], state)
    alone.reset(torch.tensor([0]))
    assert torch.equal(fast.step(text[1:2], alone)[0], again[1])


@pytest.mark.slow
@pytest.mark.parametrize("build", BUILDS)
def test_other_instruction_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: str) -> None:
    """The forms that other processors get, compiled for them."""
    needed = "amx" if build.startswith("avx512") else "avx512"
    if needed not in native_step.instructions():
        pytest.skip(f"this machine has no {needed}: it runs one of those forms already, or cannot")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    flags = (*(f for f in kernel_library.FLAGS if "-march" not in f), *BUILDS[build])
    monkeypatch.setattr(kernel_library, "FLAGS", flags)
    library = kernel_library.library.__wrapped__()
    monkeypatch.setattr(kernel_library, "library", lambda: library)
    assert native_step.instructions() == build
    for config in ODD.values():
        tokens = torch.randint(0, config.vocab_size, (3, 70))
        for weights, tolerance in (("float32", 1e-5), ("bfloat16", 0.03), ("int8", 0.12)):
            got = _stepped(NativeModel(_random(config), weights=weights, threads=2), tokens)
            _assert_close(got, _forward(_random(config), tokens), tolerance)
        rounded = _rounded(_random(config))
        _assert_close(_stepped(NativeModel(rounded, threads=2), tokens), _forward(rounded, tokens))


@pytest.mark.parametrize("shape", ODD)
def test_float32_weights_that_fit_16_bits_are_held_so(shape: str) -> None:
    """Half the memory, still float32: scores as close, and a row alone, among 40, as a prompt, bit for bit the same."""
    model = _rounded(_random(ODD[shape]))
    tokens = torch.randint(0, model.config.vocab_size, (40, 20))
    fast, full = NativeModel(model, threads=2), NativeModel(_random(ODD[shape]))
    assert (" held in 16 bits" in fast.step_name, " held in 16 bits" in full.step_name) == (True, False)
    many = _stepped(fast, tokens)
    _assert_close(many, _forward(model, tokens))
    assert torch.equal(_stepped(fast, tokens[7:8]), many[7:8])
    assert torch.equal(_stepped(fast, tokens[3:23]), many[3:23])
    assert torch.equal(fast.prefill(tokens, torch.full((40,), 20), fast.new_state(40, 20)), many[:, -1])


# --- the functions, in units in the last place or relative -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "exact", "low", "tolerance"),
    [
        ("exponential", torch.exp, -79.0, 2.5e-7),
        ("silu", F.silu, -70.0, 5e-7),
        ("softplus", F.softplus, -70.0, 5e-7),
    ],
)
def test_functions_relative_error(name: str, exact: Any, low: float, tolerance: float) -> None:
    x = torch.linspace(low, 79, 1 << 16)
    want = exact(x.double())
    assert ((native_step.evaluate(name, x) - want).abs() / want.abs().clamp(min=1e-30)).max() < tolerance


def test_gelu_absolute_error() -> None:
    x = torch.linspace(-12, 12, 1 << 16)
    want = F.gelu(x.double(), approximate="tanh")
    assert ((native_step.evaluate("gelu", x) - want).abs() / x.abs().clamp(min=1)).max() < 2e-7


def test_functions_far_out() -> None:
    x = torch.tensor([-1e30, -1e4, -200.0, 0.0, 200.0, 1e4, 1.0, -1.0] * 2)
    assert native_step.evaluate("exponential", x)[:4].tolist() == [0, 0, 0, 1]
    assert native_step.evaluate("exponential", torch.full((16,), -math.inf)).tolist() == [0] * 16
    for name, exact in (("silu", F.silu), ("softplus", F.softplus)):
        torch.testing.assert_close(native_step.evaluate(name, x), exact(x))


# --- drawing tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_sampling_is_that_of_sampling_py(trained: dict[str, Any], rules: Sampling) -> None:
    fast, generator = NativeModel(trained["mamba"]), torch.Generator().manual_seed(1)
    logits = torch.randn(3000, VOCABULARY, generator=generator) * torch.linspace(0.1, 6, 3000)[:, None]
    logits[::7, 10:20] = logits[::7, 10:11]  # ties
    bias = torch.zeros(VOCABULARY)
    bias[[0, 1, 50]] = -math.inf
    bias[120:] = -math.inf
    numbers = torch.rand(3000, generator=generator, dtype=torch.float64)
    numbers[:3] = torch.tensor([0.0, 1 - 2**-53, 0.5])
    want = sampling.choose(logits + bias, numbers, rules)
    assert len(want.unique()) > 50
    calls = native_step.Calls(fast, rules, bias, 3000)
    calls.scores[:, :VOCABULARY], calls.rests[:] = logits, numbers.numpy()
    assert [calls.choose(row, row)[0] for row in range(3000)] == want.tolist()
    allowed = torch.rand(VOCABULARY, generator=generator) < 0.7
    want = sampling.choose((logits + bias).masked_fill(~allowed, -math.inf), numbers, rules)
    assert [calls.choose(row, row, allowed)[0] for row in range(3000)] == want.tolist()


@pytest.mark.parametrize("rules", [Sampling(temperature=0), Sampling(temperature=0.9, top_k=30, top_p=0.95)], ids=str)
@pytest.mark.parametrize("family", TINY)
def test_run_is_step_and_choose(trained: dict[str, Any], family: str, rules: Sampling) -> None:
    model, n = trained[family], 120
    fast = NativeModel(model, threads=2)
    numbers = torch.rand(5, n, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    first = torch.tensor([ord(c) for c in "XTKGA"])
    drawn = fast.run(fast.new_state(5, n), first, n, rules, numbers, None)
    state, tokens, ids, log_probabilities = model.new_state(5, n, torch.float32, "cpu"), first, [], []
    for t in range(n):
        scores = model.step(tokens, state)
        tokens = sampling.choose(scores, numbers[:, t], rules)
        ids.append(tokens)
        log_probabilities.append(scores.log_softmax(-1).gather(1, tokens[:, None])[:, 0])
    assert torch.equal(drawn.ids, torch.stack(ids, 1))
    assert drawn.ids[:, 20:].unique().numel() > 3
    torch.testing.assert_close(drawn.log_probabilities, torch.stack(log_probabilities, 1), rtol=1e-4, atol=1e-4)
    assert drawn.counts.tolist() == [n] * 5


def test_run_ends_rows_by_token_and_by_limit(trained: dict[str, Any]) -> None:
    fast, n, eos = NativeModel(trained["gpt2"]), 200, ord("\n")
    numbers = torch.rand(6, n, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    first, limits = torch.full((6,), ord("X")), torch.tensor([200, 200, 200, 3, 0, 200])
    free = fast.run(fast.new_state(6, n), first, n, Sampling(), numbers, None).ids
    state = fast.new_state(6, n)
    drawn = fast.run(state, first, n, Sampling(), numbers, eos, limits=limits)
    for row in range(6):
        ends = (free[row] == eos).nonzero().flatten().tolist() + [n - 1]
        count = min(int(limits[row]), ends[0] + 1)
        assert drawn.counts[row] == count
        assert drawn.ids[row].tolist() == free[row, :count].tolist() + [0] * (n - count)
    assert state.lengths.tolist() == drawn.counts.tolist()
    assert len(set(drawn.counts.tolist())) > 3
    until_first = fast.run(fast.new_state(6, n), first, n, Sampling(), numbers, eos, limits=limits, first_end=True)
    shortest = min(int(c) for c in drawn.counts if c > 0)
    assert until_first.counts.tolist() == [min(shortest, int(limit)) for limit in limits]


def test_each_row_may_have_its_own_bias(trained: dict[str, Any]) -> None:
    fast, first = NativeModel(trained["mamba"]), torch.full((3,), ord("K"))
    numbers = torch.rand(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    bias = torch.full((3, VOCABULARY), -torch.inf)
    bias[0, ord("A") : ord("H")] = bias[1, ord("1") : ord("9")] = bias[2] = 0
    drawn = fast.run(fast.new_state(3, 20), first, 20, Sampling(temperature=1.5), numbers, None, bias=bias)
    assert set(drawn.ids[0].tolist()) <= set(range(ord("A"), ord("H")))
    assert set(drawn.ids[1].tolist()) <= set(range(ord("1"), ord("9")))
    free = fast.run(fast.new_state(3, 20), first, 20, Sampling(temperature=1.5), numbers, None)
    assert torch.equal(drawn.ids[2], free.ids[2]) and not torch.equal(drawn.ids[0], free.ids[0])


def test_run_continues_where_it_stopped(trained: dict[str, Any]) -> None:
    """Several calls are one, for all families; the pending token is the last drawn."""
    for model in trained.values():
        fast = NativeModel(model)
        numbers = torch.rand(3, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
        first = torch.full((3,), ord("K"))
        whole = fast.run(fast.new_state(3, 60), first, 60, Sampling(), numbers, None)
        state, parts = fast.new_state(3, 60), []
        for t in (0, 20, 40):
            part = fast.run(state, first, 20, Sampling(), numbers[:, t : t + 20], None)
            parts.append(part.ids)
            first = part.ids[:, -1]
        assert torch.equal(torch.cat(parts, 1), whole.ids)


@pytest.mark.parametrize("family", TINY)
def test_the_engine_takes_it_as_it_is(trained: dict[str, Any], text: Tensor, family: str) -> None:
    prompts = [text[i * 50 : i * 50 + 1 + 7 * (i % 4)].tolist() for i in range(9)]
    rules = Sampling(temperature=0.8)
    settings: dict[str, Any] = {"max_new_tokens": 60, "n_tokens": 127, "eos": 10, "sampling": rules, "batch_size": 4}
    want = engine.generate(trained[family], prompts, **settings)
    got = engine.generate(NativeModel(trained[family], threads=2), prompts, **settings)
    assert [tune.tokens for tune in got] == [tune.tokens for tune in want]
    assert len({len(tune.tokens) for tune in got}) > 2


# --- fast weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weights", "most"), [("float32", 1e-5), ("bfloat16", 0.0005), ("int8", 0.002)])
@pytest.mark.parametrize("family", TINY)
def test_bits_per_byte_of_fast_weights(
    trained: dict[str, Any], text: Tensor, family: str, weights: str, most: float
) -> None:
    """On text the model has not seen (a character is a byte), relative to the model itself."""
    held_out = text[-20_000:][: 100 * 128].view(100, 128)
    want = _bits(_forward(trained[family], held_out), held_out)
    got = _bits(_stepped(NativeModel(trained[family], weights=weights), held_out), held_out)
    assert want < 4.5
    assert abs(got - want) / want < most


def test_weights_follow_the_model(trained: dict[str, Any]) -> None:
    half = models.build(TINY["gpt2"]).to(torch.bfloat16).eval()
    assert NativeModel(trained["gpt2"]).weights == "float32"
    assert NativeModel(half).weights == "bfloat16"
    assert NativeModel(half, threads=2).step_name.startswith("native bfloat16, 2 threads, ")


# --- refusals --------------------------------------------------------------------------------------------------------


def test_refusals(trained: dict[str, Any]) -> None:
    fast = NativeModel(trained["gpt2"])
    state = fast.new_state(1, 10)
    for bad in (-1, VOCABULARY):
        with pytest.raises(UserError, match=r"0\.\.127"):
            fast.step(torch.tensor([bad]), state)
        with pytest.raises(UserError, match=r"0\.\.127"):
            fast.run(state, torch.tensor([bad]), 2, Sampling(), torch.zeros(1, 2), None)
    with pytest.raises(UserError, match="300 tokens, but there is room for 256"):
        fast.new_state(1, 300)
    with pytest.raises(UserError, match="more than 64 tokens"):
        fast.run(state, torch.tensor([5]), 65, Sampling(), torch.zeros(1, 65), None)
    with pytest.raises(UsageError, match="int4"):
        NativeModel(trained["gpt2"], weights="int4")
    assert state.lengths.tolist() == [0]


def test_step_path(trained: dict[str, Any]) -> None:
    model = trained["gpt2"]
    assert (choose_step("auto", model), choose_step("torch", model)) == ("native", "torch")
    with pytest.raises(UsageError, match="auto, native, graph, torch"):
        choose_step("fast", model)
    with pytest.raises(UserError, match="float64"):
        choose_step("native", models.build(TINY["gpt2"]).double())
    assert choose_step("auto", models.build(TINY["gpt2"]).double()) == "torch"


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: dict[str, Any]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(kernel_library, "library", kernel_library.library.__wrapped__)
    monkeypatch.setattr(native_step, "problem", native_step.problem.__wrapped__)
    assert choose_step("auto", trained["gpt2"]) == "torch"
    with pytest.raises(UserError, match=r"apt install gcc.*step='torch'"):
        NativeModel(trained["gpt2"])


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    monkeypatch.setattr(kernel_library, "library", kernel_library.library.__wrapped__)
    reason = native_step.problem.__wrapped__()
    assert reason is not None and "step.c" in reason and "CC" in reason


# --- helpers ---------------------------------------------------------------------------------------------------------


def _train(config: ModelConfig, text: Tensor, steps: int = 80) -> Any:
    torch.manual_seed(0)
    model = models.build(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        starts = torch.randint(0, len(text) - 65, (16,))
        batch = torch.stack([text[i : i + 65] for i in starts])
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval()


def _random(config: ModelConfig) -> Any:
    """Every weight and bias away from its usual start, so that none of them can be left out."""
    torch.manual_seed(0)
    model = models.build(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def _rounded(model: Any) -> Any:
    """The model with every weight rounded to bfloat16, in float32."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    return model


@torch.no_grad()
def _forward(model: Any, tokens: Tensor) -> Tensor:
    return model(tokens)


def _stepped(model: Any, tokens: Tensor) -> Tensor:
    state = model.new_state(*tokens.shape)
    return torch.stack([model.step(column, state) for column in tokens.t()], 1)


def _assert_close(got: Tensor, want: Tensor, tolerance: float = 1e-5) -> None:
    """Largest difference, relative to the scale of the scores."""
    assert got.shape == want.shape
    assert (got - want).abs().max() < tolerance * want.abs().max()


def _bits(scores: Tensor, tokens: Tensor) -> float:
    return float(F.cross_entropy(scores[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())) / math.log(2)
