"""The processes that train one model together, each on its share of every batch.

Data parallelism as in Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training" (2020).
Every process draws and augments the same whole batch and learns from its rows of it; what they add up to is the
gradient of the whole batch, so that they come to the weights that one process would have come to.
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

PATIENCE = timedelta(days=1)  # of those who wait while the first prepares; a run that hangs is its supervisor's to see
LOOPBACK = "lo"  # all processes of a job run on one machine; nothing else may read what they send


class Group:
    """A process by itself is a group of one, and whatever the group does costs it nothing."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides, reports and writes."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Which rows of a batch of `count` are this process's. A batch with fewer than the group has processes is not
        shared: each takes all of it.
        """
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def portion(self, count: int) -> float:
        """For how many of a batch of `count` images this process's rows stand; those of the group add up to all."""
        if count < self.size:
            return count / self.size
        return float(self.rows(count).stop - self.rows(count).start)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model, over the same parameters, whose gradients are the mean of those of all processes."""
        return model

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` returns, called by the first process before the others, which find the files that it has left."""
        made = [make()] if self.leads else []
        self.agree(None)
        return made[0] if self.leads else make()

    @contextmanager
    def normalizing(self, count: int) -> Iterator[None]:
        """Within the block, batch normalization is over the batch of `count`, whoever has which rows of it."""
        yield

    def add_(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over the processes, in place, on each of them."""
        return tensor

    def agree(self, value: T) -> T:
        """What the first process says, on each of them. Plain data only."""
        return value

    def gather(self, value: T) -> list[T]:
        """What each process says, by rank. Plain data and CPU tensors."""
        return [value]


SINGLE_PROCESS = Group()


class ProcessGroup(Group):
    """One of several processes of a machine, with the environment that torch's elastic launcher (torchrun) gives them.

    NCCL between GPUs, Gloo between CPUs and for what the processes agree on. To be closed.
    """

    def __init__(self, device: torch.device, meeting: Path) -> None:
        """They meet by a file that is not there yet: a store on a port would listen to the whole network."""
        for backend in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{backend}_SOCKET_IFNAME", LOOPBACK)
        self._device = device
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        place = f"file://{meeting}"
        dist.init_process_group(backend, place, timeout=PATIENCE, world_size=self.size, rank=self.rank)
        self._alone = [dist.new_group([rank]) for rank in range(self.size)][self.rank]
        self._norms: list[nn.SyncBatchNorm | WholeBatchNorm] = []

    def parallel(self, model: nn.Module) -> nn.Module:
        warnings.filterwarnings(
            "ignore", "Grad strides do not match bucket view strides"
        )  # of one channel they need not
        if self._device.type == "cpu":
            shared, devices = with_whole_batch_norm(model), None
        else:
            shared = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]  # torch leaves it so
            devices = [self._device.index]
        self._norms = [module for module in shared.modules() if isinstance(module, nn.SyncBatchNorm | WholeBatchNorm)]
        return DistributedDataParallel(shared, device_ids=devices)

    @contextmanager
    def normalizing(self, count: int) -> Iterator[None]:
        if count >= self.size:
            yield
            return
        for norm in self._norms:  # each process has the whole batch
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
        said = [value]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def gather(self, value: T) -> list[T]:
        said: list[T] = [value] * self.size
        dist.all_gather_object(said, value)
        return said

    def close(self) -> None:
        dist.destroy_process_group()
