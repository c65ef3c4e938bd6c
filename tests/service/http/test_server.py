"""gunicorn with the service's own worker class, and clients that hold their connections open."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from service.http.server import HEAD_SECONDS
from tests.conftest import Redis, local_settings
from tests.service.api.requests import SPEC
from tests.service.http.hostile import Gunicorn, answer_of, ask, crowd, hostile

THREADS = 40  # the fewest that the settings allow
CLIENTS = THREADS + 10
PATIENCE_SECONDS = 20.0  # for an answer that takes milliseconds: machines are shared
KINDS = tuple(hostile("job"))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, redis_server: Redis, migrated_file: Path) -> Iterator[Gunicorn]:
    settings = local_settings(tmp_path_factory.mktemp("api"), redis_server)
    settings.home.mkdir()
    shutil.copy(migrated_file, settings.home / "rightfit.db")
    with Gunicorn(replace(settings, api_threads=THREADS)) as api:
        yield api


@pytest.fixture(scope="module")
def job(api: Gunicorn) -> str:
    answer = httpx.post(f"{api.url}/v1/jobs", json=SPEC, trust_env=False)
    return str(answer.json()["id"])


def seconds_to_answer(api: Gunicorn, path: str) -> float:
    """On a connection of its own."""
    began = time.monotonic()
    answer = httpx.get(f"{api.url}{path}", timeout=PATIENCE_SECONDS, trust_env=False)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


@pytest.mark.parametrize("kind", KINDS)
def test_others_are_answered_beside_slow_clients(api: Gunicorn, job: str, kind: str) -> None:
    with crowd(api.port, CLIENTS, hostile(job)[kind]):
        for path in ("/livez", "/readyz", "/metrics", f"/v1/jobs/{job}"):
            assert seconds_to_answer(api, path) < PATIENCE_SECONDS


def test_a_job_is_accepted_beside_half_headers_and_bodies(api: Gunicorn, job: str) -> None:
    sent = hostile(job)
    with crowd(api.port, CLIENTS, sent["half a header"]), crowd(api.port, CLIENTS, sent["half a large body"]):
        answer = httpx.post(f"{api.url}/v1/jobs", json=SPEC, timeout=PATIENCE_SECONDS, trust_env=False)
    assert answer.status_code == 202


def test_a_request_that_comes_byte_by_byte_is_answered(api: Gunicorn) -> None:
    body = '{"dataset": {"id": "digits"}, "epochs": 1}'
    kind = "Content-Type: application/json"
    whole = ask(
        "POST", "/v1/jobs?validate_only=true", kind, f"Content-Length: {len(body)}", "Connection: close", body=body
    )
    with crowd(api.port, 1, b"") as (client,):
        for byte in whole:
            client.sendall(bytes([byte]))
        assert answer_of(client).startswith(b"HTTP/1.1 200")


def test_requests_sent_at_once_are_answered_in_order(api: Gunicorn, job: str) -> None:
    two = ask("GET", f"/v1/jobs/{job}") + ask("GET", "/livez") + ask("GET", "/v1/nothing", "Connection: close")
    with crowd(api.port, 1, two) as (client,):
        answers = answer_of(client).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"404"]


def test_headers_beyond_the_limit_are_refused(api: Gunicorn) -> None:
    with crowd(api.port, 1, b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * (1 << 16)) as (client,):
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("line", [b"GET /livez HTTP/1.1\nHost: a\n\n", b"GET /livez\r\n\r\n", b"\r\n\r\n"])
def test_a_malformed_request_is_refused_at_once(api: Gunicorn, line: bytes) -> None:
    with crowd(api.port, 1, line) as (client,):
        client.settimeout(HEAD_SECONDS / 2)
        assert answer_of(client).startswith(b"HTTP/1.1 400")


ECHO = b"echo" * 700
MALFORMED = {
    "a method": (b"G<" + ECHO + b" / HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
    "a version": (b"GET / HTTP/" + ECHO + b"\r\nHost: a\r\n\r\n", b"400"),
    "a header name": (ask("GET", "/")[:-2] + b"<" + ECHO + b">: b\r\n\r\n", b"400"),
    "a transfer coding": (ask("POST", "/", f"Transfer-Encoding: {ECHO.decode()}"), b"501"),
    "an expectation": (ask("POST", "/", f"Expect: {ECHO.decode()}"), b"417"),
    "a request line": (ask("GET", "/" + 4 * ECHO.decode()), b"414"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_the_answer_to_a_malformed_request_echoes_nothing(api: Gunicorn, kind: str) -> None:
    sent, status = MALFORMED[kind]
    with crowd(api.port, 1, sent) as (client,):
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert b"echoecho" not in answer


@pytest.mark.long
@pytest.mark.parametrize("kind", ["half a header", "half a small body", "half a large body", "half a chunk"])
def test_a_request_that_does_not_arrive_gets_408(api: Gunicorn, job: str, kind: str) -> None:
    with crowd(api.port, 1, hostile(job)[kind]) as (client,):
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer
