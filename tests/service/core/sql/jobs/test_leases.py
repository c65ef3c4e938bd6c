"""Leases from the claim to the end of a job, fenced by the attempt."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
from sqlalchemy import select

from service.core.errors import LeaseLost
from service.core.records.facts import CalibrationFact, Mirroring
from service.core.records.job import (
    Failure,
    Job,
    Outcome,
    Phase,
    Retries,
    Status,
    StopReason,
)
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import jobs
from tests.service.core.sql.jobs.samples import MODEL, RETRIES, SUCCESS, checkpoint, claim, epoch, submit

CALIBRATION = CalibrationFact(1.5, 0.5, 0.4, 0.1, 0.05)


def statuses(job: Job) -> list[str]:
    return [transition.status for transition in job.transitions]


def test_release_0_1_0_finds_only_the_facts_that_it_knows(store: Store, database: Database) -> None:
    job, lease = submit(store), claim(store)
    first = {"images": {"train": 8}, "trivial_loss": 2.3, "trivial_accuracy": 0.1, "copies_across": 0}
    store.leases.record_facts(lease, first | {"mirroring": {"images": 4, "right": 3, "mirrored": 1}})
    store.leases.record_facts(lease, {"calibration": asdict(CALIBRATION)})
    with database.read() as c:
        stored = c.execute(select(jobs.c.facts).where(jobs.c.id == job.id)).scalar_one()
    assert stored == first
    facts = store.queries.get("t", job.id).facts
    assert facts is not None
    assert facts.mirroring == Mirroring(4, 3, 1)
    assert facts.calibration == CALIBRATION


def test_a_job_lives_from_the_queue_to_its_result(store: Store) -> None:
    job = submit(store, epochs=4, labels={"a": "b"})
    assert (job.status, job.attempt, job.jobs_ahead, job.progress.epoch) == (Status.QUEUED, 0, 0, 0)
    lease = claim(store)
    assert (lease.job_id, lease.attempt, JobSpec.from_dict(lease.spec)) == (job.id, 1, job.spec)
    store.leases.set_phase(lease, Phase.TRAINING)
    store.leases.append(lease, [epoch(1), epoch(2), epoch(3, improved=False)])
    running = store.queries.get("t", job.id)
    assert (running.status, running.phase, running.jobs_ahead) == (Status.RUNNING, Phase.TRAINING, None)
    assert running.best is not None
    assert (running.best.epoch, running.progress.fraction) == (2, 0.75)
    assert running.progress.eta_seconds == pytest.approx(0.1)
    store.leases.finish(lease, SUCCESS, [MODEL])
    ended = store.queries.get("t", job.id)
    assert (ended.status, ended.stop_reason, ended.phase, ended.is_terminal) == ("succeeded", "max_epochs", None, True)
    assert statuses(ended) == ["queued", "running", "succeeded"]
    assert ended.created_at <= (ended.started_at or 0) <= (ended.finished_at or 0)
    assert store.queries.artifacts("t", job.id) == (MODEL,)
    assert [e.epoch for e in store.queries.history("t", job.id, after_epoch=1)[1]] == [2, 3]


def test_every_change_makes_a_version_with_an_event(store: Store, database: Database) -> None:
    job = submit(store)
    lease = claim(store)
    store.leases.append(lease, [epoch(1), epoch(2)])
    store.leases.finish(lease, SUCCESS, [])
    with database.read() as c:
        seen = c.exec_driver_sql("SELECT seq, type FROM events ORDER BY seq").all()
    assert [tuple(row) for row in seen] == [(1, "status"), (2, "status"), (3, "epoch"), (4, "epoch"), (5, "status")]
    assert store.queries.get("t", job.id).version == 5


def test_jobs_are_claimed_by_priority_then_age(store: Store) -> None:
    first, second = submit(store), submit(store)
    urgent, idle = submit(store, priority=9), submit(store, priority=0)
    ahead = {job.id: store.queries.get("t", job.id).jobs_ahead for job in (first, second, urgent, idle)}
    assert ahead == {urgent.id: 0, first.id: 1, second.id: 2, idle.id: 3}
    assert [claim(store).job_id for _ in range(4)] == [urgent.id, first.id, second.id, idle.id]
    assert store.leases.claim("worker", 60) is None


def test_many_workers_that_claim_at_once_each_get_another_job(store: Store) -> None:
    submitted = {submit(store).id for _ in range(20)}
    start = threading.Barrier(8)

    def take(worker: int) -> list[str]:
        start.wait()
        taken = []
        while lease := store.leases.claim(f"w{worker}", 60):
            taken.append(lease.job_id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for part in pool.map(take, range(8)) for job_id in part]
    assert len(taken) == 20
    assert set(taken) == submitted


def test_an_old_attempt_can_write_nothing(store: Store) -> None:
    job = submit(store)
    old = claim(store)
    store.leases.append(old, [epoch(1)])
    store.leases.release(old, is_leaving=True)
    new = claim(store)
    assert new.attempt == 2
    before = store.queries.get("t", job.id)
    for write in (
        lambda: store.leases.append(old, [epoch(2)]),
        lambda: store.leases.set_phase(old, Phase.FINALIZING),
        lambda: store.leases.finish(old, SUCCESS, [MODEL]),
        lambda: store.leases.release(old, is_leaving=True),
        lambda: store.leases.renew(old, 60),
        lambda: store.leases.record_checkpoint(old, checkpoint(1)),
        lambda: store.leases.rewind(old, None),
        lambda: store.leases.record_lost_attempt(old, "it fell", RETRIES),
        lambda: store.leases.control_request(old),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert store.queries.get("t", job.id) == before
    assert store.queries.artifacts("t", job.id) == ()
    store.leases.append(new, [epoch(1)])


def test_a_result_is_published_whole_or_not_at_all(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.leases.finish(lease, SUCCESS, [MODEL, MODEL])
    assert store.queries.get("t", job.id).status is Status.RUNNING
    assert store.queries.artifacts("t", job.id) == ()


def test_a_released_job_is_queued_again_with_its_progress(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.leases.append(lease, [epoch(1), epoch(2), epoch(3, improved=False)])
    store.leases.record_checkpoint(lease, checkpoint(2))
    assert store.leases.release(lease, is_leaving=True) is Status.QUEUED
    back = store.queries.get("t", job.id)
    assert back.last is not None
    assert (back.status, back.last.epoch, back.phase, back.releases, back.lost_attempts) == (
        Status.QUEUED,
        3,
        None,
        1,
        (),
    )
    assert store.hints.due_hints(window=4, older_than=60) == (job.id,)
    again = claim(store)
    assert [kept.epochs for kept in again.checkpoints] == [2]
    store.leases.rewind(again, again.checkpoints[0])
    assert [e.epoch for e in store.queries.history("t", job.id)[1]] == [1, 2]
    rewound = store.queries.get("t", job.id)
    assert rewound.best is not None
    assert (rewound.progress.epoch, rewound.best.epoch) == (2, 2)
    store.leases.append(again, [epoch(3, improved=False), epoch(4)])
    assert [e.epoch for e in store.queries.history("t", job.id)[1]] == [1, 2, 3, 4]


def test_an_epoch_that_is_written_again_is_recorded_once(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.leases.append(lease, [epoch(1), epoch(2)])
    version = store.queries.get("t", job.id).version
    store.leases.append(lease, [epoch(1), epoch(2)])
    assert store.queries.get("t", job.id).version == version
    store.leases.append(lease, [epoch(2), epoch(3)])
    assert [e.epoch for e in store.queries.history("t", job.id)[1]] == [1, 2, 3]


def test_an_error_is_kept_with_its_origin(store: Store) -> None:
    job = submit(store)
    failure = Failure("infrastructure", "trainer_lost", "exit code -9")
    store.leases.finish(claim(store), Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), [])
    assert store.queries.get("t", job.id).error == failure


def test_only_old_hints_at_the_head_of_the_queue_are_due(store: Store) -> None:
    ids = [submit(store).id for _ in range(5)]
    assert store.hints.due_hints(window=3, older_than=60) == ()
    assert set(store.hints.due_hints(window=3, older_than=0)) == set(ids[:3])
    assert store.hints.due_hints(window=3, older_than=60) == ()
    store.hints.forget_hints(ids[1])
    assert store.hints.due_hints(window=3, older_than=60) == (ids[1],)


def test_recovered_jobs_are_queued_again_or_ended(store: Store) -> None:
    lost, cancelled, queued = submit(store), submit(store), submit(store)
    first = claim(store)
    claim(store)
    store.leases.append(first, [epoch(1)])
    store.actions.cancel("t", cancelled.id)
    assert store.leases.recover(RETRIES) == {lost.id: Status.QUEUED, cancelled.id: Status.CANCELLED}
    assert [store.queries.get("t", job.id).status for job in (lost, cancelled, queued)] == [
        "queued",
        "cancelled",
        "queued",
    ]
    assert claim(store).attempt == 2
    with pytest.raises(LeaseLost):
        store.leases.renew(first, 60)
    store.leases.recover(RETRIES)
    claim(store)
    store.leases.recover(RETRIES)
    assert store.queries.get("t", lost.id).stop_reason == "worker_lost", (
        "a job that ends its machine each time is given up"
    )


def test_only_the_jobs_of_a_lost_worker_are_recovered(store: Store) -> None:
    lost, kept = submit(store), submit(store)
    assert store.leases.claim("lost", 60) is not None
    assert store.leases.claim("live", 60) is not None
    assert store.leases.recover(RETRIES, "lost") == {lost.id: Status.QUEUED}
    assert store.queries.get("t", kept.id).status == "running"


def test_deaths_after_progress_do_not_count(store: Store) -> None:
    job = submit(store)
    for number in range(1, 6):
        lease = claim(store)
        store.leases.append(lease, [epoch(number)])
        assert store.leases.recover(RETRIES, "worker") == {job.id: Status.QUEUED}
    back = store.queries.get("t", job.id)
    assert (back.lost_attempts, back.releases, back.attempt) == ((), 5, 5)


def test_deaths_that_repeat_the_same_epochs_count(store: Store) -> None:
    job = submit(store)
    for _ in range(4):
        lease = claim(store)
        store.leases.rewind(lease, None)
        store.leases.append(lease, [epoch(1)])
        became = store.leases.recover(RETRIES, "worker")
    assert became == {job.id: Status.FAILED}
    assert len(store.queries.get("t", job.id).lost_attempts) == 3


def test_the_death_of_a_worker_keeps_the_owners_request(store: Store) -> None:
    cancelled, paused = submit(store), submit(store)
    for job in (cancelled, paused):
        store.leases.append(claim(store), [epoch(1)])
        (store.actions.cancel if job is cancelled else store.actions.pause)("t", job.id)
    assert store.leases.recover(RETRIES, "worker") == {cancelled.id: Status.CANCELLED, paused.id: Status.PAUSED}


def test_only_the_last_two_checkpoints_are_kept(store: Store) -> None:
    submit(store)
    lease = claim(store)
    dropped = [[old.epochs for old in store.leases.record_checkpoint(lease, checkpoint(n))] for n in (1, 2, 3, 4)]
    assert dropped == [[], [], [1], [2]]
    assert [kept.epochs for kept in store.leases.checkpoints(lease.job_id)] == [4, 3]


def test_tenants_take_turns_within_a_priority(store: Store) -> None:
    many = [submit(store, "many").id for _ in range(4)]
    few = [submit(store, "few").id for _ in range(2)]
    urgent = submit(store, "many", priority=9).id
    order = [urgent, many[0], few[0], many[1], few[1], many[2], many[3]]
    ahead = {job: store.queries.get("many" if job in (*many, urgent) else "few", job).jobs_ahead for job in order}
    assert ahead == {job: place for place, job in enumerate(order)}
    assert [claim(store).job_id for _ in order] == order


def test_a_late_tenant_gets_no_past_turns(store: Store) -> None:
    early = [submit(store, "early").id for _ in range(4)]
    assert [claim(store).job_id for _ in range(2)] == early[:2]
    late = [submit(store, "late").id for _ in range(3)]
    assert [claim(store).job_id for _ in range(5)] == [early[2], late[0], early[3], late[1], late[2]]


def test_a_lapsed_lease_is_put_back_with_its_cause_and_waits(store: Store) -> None:
    job = submit(store)
    lease = store.leases.claim("host:1", -1)
    assert lease is not None
    store.leases.append(lease, [epoch(1)])
    assert store.leases.reap(Retries(attempts=3, backoff_seconds=60)) == {job.id: Status.QUEUED}
    back = store.queries.get("t", job.id)
    (loss,) = back.lost_attempts
    assert (loss.attempt, loss.worker) == (1, "host:1")
    assert "after epoch 1" in loss.cause
    assert back.releases == 0
    assert store.leases.claim("host:2", 60) is None, "it waits"
    assert store.hints.due_hints(window=4, older_than=0) == ()
    assert store.leases.reap(RETRIES) == {}


def test_a_held_lease_is_not_reaped(store: Store) -> None:
    job = submit(store)
    claim(store)
    assert store.leases.reap(RETRIES) == {}
    assert store.queries.get("t", job.id).status is Status.RUNNING


def test_a_job_lost_too_often_fails_and_keeps_its_best_model(store: Store) -> None:
    job = submit(store)
    for number in (1, 2, 3):
        lease = store.leases.claim(f"host:{number}", 60)
        assert lease is not None
        store.leases.append(lease, [epoch(1), epoch(2)])
        store.leases.record_checkpoint(lease, checkpoint(1))
        store.leases.renew(lease, -1)
        became = store.leases.reap(RETRIES)
    assert became == {job.id: Status.FAILED}
    failed = store.queries.get("t", job.id)
    assert failed.error is not None
    assert (failed.status, failed.stop_reason, failed.error.code) == ("failed", "worker_lost", "worker_lost")
    assert failed.error.origin == "infrastructure"
    assert all(f"host:{number}" in failed.error.detail for number in (1, 2, 3))
    assert failed.best is not None
    assert failed.best.epoch == 1, "that of the model that was kept"
    assert store.queries.artifacts("t", job.id) == (checkpoint(1).best,)


def test_the_owners_request_outlives_the_worker(store: Store) -> None:
    cancelled, paused = submit(store), submit(store)
    for job in (cancelled, paused):
        store.leases.claim("host:1", -1)
        (store.actions.cancel if job is cancelled else store.actions.pause)("t", job.id)
    assert store.leases.reap(RETRIES) == {cancelled.id: Status.CANCELLED, paused.id: Status.PAUSED}


def test_many_reapers_put_a_job_back_once(store: Store) -> None:
    job = submit(store)
    store.leases.claim("host:1", -1)
    start = threading.Barrier(6)

    def reap(_: int) -> dict[str, Status]:
        start.wait()
        return store.leases.reap(RETRIES)

    with ThreadPoolExecutor(6) as pool:
        became = [one for one in pool.map(reap, range(6)) if one]
    assert became == [{job.id: Status.QUEUED}]
    assert len(store.queries.get("t", job.id).lost_attempts) == 1
