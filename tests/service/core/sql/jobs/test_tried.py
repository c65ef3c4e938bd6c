"""What the family of a job has tried, read in few statements."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import event

from service.core.records.facts import AVERAGE_SCORES
from service.core.records.job import Job, Outcome, Status, StopReason
from service.core.records.lineage import Family
from service.core.records.splits import Splits
from service.core.records.submission import NOWHERE, NewJob, Origin
from service.core.sql.engine import Database
from service.core.sql.jobs import lineage
from service.core.sql.jobs.store import Store
from tests.plans import plans
from tests.service.core.sql.jobs.samples import SUCCESS, claim, epoch, spec

DIVERGED = Outcome(Status.FAILED, StopReason.DIVERGED)
CANCELLED = Outcome(Status.CANCELLED, StopReason.CANCELLED)


def run(
    store: Store,
    epochs: int,
    parent: Job | None = None,
    advice: str | None = None,
    outcome: Outcome | None = SUCCESS,
    split: str = "one",
    average: Mapping[str, Any] | None = None,
) -> Job:
    """A job with a best validation loss of 1 / `epochs`; it still runs without an outcome."""
    origin = Origin(parent=parent.id, patch=[], advice=advice) if parent else NOWHERE
    new = NewJob(spec(epochs=10 + epochs), splits=Splits(split, None), origin=origin)
    job, _ = store.actions.submit("t", new)
    lease = claim(store)
    store.leases.append(lease, [epoch(number + 1) for number in range(epochs)])
    if average:
        store.leases.record_facts(lease, {"images": {}, "average": average})
    if outcome:
        store.leases.finish(lease, outcome, [])
    return job


def better(family: Family) -> list[bool]:
    return [ancestor.is_better for ancestor in family.ancestors]


def test_ancestors_are_those_of_the_job_the_nearest_first(store: Store) -> None:
    first = run(store, 4)
    second = run(store, 2, first)
    run(store, 3, first)
    third = run(store, 3, second)
    family = store.queries.tried("t", third.id)
    assert [ancestor.spec for ancestor in family.ancestors] == [second.spec, first.spec]
    assert better(family) == [False, True]
    store.actions.delete("t", first.id)
    assert len(store.queries.tried("t", third.id).ancestors) == 1
    assert store.queries.tried("other", third.id) == Family()


def test_only_the_nearest_ancestors_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "NEAREST", 1)
    first = run(store, 4)
    second = run(store, 2, first)
    family = store.queries.tried("t", run(store, 3, second).id)
    assert [ancestor.spec for ancestor in family.ancestors] == [second.spec]


def test_an_ancestor_is_compared_with_an_ended_job_only(store: Store) -> None:
    parent = run(store, 4)
    assert better(store.queries.tried("t", run(store, 2, parent, outcome=DIVERGED).id)) == [True]
    assert better(store.queries.tried("t", run(store, 2, parent, split="other").id)) == [False]
    assert better(store.queries.tried("t", run(store, 2, parent, outcome=None).id)) == [False]


def test_changes_are_those_of_whole_forks_on_the_same_images(store: Store) -> None:
    parent = run(store, 2)
    run(store, 1, parent, "dropout")
    run(store, 4, parent, "dropout")
    run(store, 1, parent, "lower_lr", DIVERGED)
    run(store, 1, parent, "mixup", CANCELLED)
    run(store, 1, parent, "more_data", split="other")
    run(store, 1, parent)
    run(store, 1, parent, "ema", outcome=None)
    assert store.queries.tried("t", parent.id).changes == {"dropout": -0.25, "lower_lr": 0.5}


def test_a_long_line_is_read_in_two_statements(store: Store, database: Database) -> None:
    job = run(store, 1)
    for _ in range(4):
        job = run(store, 1, job, "dropout")
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    assert len(store.queries.tried("t", job.id).ancestors) == 4
    assert len([statement for statement in said if not statement.startswith("BEGIN")]) == 2
    if database.is_local:  # the planner of PostgreSQL rightly reads small tables as a whole
        steps = plans(database, lambda: store.queries.tried("t", job.id))
        assert not [step for step in steps if step.split()[:2] in (["SCAN", "jobs"], ["SCAN", "epochs"])], steps


def test_a_job_that_keeps_an_average_counts_with_its_scores(store: Store) -> None:
    scores = dict.fromkeys(AVERAGE_SCORES) | {"val_loss": 0.1, "val_accuracy": 0.97}
    parent = run(store, 2)
    fork = run(store, 4, parent, "ema", average={"tried": (1, 2), "epochs": (1, 2), **scores})
    assert store.queries.tried("t", parent.id).changes == {"ema": pytest.approx(0.1 - 1 / 2)}
    assert better(store.queries.tried("t", run(store, 5, fork).id)) == [True, False]
    shown = {each.id: (each.best_val_loss, each.best_val_accuracy) for each in store.queries.lineage("t", fork.id)}
    assert shown[fork.id] == (0.1, 0.97)
