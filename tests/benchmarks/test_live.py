"""Open pages of a running job cost the API little."""

import psutil
import pytest

from service.web.files import OURS
from tests.benchmarks.live import LATEST, SHARE, SHARED, SOONEST, live
from tests.benchmarks.load import gunicorn
from tests.conftest import Serving

MOST_PERCENT = 5.0  # of a core


@pytest.mark.parametrize(
    ("pages", "seconds"), [(10, 5.0), pytest.param(50, 30.0, marks=pytest.mark.long)], ids=["ten", "fifty"]
)
def test_open_pages_cost_little(serving: Serving, pages: int, seconds: float) -> None:
    api = gunicorn(psutil.Process(serving.process.pid).children(recursive=True))
    measured = live(serving.url, api, pages, seconds)
    assert measured["events_per_second"] > 0, measured
    assert measured["pages_per_second"] > 0, measured
    assert measured["busy_percent"] - measured["idle_percent"] < MOST_PERCENT, measured


def test_the_clients_have_the_pace_of_the_scripts() -> None:
    job, common = ((OURS / name).read_text("utf-8") for name in ("job.js", "common.js"))
    assert f"[SOONEST, LATEST] = [{SOONEST:g}, {LATEST:g}];" in job
    assert f"SHARE = {SHARE:g};" in job
    assert f"SHARED = {SHARED};" in common
