"""Errors in a browser are pages that lead on; programs get problem documents."""

import json
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.services import Services
from service.web.blueprint import POLICY
from tests.service.api.requests import expect_problem

CHROME = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
CURL = {"Accept": "*/*"}
ELSEWHERE = (  # addresses without a page
    ("GET", "/nope", 404),
    ("GET", "/jobs", 404),
    ("GET", "/docs/", 404),
    ("GET", "/docs/nope", 404),
    ("GET", "/static/nope.js", 404),
    ("POST", "/jobs/x", 405),
    ("DELETE", "/livez", 405),
    ("GET", "/v1", 404),
    ("GET", "/v1/nope", 404),
    ("GET", "/v1/jobs/nope", 404),
    ("PUT", "/v1/jobs", 405),
    ("GET", "/v1/jobs?status=odd", 422),
    ("POST", "/v1/jobs", 415),
)


@pytest.mark.parametrize(
    ("path", "words", "link"),
    [
        ("/jobs/nope", "The list of jobs", '/">To the jobs'),
        ("/new?like=nope", "The list of jobs", '/">To the jobs'),
        ("/datasets/nope", "The list of data sets", '/datasets">To the data sets'),
        ("/docs/nope", "The contents list all pages", '/docs/index">To the documentation'),
        ("/docs/", "Check the address", '/docs/index">To the documentation'),
        ("/nope", "Check the address", '/">To the jobs'),
        ("/v1/nope", "Check the address", '/docs">To the API'),
        ("/v1/jobs/nope/artifacts/best_model.pth", "The list of jobs", '/">To the jobs'),
        ("/fits/nope", "The list of fits", '/fits">To the fits'),
    ],
)
def test_a_missing_page_leads_to_its_kind(client: FlaskClient, path: str, words: str, link: str) -> None:
    answer = client.get(path, headers=CHROME)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert words in answer.text
    assert f'class="button" href="{link}</a>' in answer.text
    assert ("jobs shows" in answer.text) == ("list of jobs" in words)


@pytest.mark.parametrize(("method", "path", "status"), ELSEWHERE)
def test_browsers_get_pages_and_programs_get_problems(client: FlaskClient, method: str, path: str, status: int) -> None:
    page = client.open(path, method=method, headers=CHROME)
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert page.headers["Content-Security-Policy"] == POLICY
    assert '<nav aria-label="Main">' in page.text
    assert f"Status {status}" in page.text
    for headers in ({}, CURL, {"Accept": "application/json, text/html;q=0.9"}):
        answer = client.open(path, method=method, headers=headers)
        expect_problem(answer, status)
        assert "Accept" in answer.headers["Vary"]
        assert answer.headers.get("Allow") == page.headers.get("Allow")
    assert "Accept" in page.headers["Vary"]


def test_an_error_page_says_what_is_allowed(client: FlaskClient, app: Flask) -> None:
    assert "allowed: GET, HEAD, OPTIONS" in client.post("/", headers=CHROME).text
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = client.post("/v1/jobs", data="x" * 2000, content_type="application/json", headers=CHROME)
    assert (answer.status_code, answer.mimetype) == (413, "text/html")
    assert "allowed: 1,000 bytes" in answer.text
    assert "Status 413" in answer.text


def test_a_browser_without_a_key_is_led_to_sign_in_and_back(settings: Settings) -> None:
    app = create_app(replace(settings, auth="keys"))
    answer = app.test_client().get("/v1/jobs?limit=2", headers=CHROME)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert 'href="/sign-in?next=/v1/jobs?limit%3D2">Sign in</a>' in answer.text
    expect_problem(app.test_client().get("/v1/jobs?limit=2", headers=CURL), 401)


def test_too_many_requests_of_a_browser_get_a_page(settings: Settings) -> None:
    app = create_app(replace(settings, auth="keys", requests_per_minute=1))
    services: Services = app.extensions["rightfit"]
    services.database.migrate()
    given = {"Authorization": f"Bearer {services.keys.create('team', [Scope.READ])}"}
    for path in ("/", "/v1/jobs"):
        codes = [app.test_client().get(path, headers=CHROME | given) for _ in range(2)]
        assert (codes[-1].status_code, codes[-1].mimetype) == (429, "text/html")
        assert "Wait a moment" in codes[-1].text
        assert codes[-1].headers["Retry-After"]


def test_an_internal_error_is_a_page_with_the_request_id(app: Flask) -> None:
    def broken() -> str:
        raise ZeroDivisionError

    app.add_url_rule("/broken", view_func=broken)
    answer = app.test_client().get("/broken", headers=CHROME)
    assert (answer.status_code, answer.mimetype) == (500, "text/html")
    assert answer.headers["X-Request-Id"] in answer.text
    assert "ZeroDivision" not in answer.text
    expect_problem(app.test_client().get("/broken", headers=CURL), 500)


def test_a_page_without_a_database_says_that_it_comes_back(settings: Settings) -> None:
    app = create_app(replace(settings, database_url="postgresql://127.0.0.1:1/none"))
    answer = app.test_client().get("/", headers=CHROME)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert answer.headers["Retry-After"]
    assert "Running jobs are not affected" in answer.text


def test_an_error_page_has_no_part_of_the_address_as_html(client: FlaskClient) -> None:
    answer = client.get("/docs/<script>x", headers=CHROME)
    assert "<script>" not in answer.text
    assert json.loads(client.get("/docs/<script>x", headers=CURL).text)["status"] == 404
