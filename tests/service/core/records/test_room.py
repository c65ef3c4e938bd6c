"""What jobs take of a worker while they run side by side."""

from dataclasses import replace
from typing import Any

import pytest

from service.core.records.capacity import Capacity, Needs
from service.core.records.room import (
    Room,
    needed_to_start,
    sharers,
    taken,
    taken_after_training,
    trainer_threads,
    whole,
)

GIB = 1 << 30
CPU = Capacity(threads=4, memory_bytes=8 * GIB, version="1", slots=4)
GPU = replace(CPU, gpus=1, gpu_memory_bytes=16 * GIB)
SMALL, LARGE = Needs("cpu", 1, 1 << 20, 1), Needs("cpu", 1, 1 << 20, None)


def most_together(worker: Capacity, needs: Needs) -> int:
    """How many jobs with these needs the worker runs at the same time."""
    left, count = whole(worker), 0
    while left.is_left and left.holds(taken(worker, needs)):
        left, count = left - taken(worker, needs), count + 1
    return count


@pytest.mark.parametrize(
    ("worker", "needs", "count"),
    [
        (CPU, SMALL, 4),
        (CPU, LARGE, 1),
        (replace(CPU, slots=2), SMALL, 2),
        (replace(CPU, slots=1), SMALL, 1),
        (CPU, replace(SMALL, memory_bytes=3 * GIB), 2),
        (CPU, replace(SMALL, memory_bytes=64 * GIB), 1),
        (replace(CPU, memory_bytes=None), replace(SMALL, memory_bytes=64 * GIB), 4),
        (CPU, replace(SMALL, gpus=2), 1),
        (CPU, Needs("auto", 1, None, 1), 4),
        (GPU, Needs("auto", 1, 6 * GIB, None), 2),
        (GPU, Needs("cuda", 1, GIB, None), 4),
        (GPU, SMALL, 4),
    ],
)
def test_as_many_jobs_run_as_the_worker_holds(worker: Capacity, needs: Needs, count: int) -> None:
    assert most_together(worker, needs) == count


@pytest.mark.parametrize("needs", [SMALL, LARGE, replace(SMALL, memory_bytes=None), Needs("cuda", 4, 99 * GIB, None)])
@pytest.mark.parametrize("worker", [CPU, GPU, replace(CPU, slots=1)])
def test_an_idle_worker_has_room_for_every_job(worker: Capacity, needs: Needs) -> None:
    assert whole(worker).holds(taken(worker, needs))


@pytest.mark.parametrize(
    ("worker", "needs", "threads"),
    [(CPU, SMALL, 1), (CPU, LARGE, 4), (replace(CPU, slots=1), SMALL, 4), (GPU, Needs("auto", 1, GIB, 1), 4)],
)
def test_threads_follow_from_the_job_and_the_worker(worker: Capacity, needs: Needs, threads: int) -> None:
    assert trainer_threads(worker, needs) == threads


@pytest.mark.parametrize(
    ("worker", "needs", "count"),
    [(CPU, SMALL, 4), (CPU, LARGE, 1), (replace(CPU, slots=2), SMALL, 2), (replace(CPU, slots=1), SMALL, 1)],
)
def test_jobs_that_may_run_together_share_the_memory(worker: Capacity, needs: Needs, count: int) -> None:
    assert sharers(worker, needs) == count


@pytest.mark.parametrize(("running", "starts"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_large_job_starts_once_half_of_the_threads_are_free(running: int, starts: bool) -> None:
    left = whole(CPU)
    for _ in range(running):
        left -= taken(CPU, SMALL)
    assert left.holds(needed_to_start(CPU, LARGE)) == starts
    assert not (left - taken(CPU, LARGE)).is_left, "nothing starts beside it"


@pytest.mark.parametrize("needs", [SMALL, replace(SMALL, gpus=2), Needs("cuda", 1, GIB, None)])
def test_other_jobs_start_once_all_that_they_take_is_free(needs: Needs) -> None:
    worker = replace(GPU, slots=2)
    left = whole(worker) - taken(worker, needs)
    assert needed_to_start(worker, SMALL) == taken(worker, SMALL)
    assert left.holds(needed_to_start(worker, needs)) == left.holds(taken(worker, needs))


@pytest.mark.parametrize(("worker", "is_left"), [(CPU, True), (replace(CPU, slots=1), False)])
def test_a_trained_job_takes_memory_alone(worker: Capacity, is_left: bool) -> None:
    trained = taken_after_training(taken(worker, LARGE))
    assert (trained.slots, trained.threads, trained.memory_bytes > 0) == (0, 0, True)
    left = whole(worker) - trained
    assert left.is_left == left.holds(taken(worker, LARGE)) == is_left, "with one slot, a job is alone to its end"


@pytest.mark.parametrize("lacking", [{"slots": 0}, {"threads": 0}, {"memory_bytes": 0}])
def test_nothing_is_left_without_a_slot_a_thread_or_memory(lacking: dict[str, Any]) -> None:
    assert not replace(Room(1, 1, GIB, 0), **lacking).is_left
