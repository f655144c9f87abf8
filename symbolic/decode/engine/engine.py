"""One decoding engine for every model: batched, ragged, same seed same tune.

    model = engine.prepare(model, step="auto")    # the model as it will run; engine.step_name(model) names the step
    tunes = engine.generate(model, prompts, ...)

A model is anything with `new_state`, `prefill` and `step` (see symbolic.models). The engine keeps a batch of rows, each
at work on one prompt; a row that finishes is given the next prompt (continuous batching) until none is left.

Steps, by name: `native` is symbolic.decode.engine.native_step (CPU, needs a C compiler once), `torch` the model's own,
`graph` the same recorded as CUDA graphs (symbolic.decode.engine.cuda_graphs; not measured on a GPU yet); `auto` is
graph on CUDA, native where it can run, else torch. Within one step the same seed gives the same tunes; between two
steps logits differ by rounding.

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

Rows: state, pending tokens and numbers of a batch, in NumPy beside the native step (`native_rows`, where nothing
imports PyTorch) or in tensors on the model's device (`torch_rows`).

Sampler: how the next tokens of all rows are drawn, chosen once per call: by the model's step (`TorchSampler`), by
native calls of many steps (symbolic.decode.engine.samplers), as CUDA graphs (cuda_graphs), under a mask (rejection), or
with drafts checked several at a time (speculation). The tunes are the same with and without drafts or graphs.

Blocks: on CUDA the tokens of `SYNCHRONISE_EVERY` steps are brought to the host in one copy, which is where ends are
seen; a row that ended inside such a block spends the rest of it on tokens that are thrown away. The native step draws
up to `NATIVE_TOKENS` tokens in one call, which returns when a row ends. With a mask or a token callback, which must
see each token before the next is drawn, a block is one step; only the mask of a single row may see several in turn.

Log-probability is in nats, of the generated tokens (end of tune included), under the model's own distribution:
temperature 1 and before any rule or mask.
"""

# B rows, V vocabulary entries, K steps in a block

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbolic.decode.engine import native_step
from symbolic.decode.engine.mask import Mask
from symbolic.decode.engine.native_rows import NativeRows
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.samplers import Drawn, Rows
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.errors import UsageError, UserError
from symbolic.tokens import BOS, PAD

SYNCHRONISE_EVERY = 16  # steps a CUDA device runs between two looks at the tokens
NATIVE_TOKENS, NATIVE_STEPS = 256, 32  # limits of one native call, which Ctrl-C does not interrupt: rows x steps, steps


@dataclass(frozen=True, slots=True)
class Generated:
    """One finished tune. tokens: what followed the prompt, without the end-of-tune token.

    finished: "eos", "length" (max_new_tokens reached), "context" (the model's context is full), "stopped" (by the
    callback). log_probability: in nats, of all drawn tokens.
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
    max_tokens: int  # new tokens it may have
    limit: str  # what sets that limit: "length" or "context"
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
    n_numbers: int  # new tokens of the longest tune: the length of a column of random numbers
    capacity: int  # tokens that a row of the state must hold
    bias: np.ndarray  # (V,) float32, -inf at the ids that are never drawn
    mask: Mask | None
    on_token: Callable[[int, int], bool | None] | None
    on_block: Callable[[int], None] | None
    block: int  # steps
    guesses: bool


def prepare(model: Any, step: str = "auto", weights: str = "auto") -> Any:
    """Return the model as `generate` will run it: wrapped for the native step or CUDA graphs, or unchanged.

    weights: of the native step, float32, bfloat16 or int8; auto is the model's own number type. Weights are copied:
    prepare again after changing them. Raises UserError when the requested step cannot run.
    """
    chosen = native_step.choose_step(step, model)
    if chosen == "native":
        return NativeModel(model, weights=weights)
    if weights not in ("auto", str(next(model.parameters()).dtype).removeprefix("torch.")):
        why = native_step.reason(model) or f"step={step!r} was asked for."
        raise UserError(f"{weights} weights need the native step, which does not run: {why}")
    if chosen != "graph":
        return model
    from symbolic.decode.engine.cuda_graphs import GraphedModel

    return GraphedModel(model)


def step_name(model: Any) -> str:
    """Name the step that runs when `generate` gets this model, for a run's record: "torch float32"."""
    if isinstance(model, NativeModel):
        return model.step_name
    from symbolic.decode.engine import torch_rows

    return torch_rows.step_name(model)


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
    indices: Sequence[int] | None = None,
    guesses: bool = False,
    never: Collection[int] = (),
) -> list[Generated]:
    """Continue every prompt; return the tunes by their indices.

    max_new_tokens: limit of every tune, or a limit for each.
    n_tokens: ids from here on are vocabulary padding and never drawn, nor are PAD and BOS.
    eos: the end-of-tune id; None runs every tune to its limit.
    stream: a second pass over the same tunes takes another number, so as not to repeat the first pass's draws.
    on_tune(tune) is called as each tune ends, in any order; on_token(index, token) after each token, and ends that
    tune by returning True; on_block(n) with the number of tokens drawn since its last call, for progress.
    synchronise_every: overrides the number of steps in a block.
    indices: the tunes' numbers, which choose their random numbers (default: 0, 1, ... in the order of the prompts).
    guesses: the native step may guess ahead in a batch of one, which changes no tune (engine.speculation);
    off, since it has not paid where it was measured.
    never: further ids that are not drawn.
    Raises UsageError for settings out of range, UserError for a prompt longer than the model's context.
    """
    if not prompts:
        return []
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
    _check(prompts, limits, seed, batch_size)
    numbers = range(len(prompts)) if indices is None else indices
    tunes = [_tune(model, *of_tune) for of_tune in zip(numbers, prompts, limits, strict=True)]
    n_rows = min(batch_size, len(tunes))
    looks_ahead = guesses and n_rows == 1 and on_token is None and isinstance(model, NativeModel)
    request = _request(
        model, tunes, n_tokens, never,
        rules=sampling, seed=seed, stream=stream, eos=eos, mask=mask, on_token=on_token, on_block=on_block,
        block=1 if on_token or (mask and not looks_ahead) else synchronise_every or _block(model, n_rows),
        guesses=looks_ahead,
    )  # fmt: skip
    done: list[Generated] = []
    for tune in _run(request, deque(tunes), n_rows):
        done.append(tune)
        if on_tune is not None:
            on_tune(tune)
    return sorted(done, key=lambda tune: tune.index)


def context_limit(model: Any) -> int | None:
    """Return the positions of the model (GPT-2), or None if its state has no length (Mamba)."""
    return getattr(model.config, "n_positions", None)


def _request(model: Any, tunes: Sequence["_Tune"], n_tokens: int, never: Collection[int], **settings: Any) -> _Request:
    return _Request(
        model=model,
        n_numbers=max(tune.max_tokens for tune in tunes),
        capacity=max(len(tune.prompt) + tune.max_tokens - 1 for tune in tunes),
        bias=_never_drawn(model.config.vocab_size, n_tokens, never),
        **settings,
    )


def _block(model: Any, n_rows: int) -> int:
    if isinstance(model, NativeModel):
        return min(NATIVE_STEPS, max(1, NATIVE_TOKENS // n_rows))
    return SYNCHRONISE_EVERY if next(model.parameters()).is_cuda else 1


def _check(prompts: Sequence[list[int]], limits: Sequence[int], seed: int, batch_size: int) -> None:
    if min(limits) < 1:
        raise UsageError(f"the number of new tokens is {min(limits)}; it must be 1 or more.")
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}; it must be 1 or more.")
    if not 0 <= seed < 2**64:
        raise UsageError(f"the seed is {seed}; it must be 0 or more and below 2**64.")
    if not all(prompts):
        raise ValueError("an empty prompt: begin each with the beginning-of-tune token")


def _tune(model: Any, index: int, prompt: list[int], max_new_tokens: int) -> _Tune:
    """Begin a tune. A model that reads at most C tokens can still draw the one that follows them: C + 1 in all."""
    context = context_limit(model)
    if context is None:
        return _Tune(index, list(prompt), max_new_tokens, "length")
    available = context + 1 - len(prompt)
    if available < 1:
        raise UserError(
            f"the prompt has {len(prompt)} tokens and the model reads at most {context}. Shorten the prompt."
        )
    limit = "length" if max_new_tokens <= available else "context"
    return _Tune(index, list(prompt), min(max_new_tokens, available), limit)


def _never_drawn(vocab_size: int, n_tokens: int, never: Collection[int]) -> np.ndarray:
    bias = np.zeros(vocab_size, np.float32)
    bias[[PAD, BOS, *never]] = -np.inf
    bias[n_tokens:] = -np.inf
    return bias


def _run(request: _Request, waiting: deque[_Tune], n_rows: int) -> Iterator[Generated]:
    """Run a batch until nothing is left, yielding each tune as it ends."""
    batch = _Batch(request, [waiting.popleft() for _ in range(n_rows)])
    while live := batch.live():
        tokens, log_probabilities = batch.draw()
        ended: dict[int, Generated] = {}
        n_drawn = 0
        for row, tune in live:
            n_added, reason = _extend(request, tune, tokens[row], log_probabilities[row])
            n_drawn += n_added
            if reason:
                ended[row] = Generated(tune.index, tune.prompt, tune.tokens, reason, tune.log_probability)
        if request.on_block is not None:
            request.on_block(n_drawn)
        yield from ended.values()
        rows = list(ended)
        refilled = rows[: len(waiting)]
        batch.begin(refilled, [waiting.popleft() for _ in refilled])
        batch.rest(rows[len(refilled) :])


def _extend(request: _Request, tune: _Tune, tokens: list[int], log_probabilities: list[float]) -> tuple[int, str]:
    """Add a block's tokens to a tune up to its end; return how many (its end included) and why it ended, or ''."""
    for n_added, (token, log_probability) in enumerate(zip(tokens, log_probabilities, strict=True), start=1):
        tune.log_probability += log_probability
        if token == request.eos:
            return n_added, "eos"
        tune.tokens.append(token)
        if request.on_token is not None and request.on_token(tune.index, token):
            return n_added, "stopped"
        if len(tune.tokens) == tune.max_tokens:
            return n_added, tune.limit
    return len(tokens), ""


class _Batch:
    """The rows at work, each with its tune; `rows` holds their state, pending tokens and numbers."""

    def __init__(self, request: _Request, tunes: list[_Tune]) -> None:
        self.request = request
        self.time = 0
        self.tunes: list[_Tune | None] = list(tunes)
        self.rows = _rows(request, len(tunes))
        self.begin(list(range(len(tunes))), tunes)

    def draw(self) -> Drawn:
        """Draw one block of tokens; return them and their log-probabilities, B lists of as many as were drawn."""
        live = self.live()
        n_steps = min(self.request.block, min(tune.max_tokens - len(tune.tokens) for _, tune in live))
        drawn = self.rows.draw([row for row, _ in live], self.time, n_steps)
        self.time += max(len(tokens) for tokens in drawn[0])
        return drawn

    def begin(self, rows: list[int], tunes: list[_Tune]) -> None:
        """Start tunes in rows: the state reads each prompt but for its last token, which becomes the pending one."""
        if not rows:
            return
        for row, tune in zip(rows, tunes, strict=True):
            self.tunes[row] = tune
            if self.request.mask is not None:
                self.request.mask.start(row, tune.prompt)
        self.rows.begin(rows, [tune.prompt for tune in tunes], self._turned_numbers(tunes))

    def rest(self, rows: list[int]) -> None:
        """Leave rows without a tune: they go on stepping from an empty state, and what they draw is thrown away."""
        for row in rows:
            self.tunes[row] = None
        if rows and self.live():
            self.rows.reset(rows)

    def live(self) -> list[tuple[int, _Tune]]:
        """Return the rows that have a tune, with it."""
        return [(row, tune) for row, tune in enumerate(self.tunes) if tune is not None]

    def _turned_numbers(self, tunes: list[_Tune]) -> np.ndarray:
        """Return (N, rows): each tune's uniform numbers, its first at the place of the present step in the ring."""
        request, n = self.request, self.request.n_numbers
        columns = [np.roll(uniforms(request.seed, t.index, n, request.stream), self.time % n) for t in tunes]
        return np.stack(columns, axis=1)


def _rows(request: _Request, n_rows: int) -> Rows:
    """Return empty rows: in NumPy for the native step, else in tensors."""
    settings = (request.rules, request.bias, request.mask, n_rows, request.n_numbers, request.capacity)
    if isinstance(request.model, NativeModel):
        return NativeRows(request.model, *settings, eos=request.eos, guesses=request.guesses)
    from symbolic.decode.engine.torch_rows import TorchRows

    return TorchRows(request.model, *settings)


def uniforms(seed: int, index: int, n: int, stream: int = 0) -> np.ndarray:
    """Return the first n numbers in [0, 1) of tune `index`, float64 (n,); streams lie 2**128 blocks of Philox apart."""
    key = np.array([seed, index], dtype=np.uint64)  # a plain list would pass through floating point
    return np.random.Generator(np.random.Philox(key=key, counter=stream << 128)).random(n)
