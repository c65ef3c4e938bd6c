"""gunicorn with the service's own worker class, and clients that hold their connections open."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import psutil
import pytest

from service.core.settings import Settings
from service.http.server import HEAD_SECONDS
from tests.service.api.requests import SPEC
from tests.service.http.crowds import submit
from tests.service.http.hostile import JSON, Gunicorn, answer_of, ask, crowd, hostile

THREADS = 40  # the fewest that the settings allow
CLIENTS = THREADS + 10
PATIENCE_SECONDS = 20.0  # for an answer that takes milliseconds: machines are shared


@pytest.fixture(scope="module")
def api(api_settings: Settings) -> Iterator[Gunicorn]:
    with Gunicorn(replace(api_settings, api_threads=THREADS)) as api:
        yield api


@pytest.fixture(scope="module")
def job(api: Gunicorn) -> str:
    return submit(api)


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


def test_refusals_of_unreadable_requests_repeat_nothing(api: Gunicorn) -> None:
    long = "x" * 3000
    for sent, status in (
        (ask(f"G\x01{long}", "/livez"), 400),
        (ask("GET", "/livez").replace(b"HTTP/1.1", f"HTTP/{long}".encode()), 400),
        (ask("GET", "/livez", f"a b{long}: 1"), 400),
        (ask("GET", "/livez", f"a: 1\x00{long}"), 400),
        (ask("GET", "/livez", f" {long}"), 400),
        (ask("POST", "/v1/jobs", f"Transfer-Encoding: {long}"), 501),
        (ask("POST", "/v1/jobs", f"Expect: {long}", "Content-Length: 2", body="{}"), 417),
        (ask("GET", f"/{long}{long}"), 414),
        (ask("GET", "/livez", f"a: {long * 3}"), 431),
        (ask("GET", "/livez", *(f"a{i}: {long[:9]}" for i in range(200))), 431),
    ):
        with crowd(api.port, 1, sent) as (client,):
            head, _, body = answer_of(client).partition(b"\r\n\r\n")
        problem = json.loads(body)
        assert head.startswith(f"HTTP/1.1 {status} ".encode()), sent[:80]
        assert b"application/problem+json" in head
        assert (problem["status"], problem["title"] != "") == (status, True)
        assert "xxx" not in body.decode()


@pytest.mark.parametrize(
    ("length", "connection"), [(1 << 10, "keep-alive"), ((1 << 16) - 1, "keep-alive"), (1 << 16, "close")]
)
def test_the_answer_says_whether_an_unread_body_ends_it(api: Gunicorn, length: int, connection: str) -> None:
    with crowd(api.port, 1, ask("POST", "/v1/nothing", JSON, f"Content-Length: {length}", body="x" * length)) as (
        client,
    ):
        assert f"Connection: {connection}\r\n".encode() in client.recv(1 << 12)


def test_an_unread_body_of_chunks_ends_the_connection(api: Gunicorn, job: str) -> None:
    chunks = "2\r\n{}\r\n0\r\n\r\n"
    for path, connection in (("/v1/nothing", b"close"), ("/v1/jobs?validate_only=true", b"keep-alive")):
        with crowd(api.port, 1, ask("POST", path, JSON, "Transfer-Encoding: chunked", body=chunks)) as (client,):
            assert b"Connection: " + connection + b"\r\n" in client.recv(1 << 12)


def test_without_a_free_descriptor_the_server_rests(api: Gunicorn) -> None:
    (worker,) = psutil.Process(api.process.pid).children()
    usual = worker.rlimit(psutil.RLIMIT_NOFILE)
    worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds() // 2, usual[1]))
    try:
        with crowd(api.port, 1, ask("GET", "/livez", "Connection: close")) as (client,):
            before = sum(worker.cpu_times()[:2])
            time.sleep(1)
            computed = sum(worker.cpu_times()[:2]) - before
            worker.rlimit(psutil.RLIMIT_NOFILE, usual)
            assert answer_of(client).startswith(b"HTTP/1.1 200")
    finally:
        worker.rlimit(psutil.RLIMIT_NOFILE, usual)
    assert computed < 0.3


@pytest.mark.long
@pytest.mark.parametrize("kind", ["half a header", "half a small body", "half a large body", "half a chunk"])
def test_a_request_that_does_not_arrive_gets_408(api: Gunicorn, job: str, kind: str) -> None:
    with crowd(api.port, 1, hostile(job)[kind]) as (client,):
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer
