"""The processes that train one model together, each on its share of every batch.

Data parallelism as in Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training" (2020).
Every process draws and augments the same whole batch, and trains on its rows of it. The average of their gradients is
the gradient of the whole batch, so the weights equal those of a single process up to rounding.
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

# Limit of a collective call: the others wait in one while the first prepares data. The supervisor detects hangs.
PATIENCE = timedelta(days=1)
LOOPBACK = "lo"  # the processes of a job share a machine; their traffic must not leave it


class Group:
    """A group of one process. Its operations cost nothing."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, reports and writes for the group."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """This process's rows of a batch of `count` images.

        A batch with fewer images than processes is not divided: each process trains on all of it.
        """
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def portion(self, count: int) -> float:
        """The number of images that this process's rows count for. It adds up to `count` over the group."""
        if count < self.size:
            return count / self.size
        return float(self.rows(count).stop - self.rows(count).start)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model over the same parameters, with gradients that are averaged over all processes."""
        return model

    def in_turn(self, make: Callable[[], T]) -> T:
        """Call `make` in the first process, then in the others, which reuse its files. Returns its result."""
        made = [make()] if self.leads else []
        self.agree(None)
        return made[0] if self.leads else make()

    @contextmanager
    def normalizing(self, count: int) -> Iterator[None]:
        """Within the block, batch normalization uses the statistics of the whole batch of `count` images."""
        yield

    def add_(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over the processes, in place, on each of them."""
        return tensor

    def agree(self, value: T) -> T:
        """The first process's value, on each process. Plain data only."""
        return value

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank. Plain data and CPU tensors."""
        return [value]


SINGLE_PROCESS = Group()


class ProcessGroup(Group):
    """One of several processes on a machine, with the environment variables of torch's elastic launcher (torchrun).

    Uses NCCL between GPUs; Gloo between CPUs and for plain data. The caller must close it.
    """

    def __init__(self, device: torch.device, meeting: Path) -> None:
        """`meeting` is a file that does not exist yet. The processes meet there: a port would be public."""
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
        # Strides of tensors with one channel are ambiguous, so this warning means nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        if self._device.type == "cpu":
            shared, devices = with_whole_batch_norm(model), None
        else:
            shared = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]  # torch leaves it untyped
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
