"""The decoding step as one native CPU call: weights packed once, all layers, threads and sampling in kernel/.

    name = choose_step("auto", model)                      # "native" or "torch"; reason(model) says why not native
    fast = NativeModel(model, weights="bfloat16", threads=2)
    state = fast.new_state(batch, max_tokens)
    scores = fast.prefill(prompts, lengths, state)         # (B, V) float32, as the model's own
    scores = fast.step(tokens, state)                      # (B) -> (B, V)
    drawn = fast.run(state, tokens, 256, sampling, uniforms, eos)

`NativeModel` has the methods of a model (symbolic.models); `run` draws many tokens in one call, by the rules of
symbolic.decode.engine.sampling, and is what the engine uses. It is made from a model of PyTorch or from the weights of
a folder (`model_folder.read_model`), and then nothing here imports PyTorch. Given arrays, methods return arrays; given
tensors, tensors.

Weights   float32 agrees with the model to rounding: scores within 1e-5 of their scale. A float32 matrix whose weights
          all fit bfloat16, as those of a model shipped in it do, is held in half the bytes; inputs and sums stay
          float32, and so do the scores. bfloat16 and int8 are faster:
          the inputs of products are rounded as the weights are, int8 with a scale for each output and each row.
          tests/symbolic/decode/engine/test_native_step.py bounds what they cost in bits per byte. Sums, norms, residual
          stream, recurrences and Mamba's window are float32 always; keys and values are bfloat16 with the last two;
          Mamba's maps to dt, B and C are bfloat16 where the rest is int8.
Equality  a row's numbers do not depend, in any bit, on the other rows, on the number of threads, or on whether a token
          was read by `prefill`, `step` or `run`.
Threads   0 is PyTorch's number, or what it would be. One call runs at a time; between calls the threads sleep. A call
          is not interrupted by Ctrl-C: draw in blocks where that matters.

Without a compiler `choose_step` answers "torch" for "auto" and refuses "native".
"""

# B rows, T positions, V vocabulary entries, K tokens drawn in one call

import ctypes
import functools
import math
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic import machine
from symbolic.config import GPT2Config
from symbolic.decode.engine import kernel_library, packing
from symbolic.decode.engine.kernel_library import (
    LANES,
    MOST_AHEAD,
    Arena,
    CAhead,
    CModel,
    CRules,
    CState,
    address,
    aligned_array,
)
from symbolic.decode.engine.packing import EXACT, WEIGHTS
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.errors import UsageError, UserError
from symbolic.models import compiler as builder
from symbolic.models.stored.model_folder import StoredModel

if TYPE_CHECKING:
    from symbolic.models import Model

STEPS = ("auto", "native", "graph", "torch")
BLOCK = 64  # positions of a block of the cache


@dataclass(frozen=True, slots=True)
class Drawn:
    """Tokens drawn in each row: ids (B, K), 0 after a row's end; their log-probabilities in nats under the model's
    own distribution (B, K); how many each row drew, its end of tune included (B)."""

    ids: Any
    log_probabilities: Any
    counts: Any


class NativeModel:
    """A loaded model on a CPU, its step native; its weights are copied."""

    def __init__(self, model: "Model | StoredModel", *, weights: str = "auto", threads: int = 0) -> None:
        if weights not in ("auto", *WEIGHTS):
            raise UsageError(f"weights={weights!r}: choose one of auto, {', '.join(WEIGHTS)}.")
        if isinstance(model, StoredModel):
            stored = model
        else:
            choose_step("native", model)
            stored = _stored(model)
        self.config = stored.config
        self.weights = stored.number_type if weights == "auto" else weights
        self._memory = Arena(packing.n_bytes(stored.config, stored.tensors))
        self._c, self._keep = packing.pack(stored.config, stored.tensors, self.weights, self._memory)
        self._rows = int(self._c.vocab)
        library = kernel_library.library()
        self._team = library.team_new(threads or _n_threads(), *_sizes(self._c))
        if not self._team:
            raise MemoryError("no memory for the work space of the native step.")
        self.threads = int(library.team_size(self._team))
        self._lock = threading.Lock()
        weakref.finalize(self, library.team_free, self._team)

    @property
    def step_name(self) -> str:
        """What runs, for a run's record: "native bfloat16, 2 threads, avx512 bf16 vnni"."""
        held = " held in 16 bits" * (self._c.scores.kind == EXACT)
        return f"native {self.weights}{held}, {self.threads} thread{'s' * (self.threads > 1)}, {instructions()}"

    def new_state(self, batch: int, max_tokens: int, dtype: Any = None, device: Any = "cpu") -> "NativeState":
        """Return an empty state of `batch` rows; its number types follow from the weights, whatever `dtype` says."""
        if not str(device).startswith("cpu"):
            raise UserError(f"the native step runs on a CPU, not on {device}: use step='torch' there.")
        if isinstance(self.config, GPT2Config):
            _check_room(max_tokens, self.config.n_positions)
        return NativeState(self._c, batch, max_tokens)

    def prefill(self, tokens: Any, lengths: Any, state: "NativeState") -> Any:
        """Read right-padded prompts (B, T) from a blank state; scores after each row's last real token (B, V)."""
        ids, counts = np.asarray(tokens), np.asarray(lengths)
        real = np.arange(ids.shape[1]) < counts[:, None]
        state.reset(np.arange(len(ids)))
        return _like(tokens, self.read(np.nonzero(real)[0], ids[real], counts.cumsum() - 1, state))

    def step(self, tokens: Any, state: "NativeState") -> Any:
        """Read one more token in every row: tokens (B) -> scores (B, V)."""
        rows = np.arange(len(tokens))
        return _like(tokens, self.read(rows, tokens, rows, state))

    def run(
        self,
        state: "NativeState",
        tokens: Any,
        n_steps: int,
        sampling: Sampling,
        uniforms: Any,
        eos: int | None,
        *,
        limits: Any = None,
        bias: Any = None,
        first_end: bool = False,
    ) -> Drawn:
        """Read each row's pending token, draw the next, read that, ...: up to `n_steps` tokens a row.

        tokens (B): what each row reads first. uniforms (B, n_steps): the numbers of a row's draws. A row ends after it
        drew `eos` or `limits[row]` tokens (0: it rests). bias (V): added to the scores, -inf where a token is never
        drawn; (B, V) for each row's own. first_end: return as soon as any row has ended.
        """
        B = len(tokens)
        pending = np.array(tokens, np.int32)
        most = np.full(B, n_steps, np.int32) if limits is None else np.asarray(limits).clip(max=n_steps)
        most, numbers = _as(most, np.int32), _as(uniforms, np.float64)
        assert numbers.shape == (B, n_steps) and state.lengths.shape == (B,)
        added = self.padded(bias)
        ids, counts = np.zeros((B, n_steps), np.int32), np.zeros(B, np.int32)
        log_probabilities = np.zeros((B, n_steps), np.float32)
        rests, scores = np.empty_like(numbers), aligned_array(B * self._rows)
        with self._lock:
            fault = kernel_library.library().native_run(
                *(self._team, ctypes.byref(self._c), ctypes.byref(state.c), B, n_steps),
                *(-1 if eos is None else eos, int(first_end), address(most), address(numbers)),
                *(address(added), int(added.ndim == 2) * self._rows, ctypes.byref(rules_of(sampling))),
                *(address(pending), address(ids), address(counts), address(log_probabilities)),
                *(address(rests), address(scores)),
            )
        self.check(fault, state)
        return Drawn(
            *(_like(tokens, array) for array in (ids.astype(np.int64), log_probabilities, counts.astype(np.int64)))
        )

    def read(self, slots: Any, tokens: Any, wanted: Any, state: "NativeState") -> np.ndarray:
        """Read tokens (n) in rows `slots` (n), those of a row in their order; scores after the `wanted` of them."""
        places, ids, asked = (_as(values, np.int32) for values in (slots, tokens, wanted))
        scores = aligned_array(len(asked) * self._rows)
        with self._lock:
            fault = kernel_library.library().native_read(
                *(self._team, ctypes.byref(self._c), ctypes.byref(state.c), len(ids), address(places)),
                *(address(ids), len(asked), address(asked), address(scores)),
            )
        self.check(fault, state)
        return scores.reshape(len(asked), self._rows)[:, : self.config.vocab_size]

    def padded(self, bias: Any) -> np.ndarray:
        """Return a bias (V) or (B, V) as the kernel takes it; zeros for None."""
        given = np.zeros(0, np.float32) if bias is None else np.asarray(bias)
        shape = (*given.shape[:-1], self._rows)
        added = aligned_array(math.prod(shape)).reshape(shape)
        added[..., : given.shape[-1]] = given
        return added

    def check(self, fault: int, state: "NativeState") -> None:
        """Raise the error that a call of the kernel returned."""
        if fault == 1:
            last = self.config.vocab_size - 1
            raise UserError(f"a token id is not in 0..{last}: the tokenizer is not this model's.")
        if fault == 2:
            n = int(state.lengths.max())
            raise UserError(f"more than {state.blocks * BLOCK} tokens in a row ({n} held): make the state larger.")
        if fault:
            raise MemoryError("no memory for the native step.")


class _Chooser:
    """Draws a token by scores that a call has left, in memory that is allotted once."""

    def __init__(self, model: NativeModel, rules: Sampling, bias: Any) -> None:
        self.model, self.rows, self.bias, self.rules = model, int(model._c.vocab), model.padded(bias), rules_of(rules)
        self.room, self._one, self._rest = aligned_array(3 * self.rows), np.zeros(1, np.float32), np.zeros(1)

    def choose(self, scores: np.ndarray, place: int, number: float, allowed: Any = None) -> tuple[int, float, float]:
        """Draw by the `place`-th row of scores, among the tokens that are allowed (V) bool: the token, its
        log-probability, and what is left of the number."""
        mask = None if allowed is None else np.ascontiguousarray(allowed)
        assert mask is None or mask.dtype == bool
        token = kernel_library.library().native_choose(
            *(ctypes.byref(self.model._c), address(scores) + 4 * self.rows * place, address(self.bias)),
            *(None if mask is None else address(mask), ctypes.byref(self.rules), number),
            *(address(self.room), address(self._one), address(self._rest)),
        )
        return int(token), float(self._one[0]), float(self._rest[0])


class Calls:
    """Calls of one step in memory that is allotted once, for `n_rows` rows. What is drawn may be drawn again, among
    other tokens, until the next step.

    limits (B): 1 for the rows that draw, 0 for those at rest. log_probabilities, rests (B): of the last step's tokens,
    and what was left of their numbers (`sampling.sample_and_rest`).
    """

    def __init__(self, model: NativeModel, rules: Sampling, bias: Any, n_rows: int) -> None:
        self.model, self.rules = model, rules
        self.limits, self.counts, self.drawn = (np.zeros(n_rows, np.int32) for _ in range(3))
        self.log_probabilities, self.rests = np.zeros(n_rows, np.float32), np.zeros(n_rows)
        self._chooser, rows = _Chooser(model, rules, bias), int(model._c.vocab)
        self.scores = aligned_array(n_rows * rows).reshape(n_rows, rows)

    def step(self, state: "NativeState", pending: np.ndarray, uniforms: np.ndarray) -> None:
        """Read pending (B) int32 and put what is drawn in its place; uniforms (B) float64."""
        assert pending.dtype == np.int32 and uniforms.dtype == np.float64 and len(pending) == len(self.limits)
        uniforms = np.ascontiguousarray(uniforms)
        model = self.model
        self.counts[:] = 0
        with model._lock:
            fault = kernel_library.library().native_run(
                *(model._team, ctypes.byref(model._c), ctypes.byref(state.c), len(pending), 1, -1, 0),
                *(address(self.limits), address(uniforms)),
                *(address(self._chooser.bias), 0, ctypes.byref(self._chooser.rules)),
                *(address(pending), address(self.drawn), address(self.counts)),
                *(address(self.log_probabilities), address(self.rests), address(self.scores)),
            )
        model.check(fault, state)
        if self.rules.truncates:
            self.rests[:] = uniforms

    def choose(self, place: int, row: int, allowed: Any = None) -> tuple[int, float]:
        """Draw for a row, the `place`-th of those that drew, among the tokens that are allowed (V) bool: the token
        and its log-probability."""
        return self._chooser.choose(self.scores, place, float(self.rests[row]), allowed)[:2]


class Ahead:
    """Passes that read guesses after the pending token of row 0, in memory that is allotted once. What was read of
    wrong guesses is undone; between `begin` and `end` the state belongs to these calls."""

    def __init__(self, model: NativeModel, state: "NativeState", rules: Sampling, bias: Any, eos: int | None) -> None:
        self.model, self.state, self.eos = model, state, -1 if eos is None else eos
        c = model._c
        self._window_size = 0 if state.blocks else math.prod(state.parts[0].shape[1:])
        stride = 0 if state.blocks else _held_numbers(c)
        self._windows = [aligned_array(self._window_size) for _ in range(MOST_AHEAD + 1)]
        self._held = [aligned_array(c.n_layer * MOST_AHEAD * stride) for _ in range(2)]
        self._c = CAhead(stride=stride)
        self._c.window[:] = [address(window) for window in self._windows]
        self._c.rows[:] = [address(held) for held in self._held]
        self._chooser = _Chooser(model, rules, bias)
        self._tokens, self._drawn = (np.zeros(MOST_AHEAD, np.int32) for _ in range(2))
        self._numbers, self._log_probabilities = np.zeros(MOST_AHEAD), np.zeros(MOST_AHEAD, np.float32)
        self._scores = aligned_array(MOST_AHEAD * int(c.vocab))
        self._fixed = (
            *(address(self._numbers), address(self._chooser.bias), ctypes.byref(self._chooser.rules)),
            *(address(self._drawn), address(self._log_probabilities), address(self._scores)),
            address(self._chooser.room),
        )

    def begin(self) -> None:
        """Take the state over."""
        arguments = ctypes.byref(self.model._c), ctypes.byref(self.state.c), ctypes.byref(self._c)
        kernel_library.library().native_ahead_begin(*arguments, self._window_size)

    def draw(self, tokens: list[int], numbers: np.ndarray) -> tuple[list[int], list[float]]:
        """Read tokens, the pending one and up to three guesses; draw by as many numbers in [0, 1).

        Returns the tokens that were drawn, those that were guessed first, and their log-probabilities.
        """
        n = len(tokens)
        self._tokens[:n], self._numbers[:n] = tokens, numbers
        model = self.model
        with model._lock:
            n_drawn = kernel_library.library().native_ahead(
                *(model._team, ctypes.byref(model._c), ctypes.byref(self.state.c), ctypes.byref(self._c)),
                *(n, address(self._tokens), self.eos, *self._fixed),
            )
        model.check(-min(n_drawn, 0), self.state)
        return self._drawn[:n_drawn].tolist(), self._log_probabilities[:n_drawn].tolist()

    def read(self, tokens: list[int]) -> None:
        """Read tokens as `draw` does; `choose` then draws after each, and `keep` undoes the rest."""
        n = len(tokens)
        self._tokens[:n] = tokens
        model = self.model
        with model._lock:
            fault = kernel_library.library().native_ahead_read(
                *(model._team, ctypes.byref(model._c), ctypes.byref(self.state.c), ctypes.byref(self._c)),
                *(n, address(self._tokens), address(self._scores)),
            )
        model.check(fault, self.state)

    def choose(self, place: int, number: float, allowed: Any = None) -> tuple[int, float, float]:
        """Draw after the token at a place, among those that are allowed (V) bool: the token, its log-probability, and
        what is left of the number."""
        return self._chooser.choose(self._scores, place, number, allowed)

    def keep(self, n_read: int, n_kept: int) -> None:
        """Undo all but the first `n_kept` of the tokens that were read."""
        arguments = ctypes.byref(self.model._c), ctypes.byref(self.state.c), ctypes.byref(self._c)
        kernel_library.library().native_ahead_keep(*arguments, n_read, n_kept)

    def end(self) -> None:
        """Bring the state to where the row has read: all but the token drawn last."""
        model = self.model
        with model._lock:
            kernel_library.library().native_ahead_end(
                *(model._team, ctypes.byref(model._c), ctypes.byref(self.state.c), ctypes.byref(self._c)),
                self._window_size,
            )


class NativeState:
    """What each row has read: `parts` hold rows first (bfloat16 as its bits, uint16), `lengths` (B) counts tokens."""

    def __init__(self, c: CModel, batch: int, max_tokens: int) -> None:
        self.lengths = np.zeros(batch, np.int32)
        self.blocks = -(-max(max_tokens, 1) // BLOCK) if c.family == 0 else 0
        shapes = _state_shapes(c, batch, self.blocks)
        self.parts = [Arena(4 * math.prod(shape)).array(shape, dtype) for shape, dtype in shapes]
        names = ("keys", "values") if c.family == 0 else ("window", "recurrence")
        pointers = {name: address(part) for name, part in zip(names, self.parts, strict=True)}
        self.c = CState(blocks=self.blocks, lengths=address(self.lengths), **pointers)

    def insert(self, rows: Any, other: "NativeState") -> None:
        """Replace the given rows by the rows of `other`, in order."""
        rows = np.asarray(rows)
        most = int(other.lengths.max()) if len(other.lengths) else 0
        if self.blocks:
            _check_room(most, self.blocks * BLOCK)
        used = -(-most // BLOCK)
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            if self.blocks:
                mine[rows, :, :, :used] = theirs[:, :, :, :used]
            else:
                mine[rows] = theirs
        self.lengths[rows] = other.lengths

    def reset(self, rows: Any) -> None:
        """Make the given rows forget everything."""
        rows = np.asarray(rows)
        self.lengths[rows] = 0
        if not self.blocks:  # what a cache holds beyond its length is never read
            for part in self.parts:
                part[rows] = 0


def choose_step(name: str, model: Any) -> str:
    """Return the step that runs for a requested name: native, graph or torch. UserError when that cannot run."""
    check_name(name)
    is_on_cuda = bool(next(model.parameters()).is_cuda)
    if name == "graph" and not is_on_cuda:
        raise UserError("step='graph' records CUDA graphs, and the model is not on a CUDA device: use step='auto'.")
    if name in ("graph", "torch"):
        return name
    if name == "auto" and is_on_cuda:
        return "graph"
    why = reason(model)
    if why and name == "native":
        raise UserError(f"step='native' cannot run: {why} Or use step='torch', which needs no compiler.")
    return "torch" if why else "native"


def check_name(name: str) -> None:
    """Raise UsageError for a step that is none."""
    if name not in STEPS:
        raise UsageError(f"step={name!r}: choose one of {', '.join(STEPS)}.")


def reason(model: Any) -> str | None:
    """Return why the native step cannot run this model where it is, and what to do; None when it can."""
    weight, family = next(model.parameters()), model.config.family
    if family not in packing.FAMILIES:
        return f"it knows {', '.join(packing.FAMILIES)}, and this model is {family}."
    if weight.device.type != "cpu":
        return f"the model is on {weight.device}, and the native step runs on a CPU."
    if str(weight.dtype) == "torch.float64":
        return "the model is in float64, and the native step computes in float32."
    return problem()


@functools.cache
def problem() -> str | None:
    """Return why the native step cannot be used on this machine, and what to do; None when it can."""
    return builder.problem_of(kernel_library.library)


def instructions() -> str:
    """Return the instruction set that step.c was compiled for."""
    return str(kernel_library.library().native_instructions().decode())


def evaluate(name: str, x: Any) -> Any:
    """Return one of the kernel's own functions of x (n), n a multiple of 16, for tests: exponential, gelu, silu,
    softplus."""
    given, values = aligned_array(len(x)), aligned_array(len(x))
    given[:] = x
    which = ("exponential", "gelu", "silu", "softplus").index(name)
    kernel_library.library().native_function(which, len(x), address(given), address(values))
    return _like(x, values)


def rules_of(sampling: Sampling) -> CRules:
    """Return the settings of sampling as the kernel takes them."""
    log_min_p = math.log(sampling.min_p) if sampling.min_p else -math.inf
    return CRules(sampling.temperature, sampling.top_p, log_min_p, sampling.top_k)


def _stored(model: Any) -> StoredModel:
    """Return the weights of a model of PyTorch, as float32 arrays."""
    tensors = {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
    is_bfloat16 = str(next(model.parameters()).dtype) == "torch.bfloat16"
    return StoredModel(model.config, tensors, "bfloat16" if is_bfloat16 else "float32")


def _n_threads() -> int:
    """Return PyTorch's number where it is loaded, else what it would take."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else machine.n_threads()


def _sizes(c: CModel) -> tuple[int, int]:
    """Return the widest row that a phase writes, and the positions of the longest attention."""
    panel = int(kernel_library.library().native_panel())
    matrices = [getattr(c.layers[0], name) for name in ("into", "out", "into2", "out2")]
    widths = [matrix.panels * panel for matrix in matrices]
    return max(*widths, 2 * c.inner, c.embd, c.vocab), max(c.n_positions, BLOCK)


def _state_shapes(c: CModel, batch: int, blocks: int) -> list[tuple[tuple[int, ...], Any]]:
    if c.family == 0:
        return [((batch, c.n_layer, c.n_head, blocks, BLOCK * c.head), np.uint16 if c.cache else np.float32)] * 2
    channels = c.inner + (2 * c.maps if c.family == 2 else 0)
    width = c.n_head * c.head if c.family == 2 else c.inner
    return [((batch, c.n_layer, c.conv - 1, channels), np.float32), ((batch, c.n_layer, c.n_state, width), np.float32)]


def _held_numbers(c: CModel) -> int:
    """Return numbers that one item of a layer's recurrence is held by; scan.h."""
    if c.family == 1:
        return 3 * int(c.inner) + -(-2 * int(c.n_state) // LANES) * LANES
    return int(c.layers[0].into.panels * kernel_library.library().native_panel() - c.inner)


def _as(values: Any, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(values, dtype)


def _like(given: Any, values: np.ndarray) -> Any:
    """Return values as a tensor where a tensor was given."""
    if not type(given).__module__.startswith("torch"):
        return values
    import torch

    return torch.from_numpy(values)


def _check_room(n: int, limit: int) -> None:
    if n > limit:
        raise UserError(f"{n} tokens, but there is room for {limit}: shorten the sequence or raise n_positions.")
