"""A job goes only to a worker that can hold it, and one that none can hold says so."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from service.core.errors import NoRoom
from service.core.records.capacity import Capacity, Needs, shortfall
from service.core.records.room import taken, whole
from service.core.records.submission import NewJob
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import jobs
from service.core.sql.worker_registry import WorkerRegistry

GIB = 1 << 30
CPU = Capacity(threads=4, memory_bytes=8 * GIB, version="1")
GPU = Capacity(gpus=1, gpu_memory_bytes=16 * GIB, threads=8, memory_bytes=64 * GIB, version="1")
MANY = replace(GPU, gpus=4, gpu_memory_bytes=80 * GIB)
OLD = Capacity()  # one of a release that says nothing of itself

CASES = [
    ({}, None, [CPU, GPU, MANY, OLD]),
    ({"device": "cuda"}, None, [GPU, MANY, OLD]),
    ({"gpus": 2}, None, [CPU, MANY]),
    ({"gpus": 2, "device": "cuda"}, None, [MANY]),
    ({"gpus": 5, "device": "cpu"}, None, [GPU, MANY]),
    ({"gpus": 8}, None, []),
    ({}, 10 * GIB, [GPU, MANY, OLD]),
    ({}, 32 * GIB, [MANY, OLD]),
    ({"device": "cpu"}, 32 * GIB, [GPU, MANY, OLD]),
    ({"gpus": 2, "device": "cpu"}, 6 * GIB, [GPU, MANY]),
]


def submit(store: Store, changes: dict[str, Any], memory_bytes: int | None = None) -> str:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, **changes}).filled(1)
    return store.actions.submit("t", NewJob(spec, memory_bytes=memory_bytes))[0].id


@pytest.mark.parametrize(("changes", "memory_bytes", "able"), CASES)
def test_a_worker_claims_a_job_exactly_if_it_lacks_nothing(
    store: Store, changes: dict[str, Any], memory_bytes: int | None, able: list[Capacity]
) -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, **changes})
    needs = Needs(spec.device, spec.gpus, memory_bytes)
    for worker in (CPU, GPU, MANY, OLD):
        job_id = submit(store, changes, memory_bytes)
        lease = store.leases.claim("w", 60, worker)
        assert (lease is not None) == (worker in able), worker
        assert (worker.lacks(needs) is None) == (worker in able), worker
        if lease is None:
            store.actions.cancel("t", job_id)


def test_a_worker_skips_jobs_that_it_cannot_hold(store: Store) -> None:
    large, small = submit(store, {"gpus": 4, "device": "cuda", "priority": 9}), submit(store, {})
    lease = store.leases.claim("w", 60, CPU)
    assert lease
    assert lease.job_id == small
    assert store.leases.claim("w", 60, CPU) is None
    lease = store.leases.claim("w", 60, MANY)
    assert lease
    assert lease.job_id == large


def test_only_jobs_that_a_live_worker_can_hold_are_hinted(store: Store) -> None:
    for _ in range(5):
        submit(store, {"gpus": 8, "device": "cuda", "priority": 9})
    small = submit(store, {})
    store.hints.forget_hints()
    assert store.hints.due_hints(4, 60, [CPU, GPU]) == (small,)
    assert len(store.hints.due_hints(4, 60)) == 4, "with no worker alive, the first of those that will come"


def test_a_queued_job_says_why_it_waits(store: Store, database: Database) -> None:
    def why() -> str | None:
        return store.queries.get("t", job_id).shortfall

    job_id, registry = submit(store, {"gpus": 2, "device": "cuda"}, GIB), WorkerRegistry(database)
    assert why() == "no worker is alive"
    registry.heartbeat("small", 60, CPU)
    assert why() == "no live worker is large enough; the largest has no GPU"
    registry.heartbeat("larger", 60, GPU)
    assert why() == "no live worker is large enough; the largest has 1 of 2 GPUs"
    registry.heartbeat("large", 60, MANY)
    assert why() is None
    assert registry.live_workers(60) == {"small": CPU, "larger": GPU, "large": MANY}
    registry.deregister("large")
    assert why() is not None
    store.leases.claim("w", 60, MANY)
    assert why() is None, "it runs"


@pytest.mark.parametrize(
    ("needs", "worker", "words"),
    [
        (Needs("cpu", 9, None), CPU, "4 of 9 cores"),
        (Needs("auto", 1, 20 * GIB), GPU, "a GPU with 16.0 of 20.0 GiB of memory"),
        (Needs("auto", 2, 6 * GIB), CPU, "8.0 of 12.0 GiB of memory"),
        (Needs("cpu", 32, None), replace(CPU, threads=16), "16 of 32 cores"),
    ],
)
def test_the_words_name_what_is_missing(needs: Needs, worker: Capacity, words: str) -> None:
    smaller = replace(worker, gpu_memory_bytes=min(GIB, worker.gpu_memory_bytes), threads=1, memory_bytes=GIB)
    sentence = f"no live worker is large enough; the largest has {words}"
    assert shortfall(needs, [worker]) == shortfall(needs, [smaller, worker, smaller]) == sentence


def test_a_worker_of_an_old_release_holds_single_processes_only() -> None:
    assert shortfall(Needs("cuda", 1, GIB), [OLD]) is None
    assert shortfall(Needs("cpu", 2, None), [OLD]) == (
        "no live worker is large enough; the largest has a release that is too old for it"
    )


def test_a_hint_that_reached_the_wrong_worker_is_deferred(store: Store, database: Database) -> None:
    job_id = submit(store, {})
    assert store.hints.due_hints(4, 60) == ()
    store.hints.defer_hint(job_id, 60, 5)
    assert store.hints.due_hints(4, 60) == ()
    with database.write() as c:
        c.execute(update(jobs).values(hinted_at=jobs.c.hinted_at - 6))
    assert store.hints.due_hints(4, 60) == (job_id,)


def test_a_job_is_taken_if_it_fits_beside_those_that_run(store: Store) -> None:
    worker = replace(CPU, slots=4)
    small = taken(worker, Needs("cpu", 1, GIB, threads=1))
    room = whole(worker) - small
    for threads in (None, 1, 1):
        new = NewJob(JobSpec.from_dict({"dataset": {"id": "digits"}}).filled(1), memory_bytes=GIB, threads=threads)
        store.actions.submit("t", new)
    with pytest.raises(NoRoom):
        store.leases.claim("w", 60, worker, room=room - small - small)
    first = store.leases.claim("w", 60, worker)
    assert first
    assert first.needs.threads is None, "no later job has overtaken the large one"
    second = store.leases.claim("w", 60, worker, room=room)
    assert second
    assert second.needs == Needs("auto", 1, GIB, 1)
    assert store.leases.claim("w", 60, worker, room=room - small)
    assert store.leases.claim("w", 60, worker, room=room) is None, "the queue is empty"
