"""Training on several processes: the same YAML, the same steps, the same result up to rounding.

    torchrun --nproc-per-node 2 --max-restarts 3 -m symbolic train configs/gpt2-60m.yaml --resume

A step sees batch_size * accumulation rows, however many processes there are: rank r of n takes rows r, r + n, ... of
each batch, in as many parts as keep a part within batch_size rows. All parts are equally large, so the mean over
ranks of mean losses is the mean over all tokens. Data parallel (`sharding: replicated`) holds the whole model on every
device; `sharding: full` splits parameters, gradients and moments over the devices, block by block, for models that do
not fit (Zhao et al. 2023, PyTorch FSDP; Rajbhandari et al. 2020, ZeRO stage 3).

Rank 0 alone writes: checkpoints are whole and plain, so any number of processes, or one, goes on from them. When a
process dies torchrun stops the others and starts all again, and `--resume` takes the newest whole checkpoint.
"""

import contextlib
import os
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from symbolic.config import Config
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.distributed import Store

    from symbolic.models import Model

AGREE_EVERY = 8  # steps between two looks at whether any rank was asked to stop
TIMEOUT = timedelta(minutes=30)  # rank 0 may be encoding a corpus while the others wait
POLL_SECONDS = 0.02  # between two looks for the other ranks
T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a run; alone, every method is a no-op."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    host: Any = None  # a process group over gloo, for what is not on the device

    @property
    def leads(self) -> bool:
        """True for the process that writes and speaks."""
        return self.rank == 0

    @property
    def stream(self) -> TextIO | None:
        """Where messages go: stderr on rank 0 (None), nowhere on the others."""
        return None if self.leads else open(os.devnull, "w", encoding="utf-8")

    def device(self, device: "torch.device") -> "torch.device":
        """Return this process's own GPU of the machine."""
        import torch

        if self.world == 1 or device.type != "cuda":
            return device
        own = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(own)
        return own

    def parts(self, batch_size: int, accumulation: int) -> int:
        """Return the number of parts of this rank's rows of a step. Raises UsageError where they do not divide."""
        rows, rest = divmod(batch_size * accumulation, self.world)
        if rest or not rows:
            raise UsageError(
                f"train.batch_size {batch_size} x train.accumulation {accumulation} rows cannot be dealt out to "
                f"{self.world} processes: make their product a multiple of {self.world}."
            )
        return next(n for n in range(1, rows + 1) if rows % n == 0 and rows // n <= batch_size)

    def own(self, rows: T) -> T:
        """Return this rank's share of a sequence or array: every world-th item."""
        return rows[self.rank :: self.world] if self.world > 1 else rows  # type: ignore[index]

    def mean(self, value: "Tensor") -> "Tensor":
        """Average a number over all ranks."""
        if self.world > 1:
            import torch.distributed as dist

            dist.all_reduce(value)
            value = value / self.world
        return value

    def from_lead(self, value: T) -> T:
        """Broadcast rank 0's value."""
        if self.world == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.host)
        return box[0]

    def together(self, own: Sequence[T]) -> list[T]:
        """Gather items from all ranks, restoring the original order."""
        if self.world == 1:
            return list(own)
        import torch.distributed as dist

        dealt: list[Any] = [None] * self.world
        dist.all_gather_object(dealt, list(own), group=self.host)
        longest = max(map(len, dealt))
        return [part[index] for index in range(longest) for part in dealt if index < len(part)]

    def agreed(self, number: int) -> int:
        """Return the largest of the ranks' numbers."""
        if self.world == 1:
            return number
        import torch
        import torch.distributed as dist

        value = torch.tensor([number])
        dist.all_reduce(value, dist.ReduceOp.MAX, group=self.host)
        return int(value)

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Let rank 0 go through the block before the others do."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.world > 1:
            import torch.distributed as dist

            dist.barrier(group=self.host)


@contextlib.contextmanager
def join_group(device: "torch.device") -> Iterator[Group]:
    """Join the group that torchrun (or `accelerate launch`) started this process in, by its environment variables."""
    try:
        rank, world, local = (int(os.environ.get(n, d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    except ValueError as error:
        raise UserError(f"RANK, WORLD_SIZE or LOCAL_RANK is no number ({error}): start with torchrun.") from error
    if world == 1:
        yield Group()
        return
    import torch.distributed as dist

    backend = "nccl" if device.type == "cuda" else "gloo"
    store, _, _ = next(dist.rendezvous("env://", rank, world, timeout=TIMEOUT))
    store = dist.PrefixStore(start_name(store, rank, world), store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    host = dist.new_group(backend="gloo", timeout=TIMEOUT) if backend != "gloo" else None  # None: the whole group
    try:
        yield Group(rank, world, local, host)
    finally:
        dist.destroy_process_group()


def start_name(store: "Store", rank: int, world: int) -> str:
    """Agree with all ranks on a name that no earlier start of the group had.

    torchrun keeps one store over all restarts. The addresses of killed processes still stand in it, and who reads one
    waits for the dead until TIMEOUT. So each rank asks under a key of its own, which rank 0 alone answers.
    """
    own = uuid.uuid4().hex
    store.set(f"asking/{rank}", own)
    others = range(1, world)
    if rank:
        name = store.get(f"answer/{own}").decode()
        store.set(f"{name}/{rank}", "")
        return name
    while not all(store.check([f"{own}/{other}"]) for other in others):
        for other in others:
            if store.check([f"asking/{other}"]):  # its question, or one that a dead process left
                store.set(f"answer/{store.get(f'asking/{other}').decode()}", own)
        time.sleep(POLL_SECONDS)
    return own


def spread(
    model: "Model", optimizer: "torch.optim.Optimizer", config: Config, group: Group, device: "torch.device"
) -> "tuple[nn.Module, torch.optim.Optimizer]":
    """Return the module to call, which keeps gradients equal on all ranks, and the optimiser to step; alone the two
    given.

    Fully sharded, the model's own parameters become shards in place, and so do the optimiser's moments.
    """
    if group.world == 1:
        return model, optimizer
    if config.sharding == "full":
        return _sharded(model, optimizer, config, group, device)
    from torch.nn.parallel import DistributedDataParallel

    ids = [device.index] if device.type == "cuda" else None
    caller = DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)
    return caller, optimizer


def whole(
    model: "Model", optimizer: "torch.optim.Optimizer", config: Config, group: Group
) -> "tuple[Model, torch.optim.Optimizer]":
    """Return model and optimiser as one process has them, to be saved; all ranks must ask for them when they are
    sharded."""
    if group.world == 1 or config.sharding != "full":
        return model, optimizer
    from symbolic import models
    from symbolic.training import optim

    weights = {name: local(tensor).cpu() for name, tensor in model.state_dict().items()}
    moments = {name: local(tensor).cpu() for name, tensor in optim.state(model, optimizer).items()}
    plain = models.build(config.model)
    plain.load_state_dict(weights)
    plain_optimizer = optim.build(plain, config.train)
    if moments:
        optim.load_state(plain, plain_optimizer, moments)
    return plain, plain_optimizer


def local(tensor: "Tensor") -> "Tensor":
    """Gather a tensor that may be sharded."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def _sharded(
    model: "Model", optimizer: "torch.optim.Optimizer", config: Config, group: Group, device: "torch.device"
) -> "tuple[nn.Module, torch.optim.Optimizer]":
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import distribute_tensor

    from symbolic.training import optim

    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")  # of in-place operations, which no block does
    moments = optim.state(model, optimizer)
    mesh = init_device_mesh(device.type, (group.world,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    made = optim.build(model, config.train)
    for name, p in model.named_parameters() if moments else ():
        made.state[p]["step"] = moments[f"step.{name}"]
        for kind in ("exp_avg", "exp_avg_sq"):
            made.state[p][kind] = distribute_tensor(moments[f"{kind}.{name}"], mesh, p.placements)  # type: ignore[attr-defined]
    return model, made


@contextlib.contextmanager
def last_part_only(model: Any, is_last: bool) -> Iterator[None]:
    """Exchange gradients after the last part of a step only."""
    if hasattr(model, "set_requires_gradient_sync"):  # fully sharded
        model.set_requires_gradient_sync(is_last)
        yield
    elif hasattr(model, "no_sync") and not is_last:
        with model.no_sync():
            yield
    else:
        yield
