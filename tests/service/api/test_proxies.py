"""A service behind a proxy with TLS and a path prefix: links, pages, cookies and origins."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from tests.pictures import folders, zipped
from tests.servers import ON_DISK, ROOT
from tests.service.api.requests import SPEC, expect_problem

pytestmark = ON_DISK

DEPLOYING = (ROOT / "service" / "docs" / "deploying.md").read_text("utf-8")
PUBLIC = "rightfit.example.org"
SITE = f"https://{PUBLIC}"
CLIENT = "203.0.113.9"
PROXIES = "127.0.0.1, 10.0.0.0/8"


def nginx_headers() -> dict[str, str]:
    """What the nginx of the document sends for a request of CLIENT to SITE, as its own variables have it."""
    lines = re.findall(r"proxy_set_header +(\S+) +(\S+);", DEPLOYING)
    variables = {"$http_host": PUBLIC, "$scheme": "https", "$remote_addr": CLIENT}
    return {name: variables.get(value, value) for name, value in lines}


@pytest.fixture
def app(everywhere: Settings) -> Iterator[Flask]:
    trusting = replace(everywhere, auth="keys", allowed_hosts=PUBLIC, trusted_proxies=PROXIES)
    app = create_app(trusting)
    with closing(app.extensions["rightfit"].database) as database:
        database.migrate()
        yield app


@pytest.fixture
def key(app: Flask) -> str:
    made: str = app.extensions["rightfit"].keys.create("alice", [Scope.ADMIN])
    return made


@pytest.fixture
def behind(app: Flask, key: str) -> FlaskClient:
    """A client of the nginx in the document, which has removed the prefix of its location from the path."""
    client = app.test_client()
    names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in nginx_headers().items()}
    client.environ_base |= names | {"HTTP_AUTHORIZATION": f"Bearer {key}"}
    return client


def test_links_of_every_resource_carry_the_prefix(behind: FlaskClient) -> None:
    answer = behind.post("/v1/jobs", json=SPEC)
    job = json.loads(answer.text)
    assert answer.headers["Location"] == job["links"]["self"] == f"/rightfit/v1/jobs/{job['id']}"
    assert all(link.startswith("/rightfit/v1/jobs/") for link in job["links"].values())
    diagnosis = json.loads(behind.get(f"/v1/jobs/{job['id']}/diagnosis").text)
    assert all(link.startswith("/rightfit/") for link in diagnosis["links"].values())
    sent = behind.post("/v1/datasets?name=x", data=zipped(folders(5)), content_type="application/zip")
    assert sent.headers["Location"].startswith("/rightfit/v1/datasets/ds_")
    ablation = behind.post("/v1/ablations", json={"spec": SPEC, "factors": ["dropout"]})
    assert ablation.headers["Location"] == json.loads(ablation.text)["links"]["self"]
    assert ablation.headers["Location"].startswith("/rightfit/v1/ablations/")


def test_pages_link_below_the_prefix(behind: FlaskClient) -> None:
    job_id = json.loads(behind.post("/v1/jobs", json=SPEC).text)["id"]
    pages = ("/", "/new", "/datasets", f"/jobs/{job_id}", "/sign-in", "/docs/index", "/docs/verdicts")
    for page in pages:
        text = behind.get(page).text
        links = re.findall(
            r'(?:href|src|action|data-(?:submit|page|job|post|delete|after|go|history|events))="(/[^"]*)', text
        )
        assert links
        assert [link for link in links if not link.startswith("/rightfit/")] == [], page
    assert behind.get("/docs/watching").headers["Location"] == "/rightfit/docs/monitoring"


def test_the_api_document_and_its_page_know_the_prefix(behind: FlaskClient, app: Flask) -> None:
    document = behind.get("/openapi.json").json or {}
    assert document["servers"] == [{"url": "/rightfit"}]
    assert "servers" not in (app.test_client().get("/openapi.json").json or {})
    page = behind.get("/docs").text
    assert '"/rightfit/openapi.json"' in page
    assert 'src="docs/assets/swagger-ui-bundle.js"' in page


def test_signing_in_behind_a_proxy_stays_below_the_prefix(app: Flask, behind: FlaskClient, key: str) -> None:
    del behind.environ_base["HTTP_AUTHORIZATION"]
    page = behind.get("/datasets?x=1")
    assert page.headers["Location"] == "/rightfit/sign-in?next=/rightfit/datasets?x%3D1"
    own = {"Origin": SITE, "Sec-Fetch-Site": "same-origin"}
    answer = behind.post("/sign-in", data={"key": key, "next": "/rightfit/datasets"}, headers=own)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/rightfit/datasets")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/rightfit"} <= set(answer.headers["Set-Cookie"].split("; "))


def test_the_origin_is_the_one_that_the_client_sees(behind: FlaskClient, app: Flask, key: str) -> None:
    assert behind.post("/v1/jobs", json=SPEC, headers={"Origin": SITE}).status_code == 202
    for origin in (f"http://{PUBLIC}", f"{SITE}:8443", "http://127.0.0.1:8000", "https://evil.example"):
        assert SITE in expect_problem(behind.post("/v1/jobs", json=SPEC, headers={"Origin": origin}), 403)["detail"]
    direct = app.test_client()
    direct.environ_base["REMOTE_ADDR"] = CLIENT
    forged = {"Host": PUBLIC, "X-Forwarded-Proto": "https", "Origin": SITE}
    refused = direct.post("/v1/jobs", json=SPEC, headers=forged)
    assert "RIGHTFIT_TRUSTED_PROXIES" in expect_problem(refused, 403)["detail"]
    expect_problem(direct.get("/v1/jobs", headers={"Host": "evil.example", "X-Forwarded-Host": "localhost"}), 421)
