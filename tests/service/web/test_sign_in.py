"""Signing in to the pages with a key, and what its cookie allows."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import ApiKeys, Scope, csrf_token
from service.http.auth import COOKIE, CSRF_HEADER
from tests.service.web.pages import SPEC, looks_right


@pytest.fixture
def guarded(settings: Settings) -> Iterator[tuple[FlaskClient, str]]:
    """The pages where there are keys, and a key."""
    app = create_app(replace(settings, auth="keys"))
    database = app.extensions["rightfit"].database
    database.migrate()
    yield app.test_client(), ApiKeys(database).create("somebody", [Scope.WRITE, Scope.READ])
    database.close()


def test_without_a_key_every_page_asks_for_it(guarded: tuple[FlaskClient, str]) -> None:
    client, _ = guarded
    for path in ("/", "/new", "/datasets", "/jobs/x", "/compare?jobs=a,b"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in?next=")
    assert client.get("/v1/jobs").status_code == 401
    looks_right(client, "/sign-in")
    assert client.head("/sign-in").status_code == 200
    assert client.get("/static/style.css").status_code == 200


def test_the_cookie_is_closed_to_scripts_and_other_sites(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    assert client.post("/sign-in", data={"key": "rf_wrong"}).status_code == 401
    assert client.get("/").status_code == 302
    foreign = client.post("/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    answer = client.post("/sign-in", data={"key": key, "next": "/datasets"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/datasets")
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    secure = client.post("/sign-in", data={"key": key}, base_url="https://localhost").headers["Set-Cookie"]
    assert "Secure" in secure.split("; ")
    text = looks_right(client, "/")
    assert key not in text
    assert csrf_token(key) in text
    assert client.get("/v1/jobs").status_code == 200


@pytest.mark.parametrize("address", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "x"])
def test_signing_in_redirects_only_within_the_site(guarded: tuple[FlaskClient, str], address: str) -> None:
    client, key = guarded
    assert client.post("/sign-in", data={"key": key, "next": address}).headers["Location"] == "/"


def test_a_cookie_without_the_token_changes_nothing(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    client.post("/sign-in", data={"key": key})
    for headers in ({}, {CSRF_HEADER: "wrong"}, {CSRF_HEADER: csrf_token("rf_another")}):
        answer = client.post("/v1/jobs", json=SPEC, headers=headers)
        assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    form = client.post("/v1/jobs/x/cancel", data={"a": "form"})
    assert (form.status_code, json.loads(form.text)["code"]) == (403, "forbidden")
    assert client.post("/v1/jobs", json=SPEC, headers={CSRF_HEADER: csrf_token(key)}).status_code == 202
    client.delete_cookie(COOKIE)
    assert client.post("/v1/jobs", json=SPEC, headers={"Authorization": f"Bearer {key}"}).status_code == 202


def test_a_bearer_key_counts_before_the_cookie(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    client.post("/sign-in", data={"key": key})
    assert client.get("/v1/jobs", headers={"Authorization": "Bearer rf_wrong"}).status_code == 401


def test_signing_out_forgets_the_key(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    client.post("/sign-in", data={"key": key})
    assert client.post("/sign-out").status_code == 403
    assert client.get("/").status_code == 200
    assert client.post("/sign-out", data={"csrf": csrf_token(key)}).status_code == 303
    assert client.get("/").status_code == 302


def test_without_keys_sign_in_redirects_to_the_jobs(client: FlaskClient) -> None:
    assert client.get("/sign-in").headers["Location"] == "/"
