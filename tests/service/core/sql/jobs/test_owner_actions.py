"""The actions of owners under every status of a job."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.core.errors import Conflict, KeyReused, NotFound
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.job import (
    ControlRequest,
    Failure,
    Outcome,
    Status,
    StopReason,
)
from service.core.records.plan import UNLIMITED, plan
from service.core.records.submission import IdempotencyKey, NewJob
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from tests.service.core.sql.jobs.samples import MODEL, SUCCESS, checkpoint, claim, epoch, spec, submit


def test_a_queued_job_is_cancelled_at_once_and_never_runs(store: Store) -> None:
    job = submit(store)
    cancelled, changed = store.actions.cancel("t", job.id)
    assert (cancelled.status, cancelled.stop_reason, changed) == ("cancelled", "cancelled", True)
    assert store.leases.claim("worker", 60) is None
    again, changed = store.actions.cancel("t", job.id)
    assert again == cancelled
    assert not changed


def test_a_cancelled_running_job_cannot_be_released(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    assert store.leases.renew(lease, 60) is None
    assert store.actions.cancel("t", job.id)[0].status is Status.RUNNING
    assert store.leases.renew(lease, 60) is ControlRequest.CANCEL
    assert store.leases.control_request(lease) is ControlRequest.CANCEL
    assert store.actions.cancel("t", job.id)[1] is False
    assert store.leases.release(lease, is_leaving=True) is None, "it is the worker's to finish, with its best model"
    assert store.queries.get("t", job.id).status is Status.RUNNING


def test_only_an_ended_job_is_deleted_and_nothing_is_left(store: Store, database: Database) -> None:
    job, _ = store.actions.submit("t", NewJob(spec(labels={"a": "b"})), IdempotencyKey("k", "1"))
    with pytest.raises(Conflict, match="queued"):
        store.actions.delete("t", job.id)
    lease = claim(store)
    store.leases.append(lease, [epoch(1)])
    with pytest.raises(Conflict, match="running"):
        store.actions.delete("t", job.id)
    store.leases.finish(lease, SUCCESS, [MODEL])
    store.actions.delete("t", job.id)
    with pytest.raises(NotFound):
        store.queries.get("t", job.id)
    with database.read() as c:
        for table in ("jobs", "job_labels", "epochs", "events", "artifacts", "idempotency"):
            assert c.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table  # noqa: S608 - our own names


def test_a_queued_job_is_paused_and_resumed(store: Store) -> None:
    job = submit(store)
    assert store.actions.pause("t", job.id)[0].status is Status.PAUSED
    assert store.actions.pause("t", job.id)[1] is False
    assert store.leases.claim("worker", 60) is None
    resumed, changed = store.actions.resume("t", job.id)
    assert (resumed.status, changed) == (Status.QUEUED, True)
    with pytest.raises(Conflict, match="queued"):
        store.actions.resume("t", job.id)
    assert claim(store).job_id == job.id


def test_a_paused_running_job_resumes_from_its_checkpoint(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    asked, changed = store.actions.pause("t", job.id)
    assert (asked.status, asked.pause_requested, changed) == (Status.RUNNING, True, True)
    assert store.leases.control_request(lease) is ControlRequest.PAUSE
    store.leases.record_checkpoint(lease, checkpoint(1))
    assert store.leases.release(lease, is_leaving=True) is Status.PAUSED
    paused = store.queries.get("t", job.id)
    assert (paused.status, paused.pause_requested, paused.releases) == (Status.PAUSED, False, 0)
    store.actions.resume("t", job.id)
    assert [kept.epochs for kept in claim(store).checkpoints] == [1]


def test_a_request_to_pause_can_be_withdrawn(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.actions.pause("t", job.id)
    assert store.actions.resume("t", job.id)[0].pause_requested is False
    assert store.leases.control_request(lease) is None
    store.actions.pause("t", job.id)
    store.actions.cancel("t", job.id)
    assert store.leases.control_request(lease) is ControlRequest.CANCEL
    for action in (store.actions.pause, store.actions.resume):
        with pytest.raises(Conflict, match="being cancelled"):
            action("t", job.id)


def test_a_paused_job_keeps_its_best_model_when_cancelled(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.leases.append(lease, [epoch(1)])
    store.leases.record_checkpoint(lease, checkpoint(1))
    store.actions.pause("t", job.id)
    store.leases.release(lease, is_leaving=True)
    cancelled, _ = store.actions.cancel("t", job.id)
    assert cancelled.status is Status.CANCELLED
    assert store.queries.artifacts("t", job.id) == (checkpoint(1).best,)


@pytest.mark.parametrize("action", ["pause", "resume", "retry"])
def test_a_succeeded_job_cannot_be_brought_back(store: Store, action: str) -> None:
    job = submit(store)
    store.leases.finish(claim(store), SUCCESS, [MODEL])
    with pytest.raises(Conflict, match="succeeded"):
        getattr(store.actions, action)("t", job.id)


@pytest.mark.parametrize("origin", ["user", "infrastructure"])
def test_a_failed_job_is_retried_from_where_its_fault_lies(store: Store, origin: str) -> None:
    job = submit(store)
    lease = claim(store)
    store.leases.append(lease, [epoch(1), epoch(2)])
    store.leases.record_checkpoint(lease, checkpoint(2))
    failure = Failure(origin, "x", "y")
    store.leases.finish(lease, Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), [MODEL])
    again, changed = store.actions.retry("t", job.id)
    assert changed
    assert (again.status, again.error, again.stop_reason, again.finished_at) == (Status.QUEUED, None, None, None)
    assert store.queries.artifacts("t", job.id) == ()
    kept = [checkpoint.epochs for checkpoint in claim(store).checkpoints]
    assert kept == ([2] if origin == "infrastructure" else [])
    assert len(store.queries.history("t", job.id)[1]) == (2 if origin == "infrastructure" else 0)


def test_a_scoring_stays_one_with_any_number_of_gpus(store: Store) -> None:
    model = submit(store)
    store.leases.finish(claim(store), SUCCESS, [MODEL])
    scoring = store.actions.submit("t", NewJob(spec(), scores=model.id))[0]
    store.actions.pause("t", scoring.id)
    shared = plan(spec(gpus=2), CONTENTS_OF["digits"], UNLIMITED)
    with pytest.raises(Conflict, match="one process"):
        store.actions.resume("t", scoring.id, shared)
    store.actions.resume("t", scoring.id)
    lease = claim(store)
    assert lease.only_scores
    store.leases.finish(lease, Outcome(Status.FAILED, StopReason.WORKER_LOST, Failure("infrastructure", "x", "y")), [])
    with pytest.raises(Conflict, match="one process"):
        store.actions.retry("t", scoring.id, shared)
    store.actions.retry("t", scoring.id)
    assert claim(store).only_scores


def test_a_job_cancelled_while_it_finishes_keeps_its_results(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.actions.cancel("t", job.id)
    assert store.leases.finish(lease, SUCCESS, [MODEL]).status is Status.CANCELLED
    assert store.queries.get("t", job.id).status is Status.CANCELLED
    assert store.queries.artifacts("t", job.id) == (MODEL,)


def test_a_repeated_key_gets_the_same_job_for_the_same_request(store: Store) -> None:
    key = IdempotencyKey("k", "digest")
    job, is_new = store.actions.submit("t", NewJob(spec()), key)
    again, is_new_again = store.actions.submit("t", NewJob(spec(epochs=2)), key)
    assert (is_new, is_new_again, again.id) == (True, False, job.id)
    with pytest.raises(KeyReused, match="new key"):
        store.actions.submit("t", NewJob(spec()), IdempotencyKey("k", "other"))
    assert store.actions.submit("other", NewJob(spec()), key)[1], "another tenant's keys are its own"
    assert len(store.queries.list("t", 10).items) == 1


def test_many_requests_with_one_key_at_once_make_one_job(store: Store) -> None:
    start = threading.Barrier(8)

    def send(_: int) -> tuple[str, bool]:
        start.wait()
        job, is_new = store.actions.submit("t", NewJob(spec()), IdempotencyKey("k", "digest"))
        return job.id, is_new

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1


def test_writers_wait_for_each_other_instead_of_failing(store: Store) -> None:
    def work(n: int) -> None:
        for _ in range(10):
            job = submit(store, tenant=f"t{n}")
            store.actions.cancel(f"t{n}", job.id)  # reads before it writes

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert sum(len(store.queries.list(f"t{n}", 100).items) for n in range(8)) == 80


def test_on_change_is_called_after_the_commit(database: Database) -> None:
    changes: list[tuple[str, str]] = []
    store = Store(database, lambda job_id: changes.append((job_id, store.queries.get("t", job_id).status)))
    job = submit(store)
    claim(store)
    assert changes == [(job.id, "queued"), (job.id, "running")]
