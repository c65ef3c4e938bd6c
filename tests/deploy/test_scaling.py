"""KEDA's query on the database, its restricted role, and the scaling rules."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service.core.records.capacity import Capacity
from service.core.records.job import Outcome, Status, StopReason
from service.core.records.submission import NewJob
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.storage import Artifact
from tests.deploy.facts import stopping_seconds
from tests.deploy.kubernetes import SECRETS, configured, container, one, secrets
from tests.servers import Postgresql

UPLOAD = Artifact("upload", "datasets/x/upload", 3, "abc", "application/zip")


def scaler() -> dict[str, Any]:
    spec: dict[str, Any] = one("keda", "ScaledObject", "rightfit-worker")["spec"]
    return spec


@pytest.fixture
def database(postgresql_server: Postgresql) -> Iterator[Database]:
    with postgresql_server.database() as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def scaler_role(database: Database) -> Iterator[psycopg.Connection]:
    """A connection with the role that the example of the secrets creates."""
    statements = re.findall(r"^#   ((?:CREATE|GRANT) .*;)$", SECRETS.read_text(), re.MULTILINE)
    role = make_url(secrets()["rightfit-scaler"]["connection"]).username
    whole = database.engine.url.render_as_string().replace("+psycopg", "")
    with psycopg.connect(whole, autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement.encode())
        try:
            url = database.engine.url.set(username=role, drivername="postgresql").render_as_string()
            with psycopg.connect(url, autocommit=True) as connection:
                yield connection
        finally:
            admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def requested_workers(scaler_role: psycopg.Connection) -> int:
    """The number of workers that KEDA's query returns."""
    (trigger,) = scaler()["triggers"]
    ((number,),) = scaler_role.execute(trigger["metadata"]["query"].encode()).fetchall()
    assert type(number) is int
    return number


def test_each_queued_or_running_job_requests_one_worker(store: Store, scaler_role: psycopg.Connection) -> None:
    assert requested_workers(scaler_role) == 0
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}}).filled(1)
    jobs = [store.actions.submit("t", NewJob(spec))[0] for _ in range(5)]
    assert requested_workers(scaler_role) == 5
    leases = [lease for lease in (store.leases.claim(f"w{i}", 60) for i in range(3)) if lease]
    assert requested_workers(scaler_role) == 5, "a running job needs its worker, although its hint is gone"
    store.leases.finish(leases[0], Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), [])
    assert requested_workers(scaler_role) == 4
    store.leases.release(leases[1], is_leaving=True)
    assert requested_workers(scaler_role) == 4, "a job that is put back waits for another worker"
    waiting = next(job for job in jobs if store.queries.get("t", job.id).status is Status.QUEUED)
    store.actions.cancel("t", waiting.id)
    assert requested_workers(scaler_role) == 3


def test_a_job_with_too_many_gpus_requests_no_pod(store: Store, scaler_role: psycopg.Connection) -> None:
    limit = int(container("keda", "rightfit-worker")["resources"]["limits"]["nvidia.com/gpu"])
    for device, gpus in (("auto", limit), ("cuda", limit), ("cpu", limit + 1), ("auto", limit + 1), ("cuda", 8)):
        spec = {"dataset": {"id": "digits"}, "device": device, "gpus": gpus}
        store.actions.submit("t", NewJob(JobSpec.from_dict(spec).filled(1)))
    assert requested_workers(scaler_role) == 3
    everything = Capacity(gpus=8, gpu_memory_bytes=1 << 40, threads=8, version="1")
    assert all(store.leases.claim(f"large{number}", 60, everything) for number in range(5))
    assert requested_workers(scaler_role) == 3, "a job that runs on other workers requests no pod"


def test_uploaded_data_sets_request_one_worker(database: Database, scaler_role: psycopg.Connection) -> None:
    catalog = DatasetStore(database)
    for number in range(3):
        catalog.add("t", f"ds_{number}", "pets", "zip", UPLOAD)
    assert requested_workers(scaler_role) == 1


def test_the_role_of_the_scaler_can_read_nothing_else(scaler_role: psycopg.Connection) -> None:
    for statement in (b"SELECT spec FROM jobs", b"SELECT * FROM keys", b"UPDATE jobs SET status = 'failed'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            scaler_role.execute(statement)


def test_keda_connects_with_the_secret_of_the_example() -> None:
    (trigger,) = scaler()["triggers"]
    (taken,) = one("keda", "TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]["secretTargetRef"]
    assert taken["parameter"] == "connection"
    assert taken["key"] in secrets()[taken["name"]]


def test_workers_scale_up_at_once_and_down_slowly() -> None:
    spec = scaler()
    (trigger,) = spec["triggers"]
    assert (trigger["metricType"], trigger["metadata"]["targetQueryValue"]) == ("AverageValue", "1")
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert "scaleUp" not in behavior
    down = behavior["scaleDown"]
    (policy,) = down["policies"]
    seconds = float(configured("keda")["RIGHTFIT_STOP_SECONDS"])
    assert policy == {"type": "Pods", "value": 1, "periodSeconds": policy["periodSeconds"]}
    assert policy["periodSeconds"] >= stopping_seconds(seconds)
    assert min(down["stabilizationWindowSeconds"], spec["cooldownPeriod"]) > policy["periodSeconds"]
