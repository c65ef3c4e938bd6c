"""The processes that train one model together, each on its share of every batch.

Data parallelism as in Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training" (2020).
Every process draws and augments the same whole batch and computes gradients for its rows. Their sum is the gradient of
the whole batch, so the processes get the same weights as a single process.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from workers.training.whole_batch_norm import WholeBatchNorm, with_whole_batch_norm

T = TypeVar("T")

PATIENCE = timedelta(days=1)  # for the first process to prepare; the supervisor detects a run that hangs
LOOPBACK = "lo"  # all processes of a job run on one machine, so the network must not see their messages


class Group:
    """A group of one process, for which all operations of a group are free."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides, reports and writes."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """The rows of this process in a batch of `count` images.

        A batch with fewer images than processes is not divided: each process takes all rows.
        """
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def portion(self, count: int) -> float:
        """The weight of this process's rows in a batch of `count` images. The weights of the group sum to `count`."""
        if count < self.size:
            return count / self.size
        return float(self.rows(count).stop - self.rows(count).start)

    def parallel(self, model: nn.Module) -> nn.Module:
        """A model with the same parameters whose gradients are averaged over the processes."""
        return model

    def in_turn(self, make: Callable[[], T]) -> T:
        """The result of `make`, called by the first process before the others, which can then use its files."""
        made = [make()] if self.leads else []
        self.agree(None)
        return made[0] if self.leads else make()

    @contextmanager
    def normalizing(self, count: int) -> Iterator[None]:
        """Within the block, batch normalization uses all `count` images of the batch, over all processes."""
        yield

    def add_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor, in place, by its sum over the processes."""
        return tensor

    def agree(self, value: T) -> T:
        """The value of the first process, in every process. Plain data only."""
        return value

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank. Plain data and CPU tensors only."""
        return [value]


SINGLE_PROCESS = Group()


class ProcessGroup(Group):
    """One of several processes of a machine, started with the environment variables of torchrun (RANK, WORLD_SIZE).

    Uses NCCL between GPUs, and Gloo between CPUs and for plain data. Call `close` at the end.
    """

    def __init__(self, device: torch.device, meeting: Path) -> None:
        """`meeting` is the path of a new file for the rendezvous: a TCP store would listen on the whole network."""
        for backend in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{backend}_SOCKET_IFNAME", LOOPBACK)
        self._device = device
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        address = f"file://{meeting}"
        dist.init_process_group(backend, address, timeout=PATIENCE, world_size=self.size, rank=self.rank)
        self._alone = [dist.new_group([rank]) for rank in range(self.size)][self.rank]
        self._norms: list[nn.SyncBatchNorm | WholeBatchNorm] = []

    def parallel(self, model: nn.Module) -> nn.Module:
        # Strides of a dimension of size 1 can differ without effect.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        if self._device.type == "cpu":
            shared, devices = with_whole_batch_norm(model), None
        else:
            shared = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]  # untyped in torch
            devices = [self._device.index]
        self._norms = [module for module in shared.modules() if isinstance(module, nn.SyncBatchNorm | WholeBatchNorm)]
        return DistributedDataParallel(shared, device_ids=devices)

    @contextmanager
    def normalizing(self, count: int) -> Iterator[None]:
        if count >= self.size:
            yield
            return
        for norm in self._norms:  # every process has the whole batch
            norm.process_group = self._alone
        try:
            yield
        finally:
            for norm in self._norms:
                norm.process_group = None

    def add_(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor)
        return tensor

    def agree(self, value: T) -> T:
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: T) -> list[T]:
        values: list[T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def close(self) -> None:
        dist.destroy_process_group()
