"""The job record under every transition, with the fencing that all of a worker's writes carry."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.core.errors import Conflict, KeyReused, LeaseLost, NotFound
from service.core.records.epoch import Epoch
from service.core.records.job import (
    Checkpoint,
    ControlRequest,
    Failure,
    Job,
    Outcome,
    Phase,
    Retries,
    Status,
    StopReason,
)
from service.core.records.lease import Lease
from service.core.records.submission import IdempotencyKey, NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import metadata
from service.core.storage import Artifact
from tests.plans import plans

SUCCESS = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)
MODEL = Artifact("best_model.pth", "jobs/x/a1/best_model.pth", 3, "abc", "application/octet-stream")


RETRIES = Retries(attempts=3, backoff_seconds=0)


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


def spec(**changes: Any) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, **changes}).filled(1)


def submit(store: Store, tenant: str = "t", **changes: Any) -> Job:
    return store.actions.submit(tenant, NewJob(spec(**changes)))[0]


def claim(store: Store) -> Lease:
    lease = store.leases.claim("worker", 60)
    assert lease is not None
    return lease


def epoch(number: int, *, improved: bool = True) -> Epoch:
    return Epoch(number, 1.0, 1.0, 1 / number, 0.5, 0.5, 0.0, 1e-3, 0.1, 10.0, improved, 0)


def checkpoint(epochs: int) -> Checkpoint:
    prefix = f"jobs/x/a1/checkpoint-{epochs}"
    best = Artifact("best_model.pth", f"{prefix}/best_model.pth", 3, "def", "application/octet-stream")
    return Checkpoint(Artifact("last.pt", f"{prefix}/last.pt", 3, "abc", "application/octet-stream"), best, epochs, 1)


def statuses(job: Job) -> list[str]:
    return [transition.status for transition in job.transitions]


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


def test_every_change_raises_the_version_by_one_and_leaves_an_event_of_that_number(
    store: Store, database: Database
) -> None:
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
    wanted = {submit(store).id for _ in range(20)}
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
    assert set(taken) == wanted


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


def test_a_released_job_is_queued_again_with_all_that_it_has_done(store: Store) -> None:
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
    assert store.leases.due_hints(window=4, older_than=60) == (job.id,)
    again = claim(store)
    assert [kept.epochs for kept in again.checkpoints] == [2]
    store.leases.rewind(again, again.checkpoints[0])
    assert [e.epoch for e in store.queries.history("t", job.id)[1]] == [1, 2]
    rewound = store.queries.get("t", job.id)
    assert rewound.best is not None
    assert (rewound.progress.epoch, rewound.best.epoch) == (2, 2)
    store.leases.append(again, [epoch(3, improved=False), epoch(4)])
    assert [e.epoch for e in store.queries.history("t", job.id)[1]] == [1, 2, 3, 4]


def test_a_queued_job_is_cancelled_at_once_and_never_runs(store: Store) -> None:
    job = submit(store)
    cancelled, changed = store.actions.cancel("t", job.id)
    assert (cancelled.status, cancelled.stop_reason, changed) == ("cancelled", "cancelled", True)
    assert store.leases.claim("worker", 60) is None
    again, changed = store.actions.cancel("t", job.id)
    assert again == cancelled
    assert not changed


def test_a_running_job_is_asked_to_stop_and_cannot_be_released_any_more(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    assert store.leases.renew(lease, 60) is None
    assert store.actions.cancel("t", job.id)[0].status is Status.RUNNING
    assert store.leases.renew(lease, 60) is ControlRequest.CANCEL
    assert store.leases.control_request(lease) is ControlRequest.CANCEL
    assert store.actions.cancel("t", job.id)[1] is False
    assert store.leases.release(lease, is_leaving=True) is None, "it is the worker's to finish, with its best model"
    assert store.queries.get("t", job.id).status is Status.RUNNING


def test_only_an_ended_job_can_be_deleted_and_nothing_of_it_is_left(store: Store, database: Database) -> None:
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


def test_what_belongs_to_another_tenant_is_not_there(store: Store) -> None:
    job = submit(store, tenant="mine")
    for look in (
        lambda: store.queries.get("theirs", job.id),
        lambda: store.actions.cancel("theirs", job.id),
        lambda: store.actions.delete("theirs", job.id),
        lambda: store.queries.history("theirs", job.id),
        lambda: store.queries.artifacts("theirs", job.id),
    ):
        with pytest.raises(NotFound):
            look()
    assert store.queries.list("theirs", 10).items == ()


def test_lists_page_newest_first_and_filter_by_all_labels(store: Store) -> None:
    ids = [submit(store, labels={"n": str(i), "even": str(i % 2 == 0)}).id for i in range(5)]
    page = store.queries.list("t", 2)
    assert [job.id for job in page.items] == ids[:2:-1]
    rest = store.queries.list("t", 10, before_seq=page.next_seq)
    assert [job.id for job in rest.items] == ids[2::-1]
    assert rest.next_seq is None
    assert [job.id for job in store.queries.list("t", 10, label_pairs=[("even", "True"), ("n", "2")]).items] == [ids[2]]
    store.actions.cancel("t", ids[0])
    assert [job.id for job in store.queries.list("t", 10, statuses=[Status.CANCELLED]).items] == [ids[0]]


def test_only_the_head_of_the_queue_is_hinted_again_and_only_when_its_hint_is_old(store: Store) -> None:
    ids = [submit(store).id for _ in range(5)]
    assert store.leases.due_hints(window=3, older_than=60) == ()
    assert set(store.leases.due_hints(window=3, older_than=0)) == set(ids[:3])
    assert store.leases.due_hints(window=3, older_than=60) == ()
    store.leases.forget_hints(ids[1])
    assert store.leases.due_hints(window=3, older_than=60) == (ids[1],)


def test_a_change_is_told_once_it_is_committed(database: Database) -> None:
    told: list[tuple[str, str]] = []
    store = Store(database, lambda job_id: told.append((job_id, store.queries.get("t", job_id).status)))
    job = submit(store)
    claim(store)
    assert told == [(job.id, "queued"), (job.id, "running")]


def test_writers_wait_for_each_other_instead_of_failing(store: Store) -> None:
    def work(n: int) -> None:
        for _ in range(10):
            job = submit(store, tenant=f"t{n}")
            store.actions.cancel(f"t{n}", job.id)  # reads before it writes

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert sum(len(store.queries.list(f"t{n}", 100).items) for n in range(8)) == 80


def test_jobs_that_no_worker_holds_any_more_are_put_back_or_ended(store: Store) -> None:
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


def test_who_comes_late_gets_no_turns_that_have_passed(store: Store) -> None:
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
    assert store.leases.due_hints(window=4, older_than=0) == ()
    assert store.leases.reap(RETRIES) == {}


def test_a_living_lease_is_let_be(store: Store) -> None:
    job = submit(store)
    claim(store)
    assert store.leases.reap(RETRIES) == {}
    assert store.queries.get("t", job.id).status is Status.RUNNING


def test_a_job_that_is_lost_too_often_fails_with_all_causes_and_keeps_its_best_model(store: Store) -> None:
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


def test_the_owner_s_wish_outlives_the_worker(store: Store) -> None:
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


def test_a_running_job_is_paused_by_its_worker_and_goes_on_from_its_checkpoint(store: Store) -> None:
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


def test_a_wish_to_pause_can_be_taken_back(store: Store) -> None:
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


def test_a_paused_job_that_is_cancelled_keeps_the_best_model_of_its_checkpoint(store: Store) -> None:
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
def test_an_ended_job_cannot_be_brought_back_but_a_failed_one(store: Store, action: str) -> None:
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


def test_a_job_that_was_cancelled_while_it_finished_is_cancelled_with_its_results(store: Store) -> None:
    job = submit(store)
    lease = claim(store)
    store.actions.cancel("t", job.id)
    assert store.leases.finish(lease, SUCCESS, [MODEL]).status is Status.CANCELLED
    assert store.queries.get("t", job.id).status is Status.CANCELLED
    assert store.queries.artifacts("t", job.id) == (MODEL,)


def test_a_key_sent_again_gets_the_same_job_and_another_request_is_refused(store: Store) -> None:
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


def test_no_statement_reads_a_whole_table(store: Store, database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("its planner rightly reads small tables as a whole")
    submitted = submit(store, labels={"a": "b"})
    lease = claim(store)
    calls: list[Callable[[], object]] = [
        lambda: submit(store),
        lambda: store.queries.get("t", submitted.id),
        lambda: store.queries.list("t", 10),
        lambda: store.queries.list("t", 10, statuses=[Status.QUEUED]),
        lambda: store.queries.list("t", 10, label_pairs=[("a", "b")]),
        lambda: store.leases.append(lease, [epoch(1)]),
        lambda: store.leases.record_checkpoint(lease, checkpoint(1)),
        lambda: store.leases.rewind(lease, None),
        lambda: store.leases.renew(lease, 60),
        lambda: store.leases.control_request(lease),
        lambda: store.leases.due_hints(4, 0),
        lambda: store.leases.reap(RETRIES),
        lambda: store.leases.claim("worker", 60),
        lambda: store.leases.finish(lease, SUCCESS, [MODEL]),
    ]
    for number, call in enumerate(calls):
        steps = plans(database, call)
        assert steps
        whole = {"SCAN", *metadata.tables, "other", "best", "last"}
        assert not [step for step in steps if set(step.split()[:2]) <= whole], (number, steps)
