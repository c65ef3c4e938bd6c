"""The needs of a job and the capacity of a worker: a job goes only to a worker that can hold it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from service.core.spec import JobSpec
from service.core.text import GIB

DEVICES: tuple[str, ...] = get_args(JobSpec.__annotations__["device"])


@dataclass(frozen=True)
class Needs:
    """`gpus` processes on `device` (as in the spec), each with `memory_bytes` (None: unknown) and with the `threads`
    that it gains from (None: as many as there are).
    """

    device: str
    gpus: int
    memory_bytes: int | None
    threads: int | None = None


@dataclass(frozen=True)
class Limit:
    """The largest job that a worker can hold on a device: processes, bytes of each, and bytes of all (None: any)."""

    processes: int
    process_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True)
class Capacity:
    """The capacity of a worker: GPUs and the memory of the smallest, threads, and the memory of its machine or
    container (bytes; None: unknown). `version` is its release, None for an old release that reports no capacity.
    `slots` is the number of jobs that it trains side by side at most.
    """

    gpus: int = 0
    gpu_memory_bytes: int = 0
    threads: int = 1
    memory_bytes: int | None = None
    version: str | None = None
    slots: int = 1

    def runs_on_gpu(self, device: str) -> bool:
        """Whether a job for this device would run on a GPU here."""
        return device == "cuda" or (device == "auto" and self.gpus > 0)

    def limit(self, device: str) -> Limit:
        """The largest job for `device` that this worker can hold. An old release is given single processes only."""
        if self.version is None:
            return Limit(processes=1)
        if self.runs_on_gpu(device):
            return Limit(self.gpus, process_bytes=self.gpu_memory_bytes)
        return Limit(self.threads, total_bytes=self.memory_bytes)

    def nearness(self, needs: Needs) -> tuple[int, ...]:
        """A key by which workers are compared: the larger, the nearer the worker comes to holding the job."""
        memory = self.memory_bytes or 0
        if needs.device == "cpu":
            return min(self.threads, needs.gpus), memory
        return min(self.gpus, needs.gpus), self.gpu_memory_bytes, min(self.threads, needs.gpus), memory

    def lacks(self, needs: Needs) -> str | None:
        """What is missing for such a job, in words; None if the worker can hold it."""
        limit, memory = self.limit(needs.device), needs.memory_bytes or 0
        on_gpu = self.runs_on_gpu(needs.device)
        if needs.gpus > limit.processes:
            if self.version is None:
                return "a release that is too old for it"
            if not on_gpu:
                return f"{limit.processes} of {needs.gpus} cores"
            return f"{limit.processes} of {needs.gpus} GPUs" if limit.processes else "no GPU"
        if limit.process_bytes is not None and memory > limit.process_bytes:
            return f"a GPU with {_memory(limit.process_bytes, memory)}"
        if limit.total_bytes is not None and memory * needs.gpus > limit.total_bytes:
            return _memory(limit.total_bytes, memory * needs.gpus)
        return None


def shortfall(needs: Needs, workers: Iterable[Capacity]) -> str | None:
    """Why no live worker can hold the job, in words; None if one can."""
    missing = [worker.lacks(needs) for worker in sorted(workers, key=lambda w: w.nearness(needs), reverse=True)]
    if None in missing:
        return None
    return f"no live worker is large enough; the largest has {missing[0]}" if missing else "no worker is alive"


def _memory(has: int, needed: int) -> str:
    return f"{has / GIB:.1f} of {needed / GIB:.1f} GiB of memory"
