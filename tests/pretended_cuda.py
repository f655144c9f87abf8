"""A pretended CUDA device for tests on a machine without one: CPU tensors whose storages are marked as the device's.

    with pretended_cuda() as device:
        model.to("cuda")
        ...
    device.waits        # (kind, place in the code) of each time the host waited for the device

What it enforces, with real values:

    devices   an operation on tensors of both kinds raises, as on a GPU
    waits     item(), tolist(), cpu(), nonzero, boolean masks and pageable copies are noted with their place in the code
    graphs    operations inside `torch.cuda.graph` are recorded with the memory they ran on and undone; `replay` runs
              them on the same memory. A wait inside a recording raises.

Not seen: number types of CUDA's autocast (the CPU's lists are used), kernels, speed.
"""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = str(Path(__file__).resolve().parents[1])
CUDA = torch.device("cuda", 0)
PROPERTIES = SimpleNamespace(
    name="pretended H200", major=9, minor=0, total_memory=139 << 30, multi_processor_count=132, is_integrated=0
)
aten: Any = torch.ops.aten
WAITING = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default,
    aten._unique2.default, aten.unique_dim.default, aten.repeat_interleave.Tensor,
}  # fmt: skip
INDEXING = {
    aten.index.Tensor, aten._unsafe_index.Tensor, aten.index_put_.default, aten.index_put.default,
    aten._index_put_impl_.default,
}  # fmt: skip
HOST_OUTPUTS = {aten._pack_padded_sequence.default: 1}  # outputs from here on lie on the host
HOST_ARGUMENTS = {
    aten._pack_padded_sequence.default, aten._pad_packed_sequence.default, aten.lstm.data,
    aten._has_compatible_shallow_copy_type.default,
}  # fmt: skip
TO_PYTHON = {getattr(Tensor, name) for name in ("tolist", "item", "__int__", "__float__", "__bool__", "__index__")}


class PretendedDevice:
    """What the device holds and has seen."""

    def __init__(self) -> None:
        self.storages: dict[int, StorageWeakRef] = {}
        self.pinned: dict[int, StorageWeakRef] = {}
        self.waits: list[tuple[str, str]] = []
        self.recording: list[tuple[Any, ...]] | None = None
        self.undo: list[tuple[Tensor, Tensor]] = []
        self.n_replays = 0

    def holds(self, tensor: Tensor) -> bool:
        """True if the tensor lies on the device."""
        return _is_alive(self.storages, tensor)

    def take(self, tensor: Tensor) -> Tensor:
        """Put a tensor on the device."""
        with _unwatched():
            storage = tensor.untyped_storage()
            self.storages[storage._cdata] = StorageWeakRef(storage)
        return tensor

    def pin(self, tensor: Tensor) -> Tensor:
        """Return a pinned copy on the host."""
        with _unwatched():
            copy = tensor.clone()
            self.pinned[copy.untyped_storage()._cdata] = StorageWeakRef(copy.untyped_storage())
        return copy

    def wait(self, kind: str) -> None:
        """Note that the host waits; raise inside a recording."""
        if self.recording is not None:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({kind}) at {_place()}")
        self.waits.append((kind, _place()))

    def move(
        self, tensor: Tensor, to_device: bool, dtype: torch.dtype | None, asynchronous: bool, copy: bool
    ) -> Tensor:
        """Return the tensor on the other side, or converted on its own."""
        dtype = dtype or tensor.dtype
        if self.holds(tensor) == to_device:
            with torch._C.DisableTorchFunction():
                return tensor.to(dtype, copy=copy)
        if to_device:
            if not (asynchronous and _is_alive(self.pinned, tensor)):
                self.wait("copy to the device")
            with torch._C.DisableTorchFunction():
                return self.take(tensor.to(dtype, copy=True))
        self.wait("copy to the host")
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            return tensor.detach().to(dtype, copy=True)


class _Functions(TorchFunctionMode):
    """What Python asks of tensors: where they are, moves, factories."""

    def __init__(self, device: PretendedDevice) -> None:
        super().__init__()
        self.device = device
        kind: Any = Tensor
        self.answers: dict[Any, Any] = {
            Tensor.device.__get__: lambda t: CUDA if device.holds(t) else torch.device("cpu"),
            kind.is_cuda.__get__: device.holds,
            kind.is_cpu.__get__: lambda t: not device.holds(t),
            Tensor.get_device: lambda t: 0 if device.holds(t) else -1,
            Tensor.is_pinned: lambda t, *_: _is_alive(device.pinned, t),
            Tensor.pin_memory: self._pin,
            Tensor.numpy: self._numpy,
            Tensor.__array__: self._numpy,
            Tensor.cpu: lambda t: device.move(t, False, None, False, False),
            Tensor.cuda: lambda t, non_blocking=False: device.move(t, True, None, non_blocking, False),
            Tensor.to: self._to,
            torch.tensor: self._tensor,
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in self.answers:
            return self.answers[func](*args, **kwargs)
        if func in TO_PYTHON and self.device.holds(args[0]):
            self.device.wait(func.__name__)
            with _unwatched():
                return func(args[0].detach())
        if "device" in kwargs and _names_cuda(kwargs["device"]):
            return self._made(func, args, kwargs | {"device": torch.device("cpu")})
        return func(*args, **kwargs)

    def _made(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run a factory for the device; inside a recording it belongs to the graph."""
        made = func(*args, **kwargs)
        if not isinstance(made, Tensor):
            return made
        if self.device.recording is not None and "empty" not in func.__name__:
            self.device.recording.append((lambda: func(*args, **kwargs), (), {}, [made], []))
        return self.device.take(made)

    def _tensor(self, *args: Any, **kwargs: Any) -> Tensor:
        """torch.tensor on the device copies from pageable memory, and so waits."""
        if not _names_cuda(kwargs.get("device")):
            return torch.tensor(*args, **kwargs)
        self.device.wait("torch.tensor on the device")
        return self.device.take(torch.tensor(*args, **kwargs | {"device": "cpu"}))

    def _pin(self, tensor: Tensor, *_: Any) -> Tensor:
        if self.device.holds(tensor):
            raise RuntimeError("cannot pin a tensor on CUDA: only dense CPU tensors can be pinned")
        return self.device.pin(tensor)

    def _numpy(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self.device.holds(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        with torch._C.DisableTorchFunction():
            return Tensor.numpy(tensor, **kwargs)

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = dict(kwargs)
        for argument in args:
            if isinstance(argument, Tensor):
                given |= {"device": CUDA if self.device.holds(argument) else "cpu", "dtype": argument.dtype}
            elif isinstance(argument, torch.dtype):
                given["dtype"] = argument
            elif isinstance(argument, torch.device | str):
                given["device"] = argument
            elif isinstance(argument, bool):
                given["non_blocking"] = argument
        where = given.get("device")
        to_device = self.device.holds(tensor) if where is None else _names_cuda(where)
        return self.device.move(
            tensor, to_device, given.get("dtype"), given.get("non_blocking", False), given.get("copy", False)
        )


class _Operations(TorchDispatchMode):
    """What runs: checked for its devices, noted where it waits, recorded inside a graph."""

    def __init__(self, device: PretendedDevice) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        is_ours = any(map(self.device.holds, inputs))
        if is_ours:
            self._check(func, args, inputs)
            self._remember_written(func, args)
        result = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if is_ours:
            for output in [] if func is aten.copy_.default else outputs[: HOST_OUTPUTS.get(func)]:
                if not any(output is given for given in inputs):
                    self.device.take(output)
            if self.device.recording is not None and not _is_view(func, inputs, outputs):
                self.device.recording.append((func, args, kwargs, outputs, inputs))
        elif not inputs and torch._C._current_graph_task_id() != -1:
            for output in outputs:  # zeros that autograd puts in for a gradient that is missing
                self.device.take(output)
        return result

    def _check(self, func: Any, args: Any, inputs: list[Tensor]) -> None:
        if func in WAITING:
            self.device.wait(str(func))
        if func in INDEXING:
            self._check_indices(func, args)
        elif func is aten.copy_.default:
            self._check_copy(args[0], args[1])
        elif func not in HOST_ARGUMENTS:
            for tensor in inputs:
                if tensor.dim() and not self.device.holds(tensor):
                    raise _mixed(func, tensor)

    def _check_indices(self, func: Any, args: Any) -> None:
        if not self.device.holds(args[0]) or (len(args) > 2 and args[2].dim() and not self.device.holds(args[2])):
            raise _mixed(func, args[0])
        for index in args[1]:
            if index is not None and index.dtype in (torch.bool, torch.uint8):
                self.device.wait("boolean mask as an index")
            elif index is not None and index.dim() and not self.device.holds(index):
                self.device.wait("indices on the host")

    def _check_copy(self, target: Tensor, source: Tensor) -> None:
        to_device, from_device = self.device.holds(target), self.device.holds(source)
        if to_device != from_device and not (to_device and _is_alive(self.device.pinned, source)):
            self.device.wait("copy_ between devices")

    def _remember_written(self, func: Any, args: Any) -> None:
        """Keep what an operation of a recording will overwrite: recording runs nothing."""
        if self.device.recording is None:
            return
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                self.device.undo += [(t, t.clone()) for t in tree_leaves(value) if isinstance(t, Tensor)]


class _Graph:
    """Stands for torch.cuda.CUDAGraph."""

    device: PretendedDevice

    def __init__(self) -> None:
        self.operations: list[tuple[Any, ...]] | None = None

    def replay(self) -> None:
        assert self.operations is not None, "nothing was recorded"
        with _unwatched(), torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, outputs, inputs in self.operations:
                again = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
                for output, new in zip(outputs, again, strict=True):
                    is_in_place = any(output is given for given in inputs)
                    if not is_in_place and output.untyped_storage()._cdata != new.untyped_storage()._cdata:
                        output.copy_(new)
        self.device.n_replays += 1


class _Stream:
    """Stands for torch.cuda.Stream: everything runs in order anyway."""

    def wait_stream(self, other: "_Stream") -> None:
        pass

    def synchronize(self) -> None:
        pass


@contextlib.contextmanager
def pretended_cuda() -> Iterator[PretendedDevice]:
    """Pretend a CUDA device inside the block."""
    device = PretendedDevice()

    @contextlib.contextmanager
    def record(graph: _Graph, *_: Any, **__: Any) -> Iterator[None]:
        assert device.recording is None, "a recording inside a recording"
        device.recording = []
        try:
            yield
            graph.operations = device.recording
        finally:
            device.recording = None
            _undo(device)

    graph_type = type("CUDAGraph", (_Graph,), {"device": device})
    with contextlib.ExitStack() as stack:
        for name, value in _answers(device, record, graph_type).items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value, create=True))
        for target, name, value in _grouping(device):
            stack.enter_context(mock.patch.object(target, name, value))
        stack.enter_context(_Operations(device))
        stack.enter_context(_Functions(device))
        yield device


def _answers(device: PretendedDevice, record: Any, graph_type: type) -> dict[str, Any]:
    """What torch.cuda answers."""
    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: "pretended H200",
        "get_device_capability": lambda *_: (9, 0),
        "_get_device_properties": lambda *_: PROPERTIES,
        "get_device_properties": lambda *_: PROPERTIES,
        "mem_get_info": lambda *_: (139 << 30, 139 << 30),
        "get_rng_state_all": lambda: [torch.zeros(16, dtype=torch.uint8)],
        "set_rng_state_all": lambda _: None,
        "synchronize": lambda *_: device.wait("synchronize"),
        "max_memory_allocated": lambda *_: 0,
        "_lazy_init": lambda: None,
        "empty_cache": lambda: None,
        "set_device": lambda *_: None,
        "Stream": _Stream,
        "current_stream": lambda *_: _Stream(),
        "stream": lambda _: contextlib.nullcontext(),
        "CUDAGraph": graph_type,
        "graph": record,
        "is_current_stream_capturing": lambda: device.recording is not None,
    }


def _grouping(device: PretendedDevice) -> list[tuple[Any, str, Any]]:
    """Functions of PyTorch that ask for a tensor's device in C++, and autocast, told of the pretended one."""
    from torch.nn.utils import clip_grad
    from torch.optim.optimizer import Optimizer

    grouped, static, cast = (
        clip_grad._group_tensors_by_device_and_dtype, Optimizer._group_tensors_by_device_and_dtype, torch.autocast,
    )  # fmt: skip

    is_enabled, get_dtype = torch.is_autocast_enabled, torch.get_autocast_dtype

    def regroup(groups: Any) -> Any:
        return {(CUDA if device.holds(v[0][0][0]) else d, t): v for (d, t), v in groups.items()}

    class Autocast(cast):  # type: ignore[misc, valid-type]
        def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
            super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    return [
        (clip_grad, "_group_tensors_by_device_and_dtype", lambda *a, **k: regroup(grouped(*a, **k))),
        (Optimizer, "_group_tensors_by_device_and_dtype", staticmethod(lambda *a, **k: regroup(static(*a, **k)))),
        (torch, "autocast", Autocast),
        (torch, "is_autocast_enabled", lambda kind: is_enabled("cpu" if kind == "cuda" else kind)),
        (torch, "get_autocast_dtype", lambda kind: get_dtype("cpu" if kind == "cuda" else kind)),
        (torch.backends.cudnn, "is_acceptable", lambda *_: False),
    ]


def _undo(device: PretendedDevice) -> None:
    with _unwatched():
        for tensor, before in reversed(device.undo):
            with torch.inference_mode() if tensor.is_inference() else torch.no_grad():
                (tensor if tensor.is_inference() else tensor.detach()).copy_(before)
    device.undo = []


@contextlib.contextmanager
def _unwatched() -> Iterator[None]:
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
        yield


def _is_alive(table: dict[int, StorageWeakRef], tensor: Tensor) -> bool:
    with _unwatched():
        key = tensor.untyped_storage()._cdata
    known = table.get(key)
    if known is not None and known.expired():
        del table[key]
        return False
    return known is not None


def _is_view(func: Any, inputs: list[Tensor], outputs: list[Tensor]) -> bool:
    """True if an operation only looked at memory in another way."""
    if any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments):
        return False
    with _unwatched():
        ours = {tensor.untyped_storage()._cdata for tensor in inputs}
        return bool(outputs) and all(output.untyped_storage()._cdata in ours for output in outputs)


def _names_cuda(device: Any) -> bool:
    if isinstance(device, Tensor):
        return device.is_cuda
    return device is not None and not isinstance(device, int) and torch.device(device).type == "cuda"


def _mixed(func: Any, tensor: Tensor) -> RuntimeError:
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
        f"({func}, host tensor {tuple(tensor.shape)}) at {_place()}"
    )


def _place() -> str:
    """The innermost line of the project's own code that led here."""
    ours = [
        frame for frame in traceback.extract_stack()
        if frame.filename.startswith(ROOT) and frame.filename != __file__ and "site-packages" not in frame.filename
    ]  # fmt: skip
    return f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno} {ours[-1].line}" if ours else "?"
