"""Reads of jobs, each limited to its tenant and answered from an index."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from service.core.errors import DatabaseError, NotFound
from service.core.records.job import (
    Status,
)
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import metadata
from tests.plans import plans
from tests.service.core.sql.jobs.samples import MODEL, RETRIES, SUCCESS, checkpoint, claim, epoch, submit


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


def test_jobs_of_another_tenant_do_not_exist(store: Store) -> None:
    job = submit(store, tenant="mine")
    for look in (
        lambda: store.queries.get("theirs", job.id),
        lambda: store.queries.mark("theirs", job.id),
        lambda: store.actions.cancel("theirs", job.id),
        lambda: store.actions.delete("theirs", job.id),
        lambda: store.queries.history("theirs", job.id),
        lambda: store.queries.artifacts("theirs", job.id),
    ):
        with pytest.raises(NotFound):
            look()
    assert store.queries.list("theirs", 10).items == ()


def test_the_mark_of_a_job_is_that_of_its_record(store: Store) -> None:
    first, second = submit(store), submit(store)
    assert store.queries.mark("t", second.id) == store.queries.get("t", second.id).mark
    assert store.queries.mark("t", second.id).jobs_ahead == 1
    claim(store)
    running = store.queries.mark("t", first.id)
    assert running == store.queries.get("t", first.id).mark
    assert (running.status, running.is_terminal, running.jobs_ahead) == (Status.RUNNING, False, None)


def test_an_error_of_the_driver_is_one_of_the_domain(store: Store, database: Database) -> None:
    job = submit(store)
    claim(store)
    assert store.queries.mark("t", job.id).status is Status.RUNNING
    with database.write() as c:
        c.execute(text("ALTER TABLE jobs RENAME TO gone"))
    try:
        with pytest.raises(DatabaseError, match="jobs"):
            store.queries.mark("t", job.id)
    finally:
        with database.write() as c:
            c.execute(text("ALTER TABLE gone RENAME TO jobs"))


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
        lambda: store.hints.due_hints(4, 0),
        lambda: store.leases.reap(RETRIES),
        lambda: store.leases.claim("worker", 60),
        lambda: store.leases.finish(lease, SUCCESS, [MODEL]),
    ]
    for number, call in enumerate(calls):
        steps = plans(database, call)
        assert steps
        whole = {"SCAN", *metadata.tables, "other", "best", "last"}
        assert not [step for step in steps if set(step.split()[:2]) <= whole], (number, steps)
