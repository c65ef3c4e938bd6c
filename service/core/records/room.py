"""The room of a worker: what its running jobs take of it, and what they leave.

A worker trains several jobs side by side if all of them fit. It takes them in the order of the queue: a job that does
not fit yet is waited for, and no later one overtakes it. So a large job waits no longer than the jobs that already run;
meanwhile other workers may take it. It starts once half of its cores are free, because idle cores are a larger loss
than the time that threads wait for each other. The jobs that still run share their cores with it.

Once its training has ended a job leaves its slot and its threads to others: its artifacts are written and published
beside their training.
"""

import math
from dataclasses import dataclass, replace

from service.core.records.capacity import Capacity, Needs

PROCESS_BYTES = 512 << 20  # of a trainer, beside what the plan counts: its modules, buffers and the export
CONTEXT_BYTES = 1 << 30  # of GPU memory, likewise: the CUDA context, the libraries' workspace and the images
UNKNOWN = 2**63  # bytes of memory, where no limit is known


@dataclass(frozen=True)
class Room:
    """Slots, threads, bytes of memory, and bytes of the memory of each GPU."""

    slots: int
    threads: int
    memory_bytes: int
    gpu_memory_bytes: int

    def __sub__(self, other: "Room") -> "Room":
        return Room(
            self.slots - other.slots,
            self.threads - other.threads,
            self.memory_bytes - other.memory_bytes,
            self.gpu_memory_bytes - other.gpu_memory_bytes,
        )

    def holds(self, other: "Room") -> bool:
        """Whether the other fits into this one."""
        left = self - other
        return min(left.slots, left.threads, left.memory_bytes, left.gpu_memory_bytes) >= 0

    @property
    def is_left(self) -> bool:
        """Whether a job of the smallest kind might fit."""
        return self.slots > 0 and self.threads > 0 and self.memory_bytes > 0


def whole(worker: Capacity) -> Room:
    """All of a worker."""
    memory = UNKNOWN if worker.memory_bytes is None else worker.memory_bytes
    return Room(worker.slots, worker.threads, memory, worker.gpu_memory_bytes)


def taken(worker: Capacity, needs: Needs) -> Room:
    """What a job takes of the worker while it runs; never more than the whole, so that an idle worker can run any job
    that its capacity holds.

    A job with several processes takes all of it. On a GPU a job takes one thread and shares the memory of the GPU.
    """
    room = whole(worker)
    if worker.slots == 1 or needs.gpus > 1:
        return room
    memory = needs.memory_bytes or 0
    if worker.runs_on_gpu(needs.device):
        on_gpu = min(room.gpu_memory_bytes, memory + CONTEXT_BYTES)
        return Room(1, 1, min(room.memory_bytes, PROCESS_BYTES), on_gpu)
    threads = min(room.threads, needs.threads or room.threads)
    return Room(1, threads, min(room.memory_bytes, memory + PROCESS_BYTES), 0)


def needed_to_start(worker: Capacity, needs: Needs) -> Room:
    """What must be left for a job to start: all that it takes, but half of the threads."""
    share = taken(worker, needs)
    return replace(share, threads=math.ceil(share.threads / 2))


def taken_after_training(training: Room) -> Room:
    """What a job takes until its artifacts are published that took so much while it trained: memory alone."""
    return replace(training, slots=0, threads=0)


def trainer_threads(worker: Capacity, needs: Needs) -> int:
    """The threads of the job's trainer. They follow from the job and the worker alone, not from what else runs, so
    that the results are the same. On a GPU they are mostly idle, and each trainer may use all of them.
    """
    return worker.threads if worker.runs_on_gpu(needs.device) else taken(worker, needs).threads


def sharers(worker: Capacity, needs: Needs) -> int:
    """The most jobs with this number of threads that the worker trains at the same time: they share its free memory."""
    return min(worker.slots, worker.threads // taken(worker, needs).threads)
