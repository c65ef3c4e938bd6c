"""Jobs that are paused after an epoch, and what their fit and their owner do with them then."""

import pytest

from service.core.errors import Conflict, NotFound
from service.core.records.job import Job, Status
from service.core.records.lease import Lease
from service.core.records.submission import NewJob
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.jobs.trials import resume_until
from tests.service.core.sql.jobs.samples import RETRIES, SUCCESS, checkpoint, claim, epoch, spec, submit


def submit_trial(store: Store, pause_after: int | None) -> Job:
    return store.actions.submit("t", NewJob(spec(), pause_after=pause_after))[0]


def train(store: Store, lease: Lease, epochs: int) -> Status | None:
    """Train up to that epoch, store a checkpoint and release the job; its status then."""
    store.leases.append(lease, [epoch(number) for number in range(1, epochs + 1)])
    store.leases.record_checkpoint(lease, checkpoint(epochs))
    return store.leases.release(lease, is_leaving=False)


def test_a_released_trial_is_paused_once_it_has_its_epochs(store: Store) -> None:
    job = submit_trial(store, 2)
    assert train(store, claim(store), 1) is Status.QUEUED
    lease = claim(store)
    assert (lease.job_id, lease.pause_after) == (job.id, 2)
    assert train(store, lease, 2) is Status.PAUSED
    paused = store.queries.get("t", job.id)
    assert (paused.status, paused.pause_requested, paused.releases) == (Status.PAUSED, False, 0)


def test_a_worker_that_does_not_pause_ends_the_trial(store: Store) -> None:
    job = submit_trial(store, 1)
    lease = claim(store)
    store.leases.append(lease, [epoch(1), epoch(2)])
    assert store.leases.finish(lease, SUCCESS, []).status is Status.SUCCEEDED
    assert store.queries.get("t", job.id).status is Status.SUCCEEDED


def test_a_lost_trial_is_queued_and_still_paused_later(store: Store) -> None:
    job = submit_trial(store, 2)
    train(store, claim(store), 1)
    claim(store)
    assert store.leases.recover(RETRIES) == {job.id: Status.QUEUED}
    assert claim(store).pause_after == 2


def test_a_paused_trial_goes_on_to_another_epoch(store: Store, database: Database) -> None:
    job = submit_trial(store, 1)
    train(store, claim(store), 1)
    with database.write() as c:
        resume_until(c, "t", job.id, 3)
    lease = claim(store)
    assert (lease.pause_after, [kept.epochs for kept in lease.checkpoints]) == (3, [1])
    assert train(store, lease, 3) is Status.PAUSED
    with database.write() as c:
        resume_until(c, "t", job.id, None)
    lease = claim(store)
    assert lease.pause_after is None
    assert train(store, lease, 4) is Status.QUEUED


def test_a_resumed_trial_waits_behind_the_tenant_s_queue(store: Store, database: Database) -> None:
    trial = submit_trial(store, 1)
    train(store, claim(store), 1)
    other = submit(store)
    with database.write() as c:
        resume_until(c, "t", trial.id, 2)
    assert [claim(store).job_id for _ in range(2)] == [other.id, trial.id]


def test_only_a_paused_trial_is_resumed(store: Store, database: Database) -> None:
    job = submit_trial(store, 1)
    with pytest.raises(Conflict, match="queued, not paused"), database.write() as c:
        resume_until(c, "t", job.id, 2)
    with pytest.raises(NotFound), database.write() as c:
        resume_until(c, "t", "job_unknown", 2)


def test_an_owner_s_pause_keeps_the_later_one_of_the_fit(store: Store) -> None:
    job = submit_trial(store, 2)
    lease = claim(store)
    store.actions.pause("t", job.id)
    assert train(store, lease, 1) is Status.PAUSED
    store.actions.resume("t", job.id)
    assert claim(store).pause_after == 2


def test_an_owner_resumes_a_trial_at_its_pause_to_its_end(store: Store) -> None:
    job = submit_trial(store, 2)
    train(store, claim(store), 2)
    store.actions.resume("t", job.id)
    lease = claim(store)
    assert lease.pause_after is None
    assert train(store, lease, 3) is Status.QUEUED
