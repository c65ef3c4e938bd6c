"""Keys, scopes, rate limits, quotas, and the isolation of tenants."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.core.sql.tables import keys
from service.services import Services
from tests.conftest import Redis
from tests.pictures import encoded, folders, stripes, zipped
from tests.servers import ON_DISK
from tests.service.api.requests import SPEC, expect_problem
from tests.service.worker_steps import claim, finish, read_datasets

Limited = Callable[..., Flask]
EVERYTHING = (Scope.READ, Scope.WRITE)


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, auth="keys")


class Caller:
    """A client with a key."""

    def __init__(self, app: Flask, key: str) -> None:
        self.client, self.headers = app.test_client(), {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, **kwargs: Any) -> Any:
        return self.client.open(path, method=method, headers=self.headers | kwargs.pop("headers", {}), **kwargs)


@pytest.fixture
def alice(app: Flask, services: Services) -> Caller:
    return Caller(app, services.keys.create("alice", EVERYTHING))


@pytest.fixture
def bob(app: Flask, services: Services) -> Caller:
    return Caller(app, services.keys.create("bob", EVERYTHING))


def send(caller: Caller, each: int = 10) -> Any:
    return caller("POST", "/v1/datasets?name=x", data=zipped(folders(each)), content_type="application/zip")


@ON_DISK
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic YTpi", "Bearer rf_000000000000_" + "x" * 43])
def test_request_without_valid_key_is_refused(client: FlaskClient, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    for path in ("/v1/jobs", "/v1/datasets", "/v1/nowhere"):
        answer = client.get(path, headers=headers)
        expect_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for path in ("/livez", "/readyz", "/openapi.json", "/docs"):
        assert client.get(path).status_code == 200


def test_revoked_or_expired_key_is_refused(app: Flask, services: Services) -> None:
    brief = Caller(app, services.keys.create("alice", EVERYTHING, lifetime=3600))
    lasting = Caller(app, services.keys.create("alice", EVERYTHING))
    assert brief("GET", "/v1/jobs").status_code == lasting("GET", "/v1/jobs").status_code == 200
    first, second = services.keys.list("alice")
    with services.database.write() as c:
        c.execute(update(keys).where(keys.c.id == first.id).values(expires_at=1.0))
    expect_problem(brief("GET", "/v1/jobs"), 401)
    services.keys.revoke(second.id)
    expect_problem(lasting("GET", "/v1/jobs"), 401)


def test_only_the_digest_of_a_key_is_stored(app: Flask, services: Services) -> None:
    key = services.keys.create("alice", EVERYTHING, name="laptop")
    assert services.keys.list()[0].used_at is None
    Caller(app, key)("GET", "/v1/jobs")
    (stored,) = services.keys.list()
    assert stored.used_at is not None
    assert (stored.name, stored.tenant, stored.id in key) == ("laptop", "alice", True)
    with services.database.read() as c:
        row = c.exec_driver_sql("SELECT * FROM keys").one()
    assert key.split("_", 2)[2] not in str(row)


def test_scope_allows_its_actions_and_no_more(app: Flask, services: Services, tmp_path: Path) -> None:
    reader = Caller(app, services.keys.create("alice", [Scope.READ]))
    writer = Caller(app, services.keys.create("alice", [Scope.WRITE]))
    admin = Caller(app, services.keys.create("alice", [Scope.ADMIN]))
    job = writer("POST", "/v1/jobs", json=SPEC).json
    expect_problem(writer("GET", job["links"]["self"]), 403)
    problem = expect_problem(reader("POST", "/v1/jobs", json=SPEC), 403)
    assert "write" in problem["detail"]
    expect_problem(reader("POST", job["links"]["cancel"]), 403)
    assert reader("GET", job["links"]["self"]).status_code == 200
    expect_problem(reader("POST", job["links"]["predict"], data=b"x", content_type="image/png"), 409)
    assert admin("GET", job["links"]["self"]).status_code == 200
    assert admin("POST", job["links"]["cancel"]).status_code == 202


def every_route(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        if str(rule).startswith("/v1/") and rule.arguments:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, str(rule)


BODIES: dict[str, dict[str, Any]] = {
    "/v1/jobs/<job_id>/predict": {"data": encoded(stripes("rows", 1)), "content_type": "image/png"},
    "/v1/jobs/<job_id>/fork": {"json": {"advice": "dropout"}},
}


def test_no_route_reaches_records_of_another_tenant(
    app: Flask, services: Services, alice: Caller, bob: Caller, tmp_path: Path
) -> None:
    dataset = send(alice).json
    read_datasets(services)
    ended = alice("POST", "/v1/jobs", json=SPEC).json
    finish(services, claim(services), tmp_path)
    waiting = alice("POST", "/v1/jobs", json=SPEC | {"dataset": {"id": dataset["id"]}}).json
    ablation = alice("POST", "/v1/ablations", json={"spec": SPEC, "factors": ["dropout"]}).json
    folds = alice("POST", "/v1/folds", json={"spec": SPEC}).json
    fit = alice("POST", "/v1/fits", json={"dataset": {"id": "digits"}, "jobs": 2}).json
    records = (ended, waiting, ablation, folds, fit)
    before = [alice("GET", record["links"]["self"]).json for record in records]
    ids = {
        "dataset_id": [dataset["id"]],
        "job_id": [ended["id"], waiting["id"]],
        "name": ["best_model.pth"],
        "index": ["0"],
        "ablation_id": [ablation["id"]],
        "folds_id": [folds["id"]],
        "fit_id": [fit["id"]],
        "weights_id": ["wgt_00000000000000000000"],  # tests/service/api/test_weights.py has those of another tenant
    }
    walked = 0
    for method, rule in every_route(app):
        arguments = [part[1:-1] for part in rule.split("/") if part.startswith("<")]
        assert set(arguments) <= ids.keys(), f"{rule} is new: add an id that alice owns"
        for own in ids[arguments[0]]:
            path = rule.replace(f"<{arguments[0]}>", own).replace("<name>", "best_model.pth").replace("<index>", "0")
            expect_problem(bob(method, path, **BODIES.get(rule, {})), 404)
            walked += 1
    assert walked >= 20
    compared = f"/v1/compare?jobs={waiting['id']},{ended['id']}"
    assert alice("GET", compared).status_code == 200
    expect_problem(bob("GET", compared), 404)
    assert [bob("GET", f"/v1/{kind}").json["data"] for kind in ("jobs", "ablations", "folds")] == [[], [], []]
    assert dataset["id"] not in [record["id"] for record in bob("GET", "/v1/datasets").json["data"]]
    theirs = SPEC | {"dataset": {"id": dataset["id"]}}
    expect_problem(bob("POST", "/v1/jobs", json=theirs), 422)
    expect_problem(bob("POST", "/v1/ablations", json={"spec": theirs, "factors": ["dropout"]}), 422)
    expect_problem(bob("POST", "/v1/folds", json={"spec": theirs}), 422)
    assert [alice("GET", record["links"]["self"]).json for record in records] == before
    own = bob("POST", "/v1/jobs", json=SPEC).json
    assert ended["id"] in expect_problem(bob("GET", f"/v1/compare?jobs={own['id']},{ended['id']}"), 404)["detail"]


def test_idempotency_keys_of_two_tenants_are_separate(alice: Caller, bob: Caller) -> None:
    same = {"Idempotency-Key": "one"}
    first = alice("POST", "/v1/jobs", json=SPEC, headers=same).json
    second = bob("POST", "/v1/jobs", json=SPEC | {"epochs": 5}, headers=same).json
    assert first["id"] != second["id"]


@pytest.fixture
def limited(settings: Settings) -> Iterator[Limited]:
    """Returns a function that makes an app with these settings."""
    made: list[Flask] = []

    def make(**limits: Any) -> Flask:
        made.append(create_app(replace(settings, **limits)))
        made[-1].extensions["rightfit"].database.migrate()
        return made[-1]

    yield make
    for app in made:
        app.extensions["rightfit"].database.close()


def test_rate_limit_counts_each_key_and_says_when_to_retry(limited: Limited) -> None:
    app = limited(requests_per_minute=5)
    keyed = app.extensions["rightfit"].keys
    alice, other = (Caller(app, keyed.create("alice", EVERYTHING)) for _ in range(2))
    assert [alice("GET", "/v1/jobs").status_code for _ in range(5)] == [200] * 5
    answer = alice("GET", "/v1/jobs")
    expect_problem(answer, 429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert other("GET", "/v1/jobs").status_code == 200, "each key has its own count"


@ON_DISK
def test_rate_limit_holds_without_redis(limited: Limited, own_redis: Redis) -> None:
    app = limited(redis_url=own_redis.url, requests_per_minute=5)
    alice = Caller(app, app.extensions["rightfit"].keys.create("alice", EVERYTHING))
    assert alice("GET", "/v1/jobs").status_code == 200
    own_redis.stop()
    answers = [alice("GET", "/v1/jobs").status_code for _ in range(7)]
    own_redis.start()
    assert answers == [200] * 5 + [429] * 2


def test_quotas_limit_queued_and_running_jobs_of_a_tenant(limited: Limited) -> None:
    app = limited(quota_queued_jobs=2, quota_running_jobs=1)
    services: Services = app.extensions["rightfit"]
    alice, bob = (Caller(app, services.keys.create(name, EVERYTHING)) for name in ("alice", "bob"))
    mine = [alice("POST", "/v1/jobs", json=SPEC).json["id"] for _ in range(2)]
    answer = alice("POST", "/v1/jobs", json=SPEC)
    assert expect_problem(answer, 429)["code"] == "quota_exceeded"
    assert "Retry-After" in answer.headers
    theirs = bob("POST", "/v1/jobs", json=SPEC).json["id"]
    assert claim(services).job_id == mine[0]
    assert claim(services).job_id == theirs, "alice has reached her quota of running jobs"
    assert services.store.leases.claim("worker", 60) is None
    assert alice("POST", "/v1/jobs", json=SPEC).status_code == 202


def test_quotas_limit_bytes_of_a_tenant(limited: Limited) -> None:
    size = len(zipped(folders(10)))
    app = limited(quota_dataset_bytes=size + 100)
    services: Services = app.extensions["rightfit"]
    alice, bob = (Caller(app, services.keys.create(name, EVERYTHING)) for name in ("alice", "bob"))
    assert send(alice).status_code == 202
    assert expect_problem(send(alice), 429)["code"] == "quota_exceeded"
    endless = alice(
        "POST",
        "/v1/datasets?name=x",
        input_stream=io.BytesIO(zipped(folders(10))),
        content_type="application/zip",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert expect_problem(endless, 429)["code"] == "quota_exceeded"
    assert send(bob).status_code == 202
    stored = limited(quota_stored_bytes=size)
    poor = Caller(stored, services.keys.create("alice", EVERYTHING))
    assert expect_problem(poor("POST", "/v1/jobs", json=SPEC), 429)["code"] == "quota_exceeded"


def test_streams_of_one_tenant_leave_room_for_another(services: Services, alice: Caller, bob: Caller) -> None:
    mine, theirs = (caller("POST", "/v1/jobs", json=SPEC).json["links"]["events"] for caller in (alice, bob))
    while services.waiting.enter("alice"):
        pass
    stream = {"Accept": "text/event-stream"}
    expect_problem(alice("GET", mine, headers=stream), 503)
    with bob("GET", theirs, headers=stream, buffered=False) as answer:
        assert answer.status_code == 200


def test_streams_of_a_tenant_are_limited(limited: Limited) -> None:
    app = limited(quota_streams=1)
    services: Services = app.extensions["rightfit"]
    alice = Caller(app, services.keys.create("alice", EVERYTHING))
    address, stream = alice("POST", "/v1/jobs", json=SPEC).json["links"]["events"], {"Accept": "text/event-stream"}
    with alice("GET", address, headers=stream, buffered=False) as answer:
        assert answer.status_code == 200
        assert expect_problem(alice("GET", address, headers=stream), 429)["code"] == "quota_exceeded"
    with alice("GET", address, headers=stream, buffered=False) as answer:
        assert answer.status_code == 200


def test_data_sets_and_undelivered_messages_are_limited(limited: Limited) -> None:
    app = limited(quota_datasets=1, quota_webhook_messages=2)
    services: Services = app.extensions["rightfit"]
    alice, bob = (Caller(app, services.keys.create(name, EVERYTHING)) for name in ("alice", "bob"))
    sent = send(alice)
    problem = expect_problem(send(alice), 429)
    assert (problem["code"], "you have 1 data sets" in problem["detail"]) == ("quota_exceeded", True)
    assert send(bob).status_code == 202
    assert alice("DELETE", sent.headers["Location"]).status_code == 204
    assert send(alice).status_code == 202
    loud = SPEC | {"webhook": {"url": "https://example.com/", "events": ["queued"]}}
    assert [alice("POST", "/v1/jobs", json=loud).status_code for _ in range(2)] == [202, 202]
    problem = expect_problem(alice("POST", "/v1/jobs", json=loud), 429)
    assert (problem["code"], "are not delivered" in problem["detail"]) == ("quota_exceeded", True)
    assert alice("POST", "/v1/jobs", json=SPEC).status_code == 202
    assert bob("POST", "/v1/jobs", json=loud).status_code == 202


def test_dataset_that_unpacks_beyond_the_quota_fails(limited: Limited) -> None:
    app = limited(quota_dataset_bytes=40_000)
    services: Services = app.extensions["rightfit"]
    alice = Caller(app, services.keys.create("alice", EVERYTHING))
    plain = {f"{kind}/{i}.png": encoded(np.full((100, 100), 9 * i, np.uint8)) for kind in "ab" for i in range(5)}
    sent = alice("POST", "/v1/datasets?name=x", data=zipped(plain), content_type="application/zip").json
    read_datasets(services)
    ended = alice("GET", f"/v1/datasets/{sent['id']}").json
    assert ended["status"] == "failed"
    assert "more than" in ended["error"]["detail"]
    assert (
        alice("POST", "/v1/datasets?name=x", data=zipped(folders(10)), content_type="application/zip").status_code
        == 202
    )


def test_every_answer_has_the_security_headers(client: FlaskClient) -> None:
    for path in ("/v1/jobs", "/livez", "/docs", "/nowhere"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
