"""Answers beside crowds of hostile clients."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import pytest

from service.core.settings import Settings
from tests.service.http.crowds import CLIENTS, KINDS, SLOW_READERS, paths, seconds_beside, seconds_to_answer, submit
from tests.service.http.hostile import Gunicorn, crowd, hostile

THREADS = 40  # the fewest that the settings allow
DEFAULT_THREADS = Settings.from_env({}).api_threads
FEW = THREADS + 10
# Seconds to an answer, and how many times slower than alone on a machine that is busy itself.
USUAL, USUAL_FACTOR = 0.5, 20
LONGEST, LONGEST_FACTOR = 2.0, 80  # while the crowd is connecting
ANSWERS = 100  # in which the buffers of three clients are full
# One of each way to hold a thread or a connection; the others differ in the request only.
DIFFERENT = ("half a header", "half a large body", "waiting for a change", "no reading of answers", SLOW_READERS)


@pytest.fixture(scope="module", params=[THREADS])
def api(request: pytest.FixtureRequest, api_settings: Settings) -> Iterator[Gunicorn]:
    with Gunicorn(replace(api_settings, api_threads=request.param), "--graceful-timeout", "1") as api:
        yield api


@pytest.fixture(scope="module")
def job(api: Gunicorn) -> str:
    return submit(api)


def check(api: Gunicorn, job: str, kind: str, clients: int) -> None:
    alone = {path: seconds_to_answer(api, path) for path in paths(job)}
    beside = seconds_beside(api, job, kind, clients)
    for path, seconds in alone.items():
        assert median(beside[path]) < max(USUAL, USUAL_FACTOR * seconds), (path, beside[path])
        assert max(beside[path]) < max(LONGEST, LONGEST_FACTOR * seconds), (path, beside[path])


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in DIFFERENT else pytest.mark.long) for kind in KINDS]
)
def test_others_are_answered_beside_hostile_clients(api: Gunicorn, job: str, kind: str) -> None:
    check(api, job, kind, FEW)


@pytest.mark.long
@pytest.mark.parametrize("api", [DEFAULT_THREADS], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_others_are_answered_beside_a_large_crowd(api: Gunicorn, job: str, kind: str) -> None:
    check(api, job, kind, CLIENTS)


@pytest.mark.long
def test_three_clients_that_do_not_read_hold_no_probe(api: Gunicorn, job: str) -> None:
    with crowd(api.port, 3, hostile(job)["no reading of metrics"]):
        assert max(seconds_to_answer(api, "/metrics") for _ in range(ANSWERS)) < LONGEST
