"""What a job needs and what a worker has: a job goes only to a worker that can hold it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, func, or_

from service.core.records.plan import GIB
from service.core.sql.tables import jobs


@dataclass(frozen=True)
class Needs:
    """`gpus` processes on `device` (as in the spec), each with so many bytes of memory (None: not known)."""

    device: str
    gpus: int
    memory_bytes: int | None


@dataclass(frozen=True)
class Capacity:
    """What a worker has: GPUs and the memory of the smallest, the threads it may use, and the memory of its machine or
    container (bytes; None: not known). `version` is that of its release, None of one that does not say.
    """

    gpus: int = 0
    gpu_memory_bytes: int = 0
    threads: int = 1
    memory_bytes: int | None = None
    version: str | None = None

    def holds(self) -> ColumnElement[bool]:
        """The condition on a row of `jobs` that this worker can hold it; of an older release, which does not say what
        it has, that it is one for a single process.
        """
        if self.version is None:
            return jobs.c.gpus == 1
        on_gpus = and_(jobs.c.gpus <= self.gpus, func.coalesce(jobs.c.memory_bytes, 0) <= self.gpu_memory_bytes)
        on_cpu = jobs.c.gpus <= self.threads
        if self.memory_bytes is not None:
            on_cpu = and_(on_cpu, func.coalesce(jobs.c.memory_bytes, 0) * jobs.c.gpus <= self.memory_bytes)
        if self.gpus:
            return or_(and_(jobs.c.device != "cpu", on_gpus), and_(jobs.c.device == "cpu", on_cpu))
        return and_(jobs.c.device != "cuda", on_cpu)

    def nearness(self, needs: Needs) -> tuple[int, ...]:
        """How near a worker comes to such a job: the larger, the nearer."""
        memory = self.memory_bytes or 0
        if needs.device == "cpu":
            return min(self.threads, needs.gpus), memory
        return min(self.gpus, needs.gpus), self.gpu_memory_bytes, min(self.threads, needs.gpus), memory

    def lacks(self, needs: Needs) -> str | None:
        """What is missing for such a job, in words; None where nothing is."""
        if self.version is None:
            return None if needs.gpus == 1 else "a release that is too old for it"
        memory = needs.memory_bytes or 0
        if needs.device == "cuda" or (needs.device == "auto" and self.gpus):
            if needs.gpus > self.gpus:
                return f"{self.gpus} of {needs.gpus} GPUs" if self.gpus else "no GPU"
            return None if memory <= self.gpu_memory_bytes else f"a GPU with {_memory(self.gpu_memory_bytes, memory)}"
        if needs.gpus > self.threads:
            return f"{self.threads} of {needs.gpus} cores"
        if self.memory_bytes is not None and memory * needs.gpus > self.memory_bytes:
            return _memory(self.memory_bytes, memory * needs.gpus)
        return None


def can_be_held(workers: Iterable[Capacity]) -> ColumnElement[bool]:
    """The condition on a row of `jobs` that one of these workers can hold it."""
    return or_(false(), *(worker.holds() for worker in set(workers)))


def shortfall(needs: Needs, workers: Iterable[Capacity]) -> str | None:
    """Why such a job waits for more than its turn, in words; None where one of the live workers can hold it."""
    missing = [worker.lacks(needs) for worker in sorted(workers, key=lambda w: w.nearness(needs), reverse=True)]
    if None in missing:
        return None
    return f"no live worker can hold it; the largest has {missing[0]}" if missing else "no worker is alive"


def _memory(has: int, needed: int) -> str:
    return f"{has / GIB:.1f} of {needed / GIB:.1f} GiB of memory"
