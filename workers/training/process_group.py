"""A group of several processes, which exchange gradients through torch.distributed.

It is apart from workers.training.group because it loads torch's compiler, which a single process seldom needs.
"""

import importlib
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

from workers.training.group import Group
from workers.training.whole_batch_norm import WholeBatchNorm, has_activation, with_whole_batch_norm

T = TypeVar("T")

# Limit of a collective call: the others wait in one while the first prepares data. The supervisor detects hangs.
PATIENCE = timedelta(days=1)
LOOPBACK = "lo"  # the processes of a job share a machine; their traffic must not leave it


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
            shared = _synchronized(model)
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


def _synchronized(model: nn.Module) -> nn.Module:
    """The model with synchronized batch normalization, also that of timm, which applies an activation."""
    convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
    if has_activation(model):
        convert = importlib.import_module("timm.layers").convert_sync_batchnorm  # loaded already
    return convert(model)
