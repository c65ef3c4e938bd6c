"""Open pages that fetch themselves again get the content alone, made once for everyone who may see the same."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.services import Services
from tests.service.web.pages import submit

OPEN = {"Cache-Control": "max-age=60"}
NOW = {"Cache-Control": "max-age=0"}


@pytest.fixture
def guarded(migrated: Settings) -> Iterator[tuple[FlaskClient, Services]]:
    app = create_app(replace(migrated, auth="keys"))
    services: Services = app.extensions["rightfit"]
    yield app.test_client(), services
    services.database.close()


def test_open_pages_get_the_content_alone(client: FlaskClient) -> None:
    address = f"/jobs/{submit(client)}"
    page, content = client.get(address).text, client.get(address, headers=OPEN)
    assert content.mimetype == "text/html"
    assert content.headers["Cache-Control"] == "private, no-store"
    assert "<header>" in page
    assert "<header>" not in content.text
    assert '<section id="summary" data-live>' in content.text


def test_kept_content_is_for_those_who_accept_its_age(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("service.web.blueprint")  # the package has a blueprint of the same name
    monkeypatch.setattr(module, "monotonic", lambda: 90.0)
    job = submit(client)
    assert "queued" in client.get(f"/jobs/{job}", headers=OPEN).text
    client.post(f"/v1/jobs/{job}/cancel")
    assert "cancelled" not in client.get(f"/jobs/{job}", headers=OPEN).text
    for headers in ({}, NOW, {"Cache-Control": "max-age=x"}, {"Cache-Control": "max-age=-1"}):
        assert "cancelled" in client.get(f"/jobs/{job}", headers=headers).text
    monkeypatch.setattr(module, "monotonic", lambda: 120.0)
    assert "cancelled" in client.get(f"/jobs/{job}", headers=OPEN).text


def test_content_does_not_grow_older_by_being_read(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("service.web.blueprint")
    times = iter((90.0, 119.9))
    monkeypatch.setattr(module, "monotonic", lambda: next(times, 120.0))
    job = submit(client)
    for _ in range(2):
        assert "queued" in client.get(f"/jobs/{job}", headers=OPEN).text
    client.post(f"/v1/jobs/{job}/cancel")
    assert "cancelled" in client.get(f"/jobs/{job}", headers=OPEN).text


def test_tenants_and_scopes_share_no_content(guarded: tuple[FlaskClient, Services]) -> None:
    client, services = guarded
    writer, reader, other = (
        {"Authorization": f"Bearer {services.keys.create(tenant, scopes)}"}
        for tenant, scopes in (("a", [Scope.READ, Scope.WRITE]), ("a", [Scope.READ]), ("b", [Scope.READ]))
    )
    job = client.post("/v1/jobs", json={"dataset": {"id": "digits"}}, headers=writer).get_json()["id"]
    assert "do-cancel" in client.get(f"/jobs/{job}", headers=OPEN | writer).text
    assert "do-cancel" not in client.get(f"/jobs/{job}", headers=OPEN | reader).text
    assert client.get(f"/jobs/{job}", headers=OPEN | other).status_code == 404
    assert client.get(f"/jobs/{job}", headers=OPEN).status_code == 302
    assert client.get("/sign-in", headers=OPEN).status_code == 200
