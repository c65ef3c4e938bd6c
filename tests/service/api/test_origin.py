"""What a page of another site can do through the browser of a user: nothing, with and without keys."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.services import Services
from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.requests import SPEC, expect_problem

pytestmark = ON_DISK

FOREIGN_HOSTS = (
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8000",
    "evil-localhost",
    "evil.example#@127.0.0.1",
    "169.254.169.254",
    "192.168.1.5:8000",
    "0.0.0.0",  # noqa: S104 - a host of requests
    "[::]:8000",
    "[fe80::1]",
    "",
)
PAGES: dict[str, dict[str, str]] = {
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "another port": {"Origin": "http://localhost:81", "Sec-Fetch-Site": "same-site"},
    "an old browser": {"Origin": "https://evil.example"},
    "another scheme": {"Origin": "https://localhost"},
    "a similar name": {"Origin": "http://localhost.evil.example"},
    "a sandbox": {"Origin": "null"},
    "a browser without an origin": {"Sec-Fetch-Site": "cross-site"},
    "a contradiction": {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
}


@pytest.fixture(params=["none", "keys"])
def auth(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(everywhere: Settings, auth: str) -> Settings:
    return replace(everywhere, auth=auth)


@pytest.fixture
def trusted(client: FlaskClient, services: Services) -> FlaskClient:
    """The client with a key, which counts only where there are keys."""
    key = services.keys.create("alice", [Scope.ADMIN])
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def on_all_addresses(everywhere: Settings) -> Iterator[FlaskClient]:
    app = create_app(replace(everywhere, host="0.0.0.0", auth="none"))  # noqa: S104 - the setting of a container
    with closing(app.extensions["rightfit"].database) as database:
        database.migrate()
        yield app.test_client()


def status(client: FlaskClient, host: str, path: str = "/v1/jobs") -> int:
    return client.get(path, headers={"Host": host}).status_code


def test_a_foreign_host_is_refused(trusted: FlaskClient) -> None:
    for host in FOREIGN_HOSTS:
        expect_problem(trusted.get("/v1/jobs", headers={"Host": host}), 421)
        expect_problem(trusted.post("/v1/jobs", json=SPEC, headers={"Host": host}), 421)
    for path in ("/v1/webhooks/secret", "/openapi.json", "/metrics", "/docs/assets/swagger-ui.css", "/nowhere"):
        expect_problem(trusted.get(path, headers={"Host": "evil.example"}), 421)
    for path in ("/", "/sign-in"):
        assert status(trusted, "evil.example", path) == 421


def test_the_host_of_the_request_line_must_be_ours_too(trusted: FlaskClient) -> None:
    for target, expected in (
        ("http://evil.example/v1/jobs", 421),
        ("http://evil.example", 421),
        ("http://localhost:8000/v1/jobs", 200),
    ):
        answer = trusted.get("/v1/jobs", environ_overrides={"RAW_URI": target})
        assert answer.status_code == expected, target


def test_the_refusal_of_a_host_says_how_to_allow_it(client: FlaskClient) -> None:
    detail = expect_problem(client.get("/v1/jobs", headers={"Host": "gpu-box:8000"}), 421)["detail"]
    for word in ("'gpu-box:8000'", "127.0.0.1", "localhost", "[::1]", "RIGHTFIT_ALLOWED_HOSTS"):
        assert word in detail


def test_this_machine_is_answered_by_its_names(trusted: FlaskClient) -> None:
    for host in ("localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:1", "127.8.9.1", "[::1]:8000"):
        assert status(trusted, host) == 200, host


def test_probes_are_answered_for_any_host(client: FlaskClient) -> None:
    for host in ("10.1.2.3:8000", "rightfit-api", ""):
        assert status(client, host, "/livez") == status(client, host, "/readyz") == 200


def test_configured_hosts_are_answered(everywhere: Settings) -> None:
    named = replace(everywhere, host="gpu-box", allowed_hosts="Rightfit.example.org:443, *.example.net, fd00::7")
    app = create_app(named)
    with closing(app.extensions["rightfit"].database) as database:
        database.migrate()
        client = app.test_client()
        for host in ("gpu-box:8000", "rightfit.example.org", "a.b.example.net:99", "[fd00:0::7]:8000", "localhost"):
            assert status(client, host) == 200, host
        for host in ("example.net", "evilexample.net", "x.rightfit.example.org", "[fd00::8]", "evil.example"):
            assert status(client, host) == 421, host


def test_a_service_on_all_addresses_answers_each_address(on_all_addresses: FlaskClient) -> None:
    for host in ("192.168.1.5:8000", "[fd00::7]", "127.0.0.1", "localhost"):
        assert status(on_all_addresses, host) == 200
    for host in ("evil.example", "gpu-box", ""):
        assert status(on_all_addresses, host) == 421


def test_a_foreign_page_changes_nothing(trusted: FlaskClient) -> None:
    secret = trusted.get("/v1/webhooks/secret").json
    job = trusted.post("/v1/jobs", json=SPEC).json
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/webhooks/secret", {}),
        ("POST", "/v1/datasets", {"data": zipped(folders(5)), "content_type": "application/zip"}),
        ("POST", f"/v1/jobs/{job['id']}/cancel", {}),
        ("DELETE", f"/v1/jobs/{job['id']}", {}),
        ("POST", "/v1/jobs", {"json": SPEC}),
        ("PUT", "/v1/jobs", {}),
        ("PATCH", "/v1/jobs", {}),
    ]
    for headers in PAGES.values():
        for method, path, more in changes:
            problem = expect_problem(trusted.open(path, method=method, headers=headers, **more), 403)
            assert "http://localhost" in problem["detail"]
        assert trusted.post("/sign-in", data={"key": "x"}, headers=headers).status_code == 403
        assert trusted.post("/sign-out", headers=headers).status_code == 403
    assert trusted.get("/v1/webhooks/secret").json == secret
    assert trusted.get(job["links"]["self"]).json["status"] == "queued"
    assert len(trusted.get("/v1/jobs").json["data"]) == 1


def test_own_pages_and_programs_may_change(trusted: FlaskClient) -> None:
    senders: list[dict[str, str]] = [
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"},
        {"Host": "localhost:80", "Origin": "http://localhost"},
        {},
    ]
    for headers in senders:
        assert trusted.post("/v1/jobs", json=SPEC, headers=headers).status_code == 202, headers


def test_a_foreign_page_may_link_to_ours_but_not_embed(client: FlaskClient) -> None:
    for path in ("/sign-in", "/v1/jobs", "/livez", "/static/style.css", "/docs/index", "/nowhere"):
        answer = client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code != 403
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Referrer-Policy"] == "same-origin", "no-referrer makes our forms send `Origin: null`"
