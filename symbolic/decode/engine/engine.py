"""One decoding engine for every model: batched, ragged, same seed same tune.

    model = engine.prepare(model, step="auto")      # the model as it is to be run; engine.path(model) names the step
    tunes = engine.generate(model, prompts, ...)

A model is anything with `new_state`, `prefill` and `step` (see symbolic.models). The engine keeps a batch of rows,
each at work on one prompt; a row that finishes is given the next prompt (continuous batching) until none is left.

Steps, by name: `native` is symbolic.decode.engine.native_step (CPU, a C compiler once), `torch` the model's own,
`graph` the same recorded as CUDA graphs (symbolic.decode.engine.cuda_graphs; not proven on a GPU yet, so only when
asked for); `auto` is native where it can run, else torch. Within a step the same seed gives the same tunes; between
two, logits differ by rounding.

    pending  each row's token that the model has not read yet: at first the prompt's last, then the one drawn last
    step     logits = model.step(pending); pending = drawn token

So a tune whose prompt is a single token needs no prefill, and a new tune joins a running batch without a pass of its
own.

Randomness: tune `index` of `seed` draws its numbers from its own counter-based stream, Philox keyed by (seed, index),
one number a token. A tune is therefore a function of (weights, prompt, seed, index, rules) and not of the batch it ran
in. With the native step that holds to the last bit, in every number type. With the others rounding remains: matrix
products of different shapes may add in different orders. A float32 logit then moves by about 1e-6, which changes a
token when the number drawn lies that close to the border of two: expected about once in a million tokens. A bfloat16
logit can move by 1e-2, so tunes may part within tens of tokens. So they may between steps and between machines.

Blocks: on CUDA the tokens of `SYNCHRONISE_EVERY` steps are brought to the host in one copy, which is where ends are
seen; a row that ended inside such a block spends the rest of it on tokens that are thrown away. The native step draws
up to `NATIVE_TOKENS` tokens in one call, which returns when a row ends. Otherwise, and with a mask or a token callback
(which must see each token before the next is drawn), a block is one step. The tunes are the same either way.

Masks: what a mask forbids is left out before a token is drawn. A mask that can judge a single token, that of
`--constrain`, is asked about what was drawn without it, and the token is drawn again where it may not come: the same
law in a fraction of the time (symbolic.decode.engine.rejection).

Log-probability is in nats, of the generated tokens (end of tune included), under the model's own distribution:
temperature 1 and before any rule or mask.
"""

# B rows, V vocabulary entries, K steps in a block

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from symbolic.decode.engine import native_step, rejection
from symbolic.decode.engine.cuda_graphs import Graphed, Replay
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.rejection import Draws, Judge, NativeDraws, TorchDraws
from symbolic.decode.engine.sampling import Sampling, choose
from symbolic.errors import UsageError, UserError
from symbolic.tokens import BOS, PAD

SYNCHRONISE_EVERY = 16  # steps a CUDA device runs between two looks at the tokens
NATIVE_TOKENS, NATIVE_STEPS = 256, 32  # most of one native call, which Ctrl-C does not interrupt: rows x steps, steps


class Mask(Protocol):
    """Constraint on what may come next, such as the metre. A row is reused for one tune after another."""

    def start(self, row: int, prompt: list[int]) -> None:
        """Row begins a tune whose prompt is `prompt`."""

    def advance(self, row: int, token: int) -> None:
        """`token` was drawn in row."""

    def allowed(self, row: int) -> Tensor:
        """(V,) bool, True for each token that row may draw next; at least one must be."""


@dataclass(frozen=True, slots=True)
class Generated:
    """One finished tune. `tokens` is what followed the prompt, without the end-of-tune token.

    finished: "eos", "length" (max_new_tokens reached), "context" (the model's context is full), "stopped" (by the
    callback).
    """

    index: int
    prompt: list[int]
    tokens: list[int]
    finished: str
    log_probability: float


@dataclass(slots=True)
class _Tune:
    """A tune being generated."""

    index: int
    prompt: list[int]
    most: int  # new tokens it may have
    limit: str  # why no more: "length" or "context"
    tokens: list[int] = field(default_factory=list)
    log_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    """What stays the same during one call of `generate`."""

    model: Any
    rules: Sampling
    seed: int
    stream: int
    eos: int | None
    longest: int  # new tokens of the longest tune: the length of a column of random numbers
    capacity: int  # tokens that a row of the state must hold
    device: torch.device
    dtype: torch.dtype
    bias: Tensor  # (V,) -inf at the ids that are never drawn
    mask: Mask | None
    judge: Judge | None  # the mask, where it can judge one token
    on_token: Callable[[int, int], bool | None] | None
    on_block: Callable[[int], None] | None
    block: int


def prepare(model: Any, step: str = "auto", weights: str = "auto") -> Any:
    """The model as `generate` is to run it: with the native step or CUDA graphs around it, or as it is.

    weights: of the native step, float32, bfloat16 or int8; auto is the model's own number type. Weights are copied:
    prepare again after changing them. UserError when the step asked for cannot run.
    """
    path = native_step.step_path(step, model)
    if path == "native":
        return NativeModel(model, weights=weights)
    if weights not in ("auto", str(next(model.parameters()).dtype).removeprefix("torch.")):
        why = native_step.reason(model) or f"step={step!r} was asked for."
        raise UserError(f"{weights} weights need the native step, which does not run: {why}")
    return Graphed(model) if path == "graph" else model


def path(model: Any) -> str:
    """What runs when `generate` gets this model, for a run's record, as "torch float32"."""
    own = getattr(model, "path", None)
    return own if isinstance(own, str) else f"torch {str(next(model.parameters()).dtype).removeprefix('torch.')}"


@torch.inference_mode()
def generate(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int | Sequence[int],
    n_tokens: int,
    eos: int | None,
    sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    seed: int = 0,
    stream: int = 0,
    batch_size: int = 32,
    mask: Mask | None = None,
    on_tune: Callable[[Generated], None] | None = None,
    on_token: Callable[[int, int], bool | None] | None = None,
    on_block: Callable[[int], None] | None = None,
    synchronise_every: int | None = None,
) -> list[Generated]:
    """Continue every prompt; return the tunes in the order of the prompts.

    max_new_tokens: of every tune, or of each its own.
    n_tokens: ids from here on are vocabulary padding and never drawn, nor are PAD and BOS.
    eos: the end-of-tune id; None runs every tune to its limit.
    stream: a second pass over the same tunes takes another number, so as not to repeat the first pass's draws.
    on_tune(tune) is called as each tune ends, in any order; on_token(index, token) after each token, and ends that
    tune by returning True; on_block(n) with the number of tokens drawn since its last call, for progress.
    synchronise_every overrides the number of steps in a block.
    """
    if not prompts:
        return []
    most = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
    _check(prompts, most, seed, batch_size)
    tunes = [_tune(model, index, prompt, n) for index, (prompt, n) in enumerate(zip(prompts, most, strict=True))]
    n_rows = min(batch_size, len(tunes))
    request = _request(
        model, tunes, n_tokens,
        rules=sampling, seed=seed, stream=stream, eos=eos, mask=mask, on_token=on_token, on_block=on_block,
        block=1 if mask or on_token else synchronise_every or _block(model, n_rows),
    )  # fmt: skip
    done: list[Generated] = []
    for tune in _run(request, deque(tunes), n_rows):
        done.append(tune)
        if on_tune is not None:
            on_tune(tune)
    return sorted(done, key=lambda tune: tune.index)


def context_limit(model: Any) -> int | None:
    """Positions the model has (GPT-2), or None where the state has no length (Mamba)."""
    return getattr(model.config, "n_positions", None)


def _request(model: Any, tunes: Sequence["_Tune"], n_tokens: int, **settings: Any) -> _Request:
    weight, mask = next(model.parameters()), settings["mask"]
    return _Request(
        model=model,
        longest=max(tune.most for tune in tunes),
        capacity=max(len(tune.prompt) + tune.most - 1 for tune in tunes),
        device=weight.device,
        dtype=weight.dtype,
        bias=_never_drawn(model.config.vocab_size, n_tokens).to(weight.device),
        judge=mask if hasattr(mask, "take") else None,
        **settings,
    )


def _block(model: Any, n_rows: int) -> int:
    if isinstance(model, NativeModel):
        return min(NATIVE_STEPS, max(1, NATIVE_TOKENS // n_rows))
    return SYNCHRONISE_EVERY if next(model.parameters()).is_cuda else 1


def _check(prompts: Sequence[list[int]], most: Sequence[int], seed: int, batch_size: int) -> None:
    if min(most) < 1:
        raise UsageError(f"the number of new tokens is {min(most)}; it must be 1 or more.")
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}; it must be 1 or more.")
    if not 0 <= seed < 2**64:
        raise UsageError(f"the seed is {seed}; it must be 0 or more and below 2**64.")
    if not all(prompts):
        raise ValueError("an empty prompt: begin each with the beginning-of-tune token")


def _tune(model: Any, index: int, prompt: list[int], max_new_tokens: int) -> _Tune:
    """A model that reads at most C tokens can still draw the one that follows them: C + 1 in all."""
    context = context_limit(model)
    if context is None:
        return _Tune(index, list(prompt), max_new_tokens, "length")
    room = context + 1 - len(prompt)
    if room < 1:
        raise UserError(
            f"the prompt has {len(prompt)} tokens and the model reads at most {context}. Shorten the prompt."
        )
    return _Tune(index, list(prompt), min(max_new_tokens, room), "length" if max_new_tokens <= room else "context")


def _never_drawn(vocab_size: int, n_tokens: int) -> Tensor:
    bias = torch.zeros(vocab_size)
    bias[[PAD, BOS]] = float("-inf")
    bias[n_tokens:] = float("-inf")
    return bias


def _run(request: _Request, waiting: deque[_Tune], n_rows: int) -> Iterator[Generated]:
    """Run a batch until nothing is left, yielding each tune as it ends."""
    batch = _Batch(request, [waiting.popleft() for _ in range(n_rows)])
    while live := batch.live():
        tokens, log_probabilities = batch.steps()
        ended: dict[int, Generated] = {}
        n_drawn = 0
        for row, tune in live:
            n_taken, reason = _take(request, row, tune, tokens[row], log_probabilities[row])
            n_drawn += n_taken
            if reason:
                ended[row] = Generated(tune.index, tune.prompt, tune.tokens, reason, tune.log_probability)
        if request.on_block is not None:
            request.on_block(n_drawn)
        yield from ended.values()
        rows = list(ended)
        refilled = rows[: len(waiting)]
        batch.begin(refilled, [waiting.popleft() for _ in refilled])
        batch.rest(rows[len(refilled) :])


def _take(
    request: _Request, row: int, tune: _Tune, tokens: list[int], log_probabilities: list[float]
) -> tuple[int, str]:
    """Add a block's tokens to a tune up to its end; return how many it took (its end included) and why it ended, or
    ''."""
    for n_taken, (token, log_probability) in enumerate(zip(tokens, log_probabilities, strict=True), start=1):
        tune.log_probability += log_probability
        if token == request.eos:
            return n_taken, "eos"
        tune.tokens.append(token)
        if request.mask is not None and request.judge is None:
            request.mask.advance(row, token)
        if request.on_token is not None and request.on_token(tune.index, token):
            return n_taken, "stopped"
        if len(tune.tokens) == tune.most:
            return n_taken, tune.limit
    return len(tokens), ""


class _Batch:
    """The rows at work: the model's state, and for each row its pending token, its tune and its random numbers.

    `numbers` (N, B) is a ring over the steps: at step t every row reads numbers[t % N], where its stream was written,
    turned by the step at which its tune began. So the numbers of a step are one slice, whatever row began when."""

    def __init__(self, request: _Request, tunes: list[_Tune]) -> None:
        n_rows = len(tunes)
        self.request = request
        self.time = 0
        self.tunes: list[_Tune | None] = list(tunes)
        self.state = request.model.new_state(n_rows, request.capacity, request.dtype, request.device)
        is_native = isinstance(request.model, NativeModel)
        self.pending = torch.zeros(n_rows, dtype=torch.int32 if is_native else torch.int64, device=request.device)
        self.numbers = torch.zeros(request.longest, n_rows, dtype=torch.float64, device=request.device)
        function: Callable[..., Tensor] = self._step if request.judge is None else self._scores
        self.step = Replay(function, self.state) if isinstance(request.model, Graphed) else function
        self.draws = self._draws() if request.judge is not None else None
        self.begin(list(range(n_rows)), tunes)

    def steps(self) -> tuple[list[list[int]], list[list[float]]]:
        """Run one block on the device, then copy once to the host: tokens and their log-probabilities, B lists of K."""
        if self.request.judge is not None and self.draws is not None:
            return self._judged_step(self.request.judge, self.draws)
        n_steps = min(self.request.block, min(tune.most - len(tune.tokens) for _, tune in self.live()))
        if isinstance(self.request.model, NativeModel):
            return self._native_steps(self.request.model, n_steps)
        drawn = []
        for _ in range(n_steps):
            drawn.append(self.step(self.pending, self.numbers[self.time % len(self.numbers)], self._bias()).clone())
            self.pending.copy_(drawn[-1][0])
            self.time += 1
        tokens, log_probabilities = torch.stack(drawn, -1).cpu()  # each (B, K)
        return tokens.long().tolist(), log_probabilities.tolist()

    def begin(self, rows: list[int], tunes: list[_Tune]) -> None:
        """Start tunes in rows: the state reads each prompt but for its last token, which becomes the pending one."""
        if not rows:
            return
        for row, tune in zip(rows, tunes, strict=True):
            self.tunes[row] = tune
            if self.request.mask is not None:
                self.request.mask.start(row, tune.prompt)
        index = torch.tensor(rows, device=self.request.device)
        self.pending[index] = torch.tensor([tune.prompt[-1] for tune in tunes]).to(self.pending)
        self.numbers[:, index] = self._turned_numbers(tunes)
        self._read_prompts(rows, [tune.prompt[:-1] for tune in tunes])

    def rest(self, rows: list[int]) -> None:
        """Leave rows without a tune: they go on stepping from an empty state, and what they draw is thrown away."""
        for row in rows:
            self.tunes[row] = None
        if rows and self.live():
            self.state.reset(torch.tensor(rows, device=self.request.device))

    def live(self) -> list[tuple[int, _Tune]]:
        """The rows that have a tune, with it."""
        return [(row, tune) for row, tune in enumerate(self.tunes) if tune is not None]

    def _draws(self) -> Draws:
        request = self.request
        if isinstance(request.model, NativeModel):
            return NativeDraws(request.model, self.state, self.pending, request.rules, request.bias)
        return TorchDraws(self.step, self.pending, request.rules, request.bias)

    def _judged_step(self, judge: Judge, draws: Draws) -> tuple[list[list[int]], list[list[float]]]:
        """One step in which the mask judges what was drawn."""
        live = [row for row, _ in self.live()]
        rejection.step(draws, judge, live, self.numbers[self.time % len(self.numbers)], self.request.rules)
        self.time += 1
        return [[token] for token in draws.tokens], [[value] for value in draws.log_probabilities]

    def _scores(self, pending: Tensor) -> Tensor:
        """Read the pending tokens: (B, V)."""
        scores: Tensor = self.request.model.step(pending, self.state)
        return scores

    def _step(self, pending: Tensor, numbers: Tensor, bias: Tensor) -> Tensor:
        """Read the pending tokens, draw the next: (2, B), ids and log-probabilities, float64 (which holds both
        exactly)."""
        logits = self.request.model.step(pending, self.state).float()  # (B, V)
        token = choose(logits + bias, numbers, self.request.rules)
        log_probability = logits.log_softmax(-1).gather(1, token[:, None])[:, 0]
        return torch.stack((token.double(), log_probability.double()))

    def _native_steps(self, model: NativeModel, n_steps: int) -> tuple[list[list[int]], list[list[float]]]:
        """The same as one call, which ends when a row has drawn its end; rows at rest draw nothing."""
        live = [row for row, _ in self.live()]
        limits = torch.zeros(len(self.tunes), dtype=torch.int32)
        limits[live] = n_steps
        numbers = self.numbers[torch.arange(self.time, self.time + n_steps) % len(self.numbers)].t()
        drawn = model.run(
            *(self.state, self.pending, n_steps, self.request.rules, numbers, self.request.eos),
            limits=limits,
            bias=self._bias(),
            first_end=True,
        )
        n_drawn = int(drawn.counts.max())
        self.pending.copy_(drawn.ids[:, n_drawn - 1])
        self.time += n_drawn
        return drawn.ids[:, :n_drawn].tolist(), drawn.log_probabilities[:, :n_drawn].tolist()

    def _bias(self) -> Tensor:
        """What is added to logits: -inf at what is never drawn (V), and where there is a mask at what it forbids a row
        (B, V); a row at rest may draw everything."""
        mask, bias = self.request.mask, self.request.bias
        if mask is None:
            return bias
        everything = torch.ones(len(bias), dtype=torch.bool)
        rows = [everything if tune is None else mask.allowed(row) for row, tune in enumerate(self.tunes)]
        allowed = torch.stack(rows).to(self.request.device)
        return bias.expand(allowed.shape).masked_fill(~allowed, float("-inf"))

    def _read_prompts(self, rows: list[int], prompts: list[list[int]]) -> None:
        """Bring each row to the state after its prompt; prompts of several lengths are read together, right-padded."""
        empty = [row for row, prompt in zip(rows, prompts, strict=True) if not prompt]
        filled = [(row, prompt) for row, prompt in zip(rows, prompts, strict=True) if prompt]
        device = self.request.device
        if empty:
            self.state.reset(torch.tensor(empty, device=device))
        if not filled:
            return
        lengths = [len(prompt) for _, prompt in filled]
        padded = [prompt + [PAD] * (max(lengths) - len(prompt)) for _, prompt in filled]
        fresh = self.request.model.new_state(len(filled), max(lengths), self.request.dtype, device)
        self.request.model.prefill(torch.tensor(padded, device=device), torch.tensor(lengths, device=device), fresh)
        self.state.insert(torch.tensor([row for row, _ in filled], device=device), fresh)

    def _turned_numbers(self, tunes: list[_Tune]) -> Tensor:
        """(N, rows): each tune's uniform numbers, its first at the place of the present step in the ring."""
        n = len(self.numbers)
        columns = [np.roll(uniforms(self.request.seed, t.index, n, self.request.stream), self.time % n) for t in tunes]
        return torch.from_numpy(np.stack(columns, axis=1)).to(self.request.device)


def uniforms(seed: int, index: int, n: int, stream: int = 0) -> np.ndarray:
    """The first n numbers in [0, 1) of tune `index`; each stream starts 2**128 blocks of Philox after the one
    before."""
    key = np.array([seed, index], dtype=np.uint64)  # a plain list would pass through floating point
    return np.random.Generator(np.random.Philox(key=key, counter=stream << 128)).random(n)
