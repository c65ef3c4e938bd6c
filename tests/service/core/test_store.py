"""The job record under every transition, with the fencing that all of a worker's writes carry."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.core.database import Database
from service.core.errors import Conflict, LeaseLost, NotFound
from service.core.history import Epoch
from service.core.jobs import Failure, Job, Outcome, Phase, Status, StopReason
from service.core.spec import JobSpec
from service.core.storage import Artifact
from service.core.store import Lease, Store

SUCCESS = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)
MODEL = Artifact("best_model.pth", "jobs/x/a1/best_model.pth", 3, "abc", "application/octet-stream")


def submit(store: Store, tenant: str = "t", **changes: Any) -> Job:
    return store.submit(tenant, JobSpec.from_dict({"dataset": {"id": "digits"}, **changes}).filled(1))


def claim(store: Store) -> Lease:
    lease = store.claim("worker", 60)
    assert lease is not None
    return lease


def epoch(number: int, *, improved: bool = True) -> Epoch:
    return Epoch(number, 1.0, 1.0, 1 / number, 0.5, 0.5, 0.0, 1e-3, 0.1, 10.0, improved, 0)


def statuses(job: Job) -> list[str]:
    return [transition.status for transition in job.transitions]


def test_a_job_lives_from_the_queue_to_its_result(store: Store) -> None:
    job = submit(store, epochs=4, labels={"a": "b"})
    assert (job.status, job.attempt, job.jobs_ahead, job.progress.epoch) == (Status.QUEUED, 0, 0, 0)
    lease = claim(store)
    assert (lease.job_id, lease.attempt, JobSpec.from_dict(lease.spec)) == (job.id, 1, job.spec)
    store.enter(lease, Phase.TRAINING)
    store.append(lease, [epoch(1), epoch(2), epoch(3, improved=False)])
    running = store.get("t", job.id)
    assert (running.status, running.phase, running.jobs_ahead) == (Status.RUNNING, Phase.TRAINING, None)
    assert running.best is not None
    assert (running.best.epoch, running.progress.fraction) == (2, 0.75)
    assert running.progress.eta_seconds == pytest.approx(0.1)
    store.finish(lease, SUCCESS, [MODEL])
    ended = store.get("t", job.id)
    assert (ended.status, ended.stop_reason, ended.phase, ended.is_terminal) == ("succeeded", "max_epochs", None, True)
    assert statuses(ended) == ["queued", "running", "succeeded"]
    assert ended.created_at <= (ended.started_at or 0) <= (ended.finished_at or 0)
    assert store.artifacts("t", job.id) == (MODEL,)
    assert [e.epoch for e in store.history("t", job.id, after_epoch=1)[1]] == [2, 3]


def test_every_change_raises_the_version_by_one_and_leaves_an_event_of_that_number(
    store: Store, database: Database
) -> None:
    job = submit(store)
    lease = claim(store)
    store.append(lease, [epoch(1), epoch(2)])
    store.finish(lease, SUCCESS, [])
    with database.read() as c:
        seen = c.exec_driver_sql("SELECT seq, type FROM events ORDER BY seq").all()
    assert [tuple(row) for row in seen] == [(1, "status"), (2, "status"), (3, "epoch"), (4, "epoch"), (5, "status")]
    assert store.get("t", job.id).version == 5


def test_jobs_are_claimed_by_priority_then_age(store: Store) -> None:
    first, second = submit(store), submit(store)
    urgent, idle = submit(store, priority=9), submit(store, priority=0)
    ahead = {job.id: store.get("t", job.id).jobs_ahead for job in (first, second, urgent, idle)}
    assert ahead == {urgent.id: 0, first.id: 1, second.id: 2, idle.id: 3}
    assert [claim(store).job_id for _ in range(4)] == [urgent.id, first.id, second.id, idle.id]
    assert store.claim("worker", 60) is None


def test_many_workers_that_claim_at_once_each_get_another_job(store: Store) -> None:
    wanted = {submit(store).id for _ in range(20)}
    start = threading.Barrier(8)

    def take(worker: int) -> list[str]:
        start.wait()
        taken = []
        while lease := store.claim(f"w{worker}", 60):
            taken.append(lease.job_id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for part in pool.map(take, range(8)) for job_id in part]
    assert len(taken) == 20
    assert set(taken) == wanted


def test_an_old_attempt_can_write_nothing(store: Store) -> None:
    job = submit(store)
    old = claim(store)
    store.append(old, [epoch(1)])
    store.release(old)
    new = claim(store)
    assert new.attempt == 2
    before = store.get("t", job.id)
    for write in (
        lambda: store.append(old, [epoch(2)]),
        lambda: store.enter(old, Phase.FINALIZING),
        lambda: store.finish(old, SUCCESS, [MODEL]),
        lambda: store.release(old),
        lambda: store.renew(old, 60),
        lambda: store.is_cancel_requested(old),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert store.get("t", job.id) == before
    assert store.artifacts("t", job.id) == ()
    store.append(new, [epoch(1)])


def test_a_result_is_published_whole_or_not_at_all(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.finish(lease, SUCCESS, [MODEL, MODEL])
    assert store.get("t", job.id).status is Status.RUNNING
    assert store.artifacts("t", job.id) == ()


def test_a_released_job_is_queued_again_from_its_beginning(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.append(lease, [epoch(1)])
    store.release(lease)
    back = store.get("t", job.id)
    assert (back.status, back.last, back.best, back.phase) == (Status.QUEUED, None, None, None)
    assert store.history("t", job.id)[1] == ()
    assert store.due_hints(window=4, older_than=60) == (job.id,)


def test_a_queued_job_is_cancelled_at_once_and_never_runs(store: Store) -> None:
    job = submit(store)
    cancelled, changed = store.cancel("t", job.id)
    assert (cancelled.status, cancelled.stop_reason, changed) == ("cancelled", "cancelled", True)
    assert store.claim("worker", 60) is None
    again, changed = store.cancel("t", job.id)
    assert again == cancelled
    assert not changed


def test_a_running_job_is_asked_to_stop_and_cannot_be_released_any_more(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    assert store.renew(lease, 60) is False
    assert store.cancel("t", job.id)[0].status is Status.RUNNING
    assert store.renew(lease, 60) is True
    assert store.is_cancel_requested(lease) is True
    assert store.cancel("t", job.id)[1] is False
    assert store.release(lease) is False, "it is the worker's to finish, with its best model"
    assert store.get("t", job.id).status is Status.RUNNING


def test_only_an_ended_job_can_be_deleted_and_nothing_of_it_is_left(store: Store, database: Database) -> None:
    job = submit(store, labels={"a": "b"})
    with pytest.raises(Conflict, match="queued"):
        store.delete("t", job.id)
    lease = claim(store)
    store.append(lease, [epoch(1)])
    with pytest.raises(Conflict, match="running"):
        store.delete("t", job.id)
    store.finish(lease, SUCCESS, [MODEL])
    store.delete("t", job.id)
    with pytest.raises(NotFound):
        store.get("t", job.id)
    with database.read() as c:
        for table in ("jobs", "job_labels", "epochs", "events", "artifacts"):
            assert c.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table  # noqa: S608 - our own names


def test_an_epoch_that_is_written_again_is_recorded_once(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.append(lease, [epoch(1), epoch(2)])
    version = store.get("t", job.id).version
    store.append(lease, [epoch(1), epoch(2)])
    assert store.get("t", job.id).version == version
    store.append(lease, [epoch(2), epoch(3)])
    assert [e.epoch for e in store.history("t", job.id)[1]] == [1, 2, 3]


def test_an_error_is_kept_with_its_origin(store: Store) -> None:
    job = submit(store)
    failure = Failure("infrastructure", "trainer_lost", "exit code -9")
    store.finish(claim(store), Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), [])
    assert store.get("t", job.id).error == failure


def test_what_belongs_to_another_tenant_is_not_there(store: Store) -> None:
    job = submit(store, tenant="mine")
    for look in (
        lambda: store.get("theirs", job.id),
        lambda: store.cancel("theirs", job.id),
        lambda: store.delete("theirs", job.id),
        lambda: store.history("theirs", job.id),
        lambda: store.artifacts("theirs", job.id),
    ):
        with pytest.raises(NotFound):
            look()
    assert store.list("theirs", 10).jobs == ()


def test_lists_page_newest_first_and_filter_by_all_labels(store: Store) -> None:
    ids = [submit(store, labels={"n": str(i), "even": str(i % 2 == 0)}).id for i in range(5)]
    page = store.list("t", 2)
    assert [job.id for job in page.jobs] == ids[:2:-1]
    rest = store.list("t", 10, before_seq=page.next_seq)
    assert [job.id for job in rest.jobs] == ids[2::-1]
    assert rest.next_seq is None
    assert [job.id for job in store.list("t", 10, wanted_labels=[("even", "True"), ("n", "2")]).jobs] == [ids[2]]
    store.cancel("t", ids[0])
    assert [job.id for job in store.list("t", 10, statuses=[Status.CANCELLED]).jobs] == [ids[0]]


def test_only_the_head_of_the_queue_is_hinted_again_and_only_when_its_hint_is_old(store: Store) -> None:
    ids = [submit(store).id for _ in range(5)]
    assert store.due_hints(window=3, older_than=60) == ()
    assert set(store.due_hints(window=3, older_than=0)) == set(ids[:3])
    assert store.due_hints(window=3, older_than=60) == ()
    store.forget_hints(ids[1])
    assert store.due_hints(window=3, older_than=60) == (ids[1],)


def test_a_change_is_told_once_it_is_committed(database: Database) -> None:
    told: list[tuple[str, str]] = []
    store = Store(database, lambda job_id: told.append((job_id, store.get("t", job_id).status)))
    job = submit(store)
    claim(store)
    assert told == [(job.id, "queued"), (job.id, "running")]


def test_writers_wait_for_each_other_instead_of_failing(store: Store) -> None:
    def work(n: int) -> None:
        for _ in range(10):
            job = submit(store, tenant=f"t{n}")
            store.cancel(f"t{n}", job.id)  # reads before it writes

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert sum(len(store.list(f"t{n}", 100).jobs) for n in range(8)) == 80


def test_jobs_that_no_worker_holds_any_more_are_put_back_or_ended(store: Store) -> None:
    lost, cancelled, queued = submit(store), submit(store), submit(store)
    first = claim(store)
    claim(store)
    store.append(first, [epoch(1)])
    store.cancel("t", cancelled.id)
    assert store.recover() == 2
    assert [store.get("t", job.id).status for job in (lost, cancelled, queued)] == ["queued", "cancelled", "queued"]
    assert claim(store).attempt == 2
    with pytest.raises(LeaseLost):
        store.renew(first, 60)
