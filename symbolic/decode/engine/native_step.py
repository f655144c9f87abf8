"""The decoding step as one native CPU call: weights packed once, all layers, threads and sampling in kernel/.

    name = choose_step("auto", model)                      # "native" or "torch"; reason(model) says why not native
    fast = NativeModel(model, weights="bfloat16", threads=2)
    state = fast.new_state(batch, max_tokens)
    scores = fast.prefill(prompts, lengths, state)         # (B, V) float32, as the model's own
    scores = fast.step(tokens, state)                      # (B) -> (B, V)
    drawn = fast.run(state, tokens, 256, sampling, uniforms, eos)

`NativeModel` has the methods of a model (symbolic.models); `run` draws many tokens in one call, by the rules of
symbolic.decode.engine.sampling, and is what the engine uses.

Weights   float32 agrees with the model to rounding: scores within 1e-5 of their scale. A float32 matrix whose weights
          all fit bfloat16, as those of a model shipped in it do, is held in half the bytes; inputs and sums stay
          float32, and so do the scores. bfloat16 and int8 are faster:
          the inputs of products are rounded as the weights are, int8 with a scale for each output and each row.
          tests/symbolic/decode/engine/test_native_step.py bounds what they cost in bits per byte. Sums, norms, residual
          stream, recurrences and Mamba's window are float32 always; keys and values are bfloat16 with the last two;
          Mamba's maps to dt, B and C are bfloat16 where the rest is int8.
Equality  a row's numbers do not depend, in any bit, on the other rows, on the number of threads, or on whether a token
          was read by `prefill`, `step` or `run`.
Threads   0 is PyTorch's number. One call runs at a time; between calls the threads sleep. A call is not interrupted
          by Ctrl-C: draw in blocks where that matters.

Without a compiler `choose_step` answers "torch" for "auto" and refuses "native".
"""

# B rows, T positions, V vocabulary entries, K tokens drawn in one call

import ctypes
import functools
import math
import mmap
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from symbolic.config import GPT2Config, ModelConfig
from symbolic.decode.engine.sampling import Sampling
from symbolic.errors import UsageError, UserError
from symbolic.models import compiler as builder

if TYPE_CHECKING:
    from symbolic.models import Model

SOURCE = Path(__file__).parent / "kernel" / "step.c"
FLAGS = builder.FLAGS
STEPS = ("auto", "native", "graph", "torch")
WEIGHTS = ("float32", "bfloat16", "int8")  # in the order of the kernel's kinds, which has a fourth:
EXACT = 3  # float32 that is held in bfloat16, as weights allow that were rounded to it
BLOCK = 64  # positions of a block of the cache
LANES = 16  # of the widest vector


@dataclass(frozen=True, slots=True)
class Drawn:
    """Tokens drawn in each row: ids (B, K), 0 after a row's end; their log-probabilities in nats under the model's
    own distribution (B, K); how many each row drew, its end of tune included (B)."""

    ids: Tensor
    log_probabilities: Tensor
    counts: Tensor


class NativeModel:
    """A loaded model on a CPU, its step native. `model` is kept for its configuration; its weights are copied."""

    def __init__(self, model: "Model", *, weights: str = "auto", threads: int = 0) -> None:
        if weights not in ("auto", *WEIGHTS):
            raise UsageError(f"weights={weights!r}: choose one of auto, {', '.join(WEIGHTS)}.")
        choose_step("native", model)
        self.model, self.config = model, model.config
        self.weights = _own_weights(model) if weights == "auto" else weights
        self._memory = Arena(sum(p.numel() for p in model.parameters()) * 8 + (4 << 20) * model.config.n_layer)
        with torch.no_grad():
            self._c, self._keep = _PACK[model.config.family](model, _Packer(self._memory, self.weights))
        self._rows = int(self._c.vocab)
        self._team = _library().team_new(threads or torch.get_num_threads(), *_sizes(self._c))
        if not self._team:
            raise MemoryError("no memory for the work space of the native step.")
        self.threads = int(_library().team_size(self._team))
        self._lock = threading.Lock()
        weakref.finalize(self, _library().team_free, self._team)

    @property
    def step_name(self) -> str:
        """What runs, for a run's record: "native bfloat16, 2 threads, avx512 bf16 vnni"."""
        held = " held in 16 bits" * (self._c.scores.kind == EXACT)
        return f"native {self.weights}{held}, {self.threads} thread{'s' * (self.threads > 1)}, {instructions()}"

    def parameters(self) -> Iterator[nn.Parameter]:
        """The model's own: callers ask them for device and type."""
        return self.model.parameters()

    def new_state(
        self, batch: int, max_tokens: int, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
    ) -> "NativeState":
        """An empty state of `batch` rows; its number types follow from the weights, whatever `dtype` says."""
        if torch.device(device).type != "cpu":
            raise UserError(f"the native step runs on a CPU, not on {device}: use step='torch' there.")
        if isinstance(self.config, GPT2Config):
            _check_room(max_tokens, self.config.n_positions)
        return NativeState(self._c, batch, max_tokens)

    def prefill(self, tokens: Tensor, lengths: Tensor, state: "NativeState") -> Tensor:
        """Read right-padded prompts (B, T) from a blank state; scores after each row's last real token (B, V)."""
        B, T = tokens.shape
        real = torch.arange(T) < lengths[:, None]
        slots = torch.arange(B)[:, None].expand(B, T)[real]
        state.reset(torch.arange(B))
        return self.read(slots, tokens[real], lengths.cumsum(0) - 1, state)

    def step(self, tokens: Tensor, state: "NativeState") -> Tensor:
        """One more token in every row: tokens (B) -> scores (B, V)."""
        rows = torch.arange(len(tokens))
        return self.read(rows, tokens, rows, state)

    def run(
        self,
        state: "NativeState",
        tokens: Tensor,
        n_steps: int,
        sampling: Sampling,
        uniforms: Tensor,
        eos: int | None,
        *,
        limits: Tensor | None = None,
        bias: Tensor | None = None,
        first_end: bool = False,
    ) -> Drawn:
        """Read each row's pending token, draw the next, read that, ...: up to `n_steps` tokens a row.

        tokens (B): what each row reads first. uniforms (B, n_steps): the numbers of a row's draws. A row ends after it
        drew `eos` or `limits[row]` tokens (0: it rests). bias (V): added to the scores, -inf where a token is never
        drawn; (B, V) for each row's own. first_end: return as soon as any row has ended.
        """
        B = len(tokens)
        pending = tokens.to(torch.int32).clone()
        limits = _as(torch.full((B,), n_steps) if limits is None else limits.clamp(max=n_steps), torch.int32)
        uniforms = _as(uniforms, torch.float64)
        assert uniforms.shape == (B, n_steps) and state.lengths.shape == (B,)
        added = self.padded(bias)
        ids, counts = torch.zeros(B, n_steps, dtype=torch.int32), torch.zeros(B, dtype=torch.int32)
        log_probabilities = torch.zeros(B, n_steps)
        rests, scores = torch.empty_like(uniforms), _aligned(B * self._rows)
        with self._lock:
            fault = _library().native_run(
                *(self._team, ctypes.byref(self._c), ctypes.byref(state.c), B, n_steps),
                *(-1 if eos is None else eos, int(first_end), limits.data_ptr(), uniforms.data_ptr()),
                *(
                    added.data_ptr(),
                    int(added.dim() == 2) * self._rows,
                    ctypes.byref(_rules(sampling)),
                    pending.data_ptr(),
                ),
                *(ids.data_ptr(), counts.data_ptr(), log_probabilities.data_ptr()),
                *(rests.data_ptr(), scores.data_ptr()),
            )
        _check(fault, self.config, state)
        return Drawn(ids.long(), log_probabilities, counts.long())

    def read(self, slots: Tensor, tokens: Tensor, wanted: Tensor, state: "NativeState") -> Tensor:
        """Read tokens (n) in rows `slots` (n), those of a row in their order; scores after the `wanted` of them."""
        slots, tokens, wanted = (_as(t, torch.int32) for t in (slots, tokens, wanted))
        scores = _aligned(len(wanted) * self._rows)
        with self._lock:
            fault = _library().native_read(
                *(self._team, ctypes.byref(self._c), ctypes.byref(state.c), len(tokens), slots.data_ptr()),
                *(tokens.data_ptr(), len(wanted), wanted.data_ptr(), scores.data_ptr()),
            )
        _check(fault, self.config, state)
        return scores.view(len(wanted), self._rows)[:, : self.config.vocab_size]

    def padded(self, bias: Tensor | None) -> Tensor:
        """A bias (V) or (B, V) as the kernel takes it; zeros for None."""
        shape = (*(() if bias is None else bias.shape[:-1]), self._rows)
        added = _aligned(math.prod(shape)).view(shape)
        if bias is not None:
            added[..., : bias.shape[-1]] = bias
        return added


class Chooser:
    """Draws tokens from scores that a pass gave."""

    def __init__(self, model: NativeModel, rules: Sampling, bias: Tensor | None) -> None:
        self.model, self.bias, self._rules = model, model.padded(bias), _rules(rules)
        self._room, self._one = _aligned(3 * int(model._c.vocab)), np.zeros(1, np.float32)

    def choose(self, scores: Tensor, row: int, uniform: float) -> tuple[int, float]:
        """Draw from a row of scores, as `NativeModel.read` returns them: the token and its log-probability."""
        token = _library().native_choose(
            *(ctypes.byref(self.model._c), scores.data_ptr() + 4 * scores.stride(0) * row, self.bias.data_ptr(), None),
            *(ctypes.byref(self._rules), uniform, self._room.data_ptr(), self._one.ctypes.data),
        )
        return int(token), float(self._one[0])


class Calls:
    """Calls of one step in memory that is allotted once, for `n_rows` rows. What is drawn may be drawn again, among
    other tokens, until the next step.

    limits (B): 1 for the rows that draw, 0 for those at rest. log_probabilities, rests (B): of the last step's tokens,
    and what was left of their numbers (`sampling.sample_and_rest`).
    """

    def __init__(self, model: NativeModel, rules: Sampling, bias: Tensor | None, n_rows: int) -> None:
        self.model, self.rules = model, rules
        self.limits, self.counts, self.drawn = (np.zeros(n_rows, np.int32) for _ in range(3))
        self.log_probabilities, self.rests = np.zeros(n_rows, np.float32), np.zeros(n_rows)
        self.rows = int(model._c.vocab)
        self.bias, self.scores = model.padded(bias), _aligned(n_rows * self.rows).view(n_rows, self.rows)
        self._room, self._one = _aligned(3 * self.rows), np.zeros(1, np.float32)
        self._rules = _rules(rules)

    def step(self, state: "NativeState", pending: np.ndarray, uniforms: np.ndarray) -> None:
        """Read pending (B) int32 and put what is drawn in its place; uniforms (B) float64."""
        assert pending.dtype == np.int32 and uniforms.dtype == np.float64 and len(pending) == len(self.limits)
        uniforms = np.ascontiguousarray(uniforms)
        model = self.model
        self.counts[:] = 0
        with model._lock:
            fault = _library().native_run(
                *(model._team, ctypes.byref(model._c), ctypes.byref(state.c), len(pending), 1, -1, 0),
                *(self.limits.ctypes.data, uniforms.ctypes.data, self.bias.data_ptr(), 0, ctypes.byref(self._rules)),
                *(pending.ctypes.data, self.drawn.ctypes.data, self.counts.ctypes.data),
                *(self.log_probabilities.ctypes.data, self.rests.ctypes.data, self.scores.data_ptr()),
            )
        _check(fault, model.config, state)
        if self.rules.truncates:
            self.rests[:] = uniforms

    def choose(self, place: int, row: int, allowed: Tensor | None = None) -> tuple[int, float]:
        """Draw for a row, the `place`-th of those that drew, among the tokens that are allowed (V) bool: the token
        and its log-probability."""
        assert allowed is None or (allowed.dtype == torch.bool and allowed.is_contiguous())
        token = _library().native_choose(
            *(ctypes.byref(self.model._c), self.scores.data_ptr() + 4 * self.rows * place, self.bias.data_ptr()),
            *(None if allowed is None else allowed.data_ptr(), ctypes.byref(self._rules), float(self.rests[row])),
            *(self._room.data_ptr(), self._one.ctypes.data),
        )
        return int(token), float(self._one[0])


class NativeState:
    """What each row has read: `parts` hold rows first, `lengths` (B) counts their tokens."""

    def __init__(self, c: "_Model", batch: int, max_tokens: int) -> None:
        self.lengths = torch.zeros(batch, dtype=torch.int32)
        self.blocks = -(-max(max_tokens, 1) // BLOCK) if c.family == 0 else 0
        shapes = _state_shapes(c, batch, self.blocks)
        self.parts = [Arena(4 * math.prod(shape)).tensor(shape, dtype) for shape, dtype in shapes]
        names = ("keys", "values") if c.family == 0 else ("window", "recurrence")
        pointers = {name: part.data_ptr() for name, part in zip(names, self.parts, strict=True)}
        self.c = _State(blocks=self.blocks, lengths=self.lengths.data_ptr(), **pointers)

    def insert(self, rows: Tensor, other: "NativeState") -> None:
        """Replace the given rows by the rows of `other`, in order."""
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

    def reset(self, rows: Tensor) -> None:
        """Make the given rows forget everything."""
        self.lengths[rows] = 0
        if not self.blocks:  # what a cache holds beyond its length is never read
            for part in self.parts:
                part[rows] = 0


class Arena:
    """Zeroed memory that the system hands out as it is first touched, in large pages where it has them: streaming
    through megabytes of weights would otherwise spend a good part of its time on page tables."""

    def __init__(self, n_bytes: int) -> None:
        memory = mmap.mmap(-1, max(n_bytes, 1) + 64)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._bytes, self._used = torch.frombuffer(memory, dtype=torch.uint8), 0

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The next free part, 64-byte aligned, as zeros of this shape."""
        n, start = math.prod(shape) * dtype.itemsize, self._used
        assert start + n <= len(self._bytes)
        self._used = start + -(-n // 64) * 64
        return self._bytes[start : start + n].view(dtype).view(shape)

    def put(self, values: Tensor) -> int:
        """Copy in; the address."""
        made = self.tensor(tuple(values.shape), values.dtype)
        made.copy_(values)
        return made.data_ptr()


def choose_step(name: str, model: Any) -> str:
    """Return the step that runs for a requested name: native, graph or torch. UserError when that cannot run."""
    if name not in STEPS:
        raise UsageError(f"step={name!r}: choose one of {', '.join(STEPS)}.")
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


def reason(model: Any) -> str | None:
    """Why the native step cannot run this model where it is, and what to do; None when it can."""
    weight, family = next(model.parameters()), model.config.family
    if family not in _PACK:
        return f"it knows {', '.join(_PACK)}, and this model is {family}."
    if weight.device.type != "cpu":
        return f"the model is on {weight.device}, and the native step runs on a CPU."
    if weight.dtype == torch.float64:
        return "the model is in float64, and the native step computes in float32."
    return problem()


@functools.cache
def problem() -> str | None:
    """Why the native step cannot be used on this machine, and what to do; None when it can."""
    return builder.problem_of(_library)


def instructions() -> str:
    """The instruction set that step.c was compiled for."""
    return str(_library().native_instructions().decode())


def evaluate(name: str, x: Tensor) -> Tensor:
    """One of the kernel's own functions, for tests: exponential, gelu, silu, softplus of x (n), n a multiple of 16."""
    given, made = _aligned_copy(x), _aligned(len(x))
    which = ("exponential", "gelu", "silu", "softplus").index(name)
    _library().native_function(which, len(x), given.data_ptr(), made.data_ptr())
    return made


# --- the library -----------------------------------------------------------------------------------------------------


class _Matrix(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("words", "bias", "scale", "sums")] + [
        (name, ctypes.c_int64) for name in ("kind", "panels", "n_words")
    ]


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("norm", "norm_bias", "norm2", "norm2_bias")),
        *((name, ctypes.c_void_p) for name in ("conv", "conv_bias", "A", "D")),
        *((name, _Matrix) for name in ("into", "out", "into2", "out2")),
    ]


class _Model(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_int64) for n in ("family", "n_layer", "n_embd", "embd", "inner", "n_head", "head", "n_state")),
        *((n, ctypes.c_int64) for n in ("maps", "groups", "n_inner", "conv", "vocab", "n_vocab", "cache")),
        *(("n_positions", ctypes.c_int64), ("query_scale", ctypes.c_float)),
        *((n, ctypes.c_void_p) for n in ("tokens", "positions", "norm", "norm_bias")),
        *(("scores", _Matrix), ("layers", ctypes.POINTER(_Layer))),
    ]


class _State(ctypes.Structure):
    _fields_ = [
        ("blocks", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("keys", "values", "window", "recurrence", "lengths")),
    ]


class _Rules(ctypes.Structure):
    _fields_ = [*((n, ctypes.c_float) for n in ("temperature", "top_p", "log_min_p")), ("top_k", ctypes.c_int64)]


_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "team_new": (_POINTER, [_INTEGER] * 3),
    "team_size": (_INTEGER, [_POINTER]),
    "team_free": (None, [_POINTER]),
    "native_read": (ctypes.c_int, [*[_POINTER] * 3, _INTEGER, *[_POINTER] * 2, _INTEGER, *[_POINTER] * 2]),
    "native_run": (ctypes.c_int, [*[_POINTER] * 3, *[_INTEGER] * 4, *[_POINTER] * 3, _INTEGER, *[_POINTER] * 7]),
    "native_choose": (ctypes.c_int32, [*[_POINTER] * 5, ctypes.c_double, *[_POINTER] * 2]),
    "native_function": (None, [_INTEGER, _INTEGER, _POINTER, _POINTER]),
    "native_panel": (_INTEGER, []),
    "native_lanes": (_INTEGER, []),
    "native_instructions": (ctypes.c_char_p, []),
}


@functools.cache
def _library() -> ctypes.CDLL:
    library = builder.build(SOURCE, FLAGS)
    for function, (result, arguments) in _SIGNATURES.items():
        getattr(library, function).restype, getattr(library, function).argtypes = result, arguments
    return library


# --- packing ---------------------------------------------------------------------------------------------------------


class _Packer:
    """Lays weights out in an arena, in the order in which a step reads them; panels are described in step.c."""

    def __init__(self, memory: Arena, weights: str) -> None:
        self.memory, self.kind = memory, WEIGHTS.index(weights)
        self.panel = int(_library().native_panel())

    def up(self, n: int) -> int:
        """n rounded up to whole panels."""
        return -(-n // self.panel) * self.panel

    def row(self, values: Tensor) -> int:
        """A vector, or rows of them, padded with zeros."""
        values = values.detach().float()
        return self.memory.put(_pad(values, -1, self.up(values.shape[-1])))

    def blocks(self, values: Tensor) -> int:
        """Rows (D, N) as (D / W, N, W) for W lanes of a vector, padded with zeros."""
        lanes = int(_library().native_lanes())
        return self.memory.put(_pad(values.detach(), 0, self.up(len(values))).unflatten(0, (-1, lanes)).transpose(1, 2))

    def matrix(self, weight: Tensor, bias: Tensor | None = None, kind: int | None = None) -> _Matrix:
        """weight (out, in) as panels; float32 in half the bytes where that changes no weight."""
        kind = self.kind if kind is None else kind
        weight = weight.detach().float()
        if kind == 0 and torch.equal(weight, weight.bfloat16().float()):
            kind = EXACT
        words, each = (1, 16, 16, 16)[kind], (1, 2, 4, 2)[kind]  # a tile's words; numbers in one
        weight = _pad(weight, 0, self.up(len(weight)))
        weight = _pad(weight, 1, -(-weight.shape[1] // (words * each)) * words * each)
        made = _Matrix(kind=kind, panels=len(weight) // self.panel, n_words=weight.shape[1] // each)
        if kind == 2:
            scale = weight.abs().amax(1).clamp(min=1e-30) / 127
            weight = (weight / scale[:, None]).round()
            made.scale, made.sums = self.memory.put(scale), self.memory.put((128 * weight.sum(1)).to(torch.int32))
        weight = weight.to((torch.float32, torch.bfloat16, torch.int8, torch.bfloat16)[kind])
        made.words = self.memory.put(weight.view(made.panels, self.panel, made.n_words, -1).transpose(1, 2))
        if bias is not None:
            made.bias = self.row(bias)
        return made


def _pack_gpt2(model: Any, pack: _Packer) -> tuple[_Model, Any]:
    c, F = model.config, model.config.n_embd // model.config.n_head
    P = -(-F // LANES) * LANES
    body = model.transformer
    layers = (_Layer * c.n_layer)()
    for layer, block in zip(layers, model.blocks, strict=True):
        a, m = block.attn, block.mlp
        layer.norm, layer.norm_bias = pack.row(block.ln_1.weight), pack.row(block.ln_1.bias)
        wide, bias = _heads(a.c_attn.weight.t(), 0, F, P), _heads(a.c_attn.bias, 0, F, P)
        layer.into = pack.matrix(wide, bias)
        layer.out = pack.matrix(_heads(a.c_proj.weight.t(), 1, F, P), a.c_proj.bias)
        layer.norm2, layer.norm2_bias = pack.row(block.ln_2.weight), pack.row(block.ln_2.bias)
        layer.into2 = pack.matrix(m.c_fc.weight.t(), m.c_fc.bias)
        layer.out2 = pack.matrix(m.c_proj.weight.t(), m.c_proj.bias)
    made = _Model(
        family=0, n_layer=c.n_layer, n_embd=c.n_embd, embd=pack.up(c.n_embd), n_head=c.n_head, head=P,
        inner=pack.up(c.n_head * P), n_inner=c.n_embd, n_positions=c.n_positions, query_scale=F**-0.5,
        cache=min(pack.kind, 1), positions=pack.row(body.wpe.weight), norm=pack.row(body.ln_f.weight),
        norm_bias=pack.row(body.ln_f.bias), **_ends(model, body.wte, pack), layers=layers,
    )  # fmt: skip
    return made, layers


def _pack_mamba(model: Any, pack: _Packer) -> tuple[_Model, Any]:
    c = model.config
    R, D = c.dt_rank, pack.up(c.expand * c.d_model)
    layers = (_Layer * c.n_layer)()
    for layer, block in zip(layers, model.blocks, strict=True):
        m = block.mixer
        layer.norm = pack.row(block.norm.weight)
        x, z = m.in_proj.weight.chunk(2)
        layer.into = pack.matrix(torch.cat([_pad(x, 0, D), z]))
        layer.conv, layer.conv_bias = pack.row(m.conv1d.weight.squeeze(1).t()), pack.row(m.conv1d.bias)
        dt, maps = m.x_proj.weight[:R], m.x_proj.weight[R:]
        layer.into2 = pack.matrix(torch.cat([_pad(dt, 0, pack.up(R)), maps]), kind=min(pack.kind, 1))
        layer.out2 = pack.matrix(m.dt_proj.weight, m.dt_proj.bias, kind=min(pack.kind, 1))
        layer.A, layer.D = pack.blocks(-torch.exp(m.A_log.float())), pack.row(m.D)
        layer.out = pack.matrix(m.out_proj.weight)
    made = _Model(
        family=1, n_layer=c.n_layer, n_embd=c.d_model, embd=pack.up(c.d_model), inner=D, n_inner=c.expand * c.d_model,
        n_state=c.d_state, maps=pack.up(R), conv=c.d_conv, norm=pack.row(model.backbone.norm_f.weight),
        **_ends(model, model.backbone.embeddings, pack), layers=layers,
    )  # fmt: skip
    return made, layers


def _pack_mamba2(model: Any, pack: _Packer) -> tuple[_Model, Any]:
    c = model.config
    H, F = c.expand * c.d_model // c.head_dim, c.head_dim
    P, GN = -(-F // LANES) * LANES, c.n_groups * c.d_state
    D, maps = pack.up(H * P), pack.up(GN)

    def channels(values: Tensor) -> list[Tensor]:  # of the convolution: x, B, C
        x, B, C = values.split([H * F, GN, GN])
        return [_pad(_heads(x, 0, F, P), 0, D), _pad(B, 0, maps), _pad(C, 0, maps)]

    layers = (_Layer * c.n_layer)()
    for layer, block in zip(layers, model.blocks, strict=True):
        m = block.mixer
        layer.norm = pack.row(block.norm.weight)
        z, xBC, dt = m.in_proj.weight.split(m.parts)
        bias = torch.cat([torch.zeros(2 * D + 2 * maps), m.dt_bias.float()])
        layer.into = pack.matrix(torch.cat([_pad(_heads(z, 0, F, P), 0, D), *channels(xBC), dt]), bias)
        layer.conv = pack.row(torch.cat(channels(m.conv1d.weight.squeeze(1))).t())
        layer.conv_bias = pack.row(torch.cat(channels(m.conv1d.bias)))
        layer.A = pack.row(-torch.exp(m.A_log.float()))
        layer.D = pack.row(m.D.repeat_interleave(P))
        layer.norm2 = pack.row(_heads(m.norm.weight, 0, F, P))
        layer.out = pack.matrix(_heads(m.out_proj.weight, 1, F, P))
    made = _Model(
        family=2, n_layer=c.n_layer, n_embd=c.d_model, embd=pack.up(c.d_model), inner=D, n_inner=c.expand * c.d_model,
        n_head=H, head=P, n_state=c.d_state, maps=maps, groups=c.n_groups, conv=c.d_conv,
        norm=pack.row(model.backbone.norm_f.weight), **_ends(model, model.backbone.embeddings, pack), layers=layers,
    )  # fmt: skip
    return made, layers


_PACK = {"gpt2": _pack_gpt2, "mamba": _pack_mamba, "mamba2": _pack_mamba2}


def _ends(model: Any, embedding: nn.Embedding, pack: _Packer) -> dict[str, Any]:
    """What a model begins and ends with: the embedding, and the head."""
    V = model.config.vocab_size
    return {
        "scores": pack.matrix(model.lm_head.weight),
        "tokens": pack.row(embedding.weight),
        "vocab": pack.up(V),
        "n_vocab": V,
    }


def _heads(values: Tensor, dim: int, n: int, padded: int) -> Tensor:
    """Pad each run of n along a dimension to `padded`."""
    return _pad(values.unflatten(dim, (-1, n)), dim + 1, padded).flatten(dim, dim + 1)


def _pad(values: Tensor, dim: int, n: int) -> Tensor:
    """Zeros after the end of a dimension, up to n."""
    shape = list(values.shape)
    shape[dim] = n - shape[dim]
    return torch.cat([values, values.new_zeros(shape)], dim) if shape[dim] else values


def _sizes(c: _Model) -> tuple[int, int]:
    """The widest row that a phase writes, and the positions of the longest attention."""
    panel = int(_library().native_panel())
    matrices = [getattr(c.layers[0], name) for name in ("into", "out", "into2", "out2")]
    widths = [matrix.panels * panel for matrix in matrices]
    return max(*widths, 2 * c.inner, c.embd, c.vocab), max(c.n_positions, BLOCK)


def _state_shapes(c: _Model, batch: int, blocks: int) -> list[tuple[tuple[int, ...], torch.dtype]]:
    if c.family == 0:
        kind = torch.bfloat16 if c.cache else torch.float32
        return [((batch, c.n_layer, c.n_head, blocks, BLOCK * c.head), kind)] * 2
    channels = c.inner + (2 * c.maps if c.family == 2 else 0)
    width = c.n_head * c.head if c.family == 2 else c.inner
    return [
        ((batch, c.n_layer, c.conv - 1, channels), torch.float32),
        ((batch, c.n_layer, c.n_state, width), torch.float32),
    ]


def _own_weights(model: "Model") -> str:
    return "bfloat16" if next(model.parameters()).dtype == torch.bfloat16 else "float32"


# --- calls -----------------------------------------------------------------------------------------------------------


def _rules(s: Sampling) -> _Rules:
    return _Rules(s.temperature, s.top_p, math.log(s.min_p) if s.min_p else -math.inf, s.top_k)


def _as(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype).contiguous()


def _aligned(n: int) -> Tensor:
    """n zeros at an address that is a multiple of 64 bytes."""
    values = torch.zeros(n + LANES)
    start = -(values.data_ptr() // 4) % LANES
    return values[start : start + n]


def _aligned_copy(values: Tensor) -> Tensor:
    made = _aligned(values.numel())
    made.copy_(values.flatten())
    return made


def _check_room(n: int, limit: int) -> None:
    if n > limit:
        raise UserError(f"{n} tokens, but there is room for {limit}: shorten the sequence or raise n_positions.")


def _check(fault: int, config: ModelConfig, state: NativeState) -> None:
    if fault == 1:
        raise UserError(f"a token id is not in 0..{config.vocab_size - 1}: the tokenizer is not this model's.")
    if fault == 2:
        n = int(state.lengths.max())
        raise UserError(f"more than {state.blocks * BLOCK} tokens in a row ({n} held): make the state larger.")
    if fault:
        raise MemoryError("no memory for the native step.")
