"""From every released schema, with data in it, to this one; and what a migration may do to a running deployment."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text

from service.app import create_app
from service.core.records.job import Outcome, Retries, Status, StopReason
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.storage import Artifact
from service.http.auth import DEFAULT_TENANT
from service.services import Services
from tests.conftest import Redis
from tests.servers import POSTGRESQL, SQLITE, Postgresql
from tests.service.core.sql.released import ENDED, EPOCHS, REVISIONS, SHA256, STATUSES, known_tables, populate

# What leaves a schema as an older release knows it: its columns, its tables and what it may put in them.
ADDS = re.compile(
    r"CREATE TABLE .*"
    r"|ALTER TABLE \S+ ADD COLUMN (?!.*NOT NULL).*"
    r"|ALTER TABLE \S+ ADD COLUMN .*DEFAULT .*NOT NULL.*"
    r"|(CREATE|DROP) INDEX .*"
    r"|(INSERT INTO|UPDATE) alembic_version .*"
    r"|(INSERT INTO|ALTER TABLE) _alembic_tmp_deliveries .*|DROP TABLE deliveries",  # SQLite rebuilds it to add NULL
    re.DOTALL,
)

WEBHOOKS = "0005"  # the first revision with messages
BOTH = (SQLITE, POSTGRESQL)
BRIEFLY = (REVISIONS[0], REVISIONS[-2])  # where all of them take long


def from_each(*briefly: str) -> pytest.MarkDecorator:
    """From every revision on both databases; by default from the first and the last one on these databases."""
    return pytest.mark.parametrize(
        ("url", "revision"),
        [
            pytest.param(
                where, revision, marks=pytest.mark.long if where in briefly and revision not in BRIEFLY else ()
            )
            for where in BOTH
            for revision in REVISIONS
        ],
        indirect=["url"],
    )


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database without tables."""
    if request.param == SQLITE:
        yield f"sqlite:///{tmp_path}/old.db"
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.empty() as address:
        yield address


@pytest.fixture
def app(revision: str, url: str, tmp_path: Path, redis_server: Redis) -> Iterator[Flask]:
    """The API of this release, over a database that an older one has filled."""
    old = Database(url)
    old.migrate(revision)
    with old.write() as c:
        populate(c, revision, known_tables(c))
    assert old.migrate() == (revision, REVISIONS[-1])
    old.close()
    env = {"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_DATABASE_URL": url, "RIGHTFIT_REDIS_URL": redis_server.url}
    app = create_app(Settings.from_env(env))
    yield app
    app.extensions["rightfit"].database.close()


@from_each(SQLITE, POSTGRESQL)
def test_records_of_a_former_release_are_read_and_its_jobs_run(app: Flask, revision: str) -> None:
    client, parts = app.test_client(), app.extensions["rightfit"]

    def got(path: str, status: int = 200) -> Any:
        answer = client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json

    assert got("/readyz")["checks"]["database"] == "ok"
    listed = {job["id"]: job for job in got("/v1/jobs")["data"]}
    assert {job_id: job["status"] for job_id, job in listed.items()} == {f"job_{s}": s for s in STATUSES}
    assert len(got("/v1/jobs?label=project=old")["data"]) == len(STATUSES)
    for status in STATUSES:
        job = got(f"/v1/jobs/job_{status}")
        assert [said["status"] for said in job["transitions"]][-1] == status
        assert job["spec"]["regularization"]["dropout"] == 0.2
        history = got(f"/v1/jobs/job_{status}/history")
        assert len(history["data"]) == (0 if status == "queued" else EPOCHS)
        assert (history["best"] or {}).get("epoch") == (None if status == "queued" else 1)
        assert [said["id"] for said in got(f"/v1/jobs/job_{status}/events")["data"]] == list(
            range(1, len(job["transitions"]) + 1)
        )
        for part in ("diagnosis", "logs", "deliveries"):
            assert client.get(f"/v1/jobs/job_{status}/{part}").status_code == 200, (status, part)
        assert client.get(f"/jobs/job_{status}").status_code == 200
    messages = got("/v1/jobs/job_succeeded/deliveries")["data"]
    assert [message["id"] for message in messages] == (["msg_1"] if revision >= WEBHOOKS else [])
    (published,) = got("/v1/jobs/job_succeeded/artifacts")["data"]
    assert (published["name"], published["sha256"]) == ("best_model.pth", SHA256)
    for path in ("/v1/datasets", "/v1/ablations", "/v1/folds", "/v1/compare?jobs=job_succeeded,job_failed", "/"):
        assert client.get(path).status_code == 200, path
    goes_on(parts)
    assert client.post("/v1/jobs/job_paused/resume").status_code == 202
    assert client.post("/v1/jobs/job_failed/retry").status_code == 202
    assert client.delete("/v1/jobs/job_succeeded").status_code == 204


def goes_on(parts: Services) -> None:
    """The job that a lost worker held is put back, and both jobs are claimed, trained and ended."""
    assert parts.store.leases.reap(Retries(3, 0.0)) == {"job_running": Status.QUEUED}
    for _ in range(2):
        lease = parts.store.leases.claim("new:1", 60)
        assert lease is not None
        parts.store.leases.rewind(lease, None)
        parts.store.leases.append(lease, parts.store.queries.history(DEFAULT_TENANT, "job_failed")[1])
        key = f"jobs/{lease.job_id}/a{lease.attempt}/best_model.pth"
        artifact = Artifact("best_model.pth", key, 7, SHA256, "application/octet-stream")
        parts.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), [artifact])
    assert parts.store.leases.claim("new:1", 60) is None
    assert parts.store.queries.counts(DEFAULT_TENANT)[Status.SUCCEEDED] == len(ENDED)


def test_migrations_only_add_to_the_schema(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2].strip()))
    database.migrate()
    database.close()
    changes = [words for words in said if not words.startswith(("BEGIN", "PRAGMA", "SELECT"))]
    assert len(changes) > 30
    assert [words for words in changes if not ADDS.fullmatch(words)] == []


@from_each(POSTGRESQL)
def test_no_record_is_lost_between_releases(url: str, revision: str) -> None:
    def counts() -> dict[str, int]:
        with database.read() as c:
            return {name: c.execute(select(func.count()).select_from(tables[name])).scalar_one() for name in tables}

    database = Database(url)
    database.migrate(revision)
    with database.write() as c:
        tables = known_tables(c)
        populate(c, revision, tables)
    before = counts()
    database.migrate()
    assert counts() == before
    listed = Store(database).queries.list(DEFAULT_TENANT, 2 * len(STATUSES)).items
    assert {job.id: job.status for job in listed} == {f"job_{status}": status for status in STATUSES}
    assert {job.spec.regularization.dropout for job in listed} == {0.2}
    database.close()


@from_each(POSTGRESQL)
def test_an_older_release_can_write_into_the_newest_schema(url: str, revision: str) -> None:
    """It names the columns that it knows and no others: what was added since fills itself."""
    database = Database(url)
    database.migrate(revision)
    with database.read() as c:
        tables = known_tables(c)
    database.migrate()
    with database.write() as c:
        populate(c, revision, tables)
    with database.read() as c:
        for name, table in tables.items():
            assert c.execute(select(func.count()).select_from(table)).scalar_one() > 0, name
    database.close()


def test_a_schema_of_a_newer_release_serves_and_is_left_alone(url: str) -> None:
    database = Database(url)
    database.migrate()
    with database.write() as c:
        c.execute(text("UPDATE alembic_version SET version_num = 'of_a_newer_release'"))
    assert database.is_migrated()
    assert database.migrate() == ("of_a_newer_release", "of_a_newer_release")
    database.close()


def test_a_schema_of_an_older_release_is_not_served(url: str) -> None:
    database = Database(url)
    assert not database.is_migrated()
    database.migrate(REVISIONS[-2])
    assert not database.is_migrated()
    database.close()
