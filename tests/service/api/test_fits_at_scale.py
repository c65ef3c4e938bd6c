"""What fits of hundreds of trials cost their conductor, and what thousands of trials cost everybody else."""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, insert, select, text

from service.conductor.conductor import Conductor
from service.core.records.job import Job, Status
from service.core.sql.tables import jobs
from service.services import Services
from tests.plans import plans
from tests.servers import ON_DISK
from tests.service.api.fits import better_than_the_base, run_to_the_end, train
from tests.service.api.test_fits import create

SECONDS_OF_A_JOB = 5.0  # in the fits of tests/benchmarks/results, at least, with two jobs side by side
SHARE = 0.02  # of its time that a fit may spend in the conductor


def conducted(app: Flask, client: FlaskClient, services: Services, folder: Path, count: int) -> float:
    """Run a fit with a budget of jobs. Returns the CPU seconds of its conductor."""
    conductor, draw, spent = Conductor(app), random.Random(0), 0.0
    losses: dict[int | None, float] = {1: 0.9}
    created = create(client, jobs=count)

    def loss(job: Job) -> float:
        return losses.setdefault(job.trial, 0.5 + 0.3 * draw.random())

    with app.app_context():
        while not services.fits.get("default", created["id"]).is_terminal:
            started = time.thread_time()
            conductor.turn()
            spent += time.thread_time() - started
            if services.store.queries.counts("default").get(Status.QUEUED):
                train(services, folder, loss)
    return spent


def test_an_idle_turn_asks_for_news_alone(app: Flask, client: FlaskClient, services: Services, tmp_path: Path) -> None:
    created = create(client)
    conductor = Conductor(app)
    said: list[str] = []
    with app.app_context():
        train(services, tmp_path, better_than_the_base)
        conductor.turn()
        assert len(client.get(created["links"]["self"]).json["steps"]) > 1
        conductor.turn()
        event.listen(services.database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
        conductor.turn()
        assert not any("fit_steps" in statement for statement in said), said
        train(services, tmp_path, better_than_the_base)
        before = client.get(created["links"]["self"]).json["version"]
        conductor.turn()
    assert client.get(created["links"]["self"]).json["version"] > before


@pytest.mark.long
def test_the_conductor_takes_little_of_the_time_of_a_long_fit(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    spent = conducted(app, client, services, tmp_path, 200)
    assert spent < SHARE * 200 * SECONDS_OF_A_JOB, f"{spent:.1f} s"


def test_thousands_of_trials_are_not_read_as_a_whole(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    """The calls read what they need by an index: lists, claims, and the turns of a conductor."""
    created, conductor = create(client), Conductor(app)
    with services.database.write() as c:
        one = c.execute(select(jobs)).mappings().one()
        copied = {name: value for name, value in one.items() if name != "seq"} | {"status": Status.CANCELLED}
        c.execute(insert(jobs), [copied | {"id": f"job_{n}", "turn": n, "fit": f"fit_{n % 50}"} for n in range(10_000)])
        if not services.database.is_local:
            c.execute(text("ANALYZE jobs"))

    def call() -> None:
        with app.app_context():
            train(services, tmp_path, better_than_the_base)
            conductor.turn()
            conductor.turn()
        for address in ("/v1/fits", "/v1/jobs?limit=20", created["links"]["self"], created["links"]["events"]):
            assert client.get(address).status_code == 200

    steps = plans(services.database, call)
    assert any("jobs_of_fit" in step for step in steps)
    assert not [step for step in steps if step.strip().startswith(("SCAN jobs", "->  Seq Scan on jobs"))]


@ON_DISK
def test_a_step_that_is_done_is_not_read_again(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created, known, conductor = create(client), list[int](), Conductor(app)

    def note(_connection: object, _cursor: object, statement: str, parameters: tuple[Any, ...], *_: object) -> None:
        if "fit_steps.number >" in statement:
            known.append(parameters[-1])

    event.listen(services.database.engine, "before_cursor_execute", note)
    run_to_the_end(app, services, created["id"], tmp_path, conductor=conductor)
    event.remove(services.database.engine, "before_cursor_execute", note)
    steps = len(client.get(created["links"]["self"]).json["steps"])
    assert steps / 2 < max(known) <= steps
