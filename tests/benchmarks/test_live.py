"""Open pages of a running job cost the API little."""

import psutil
import pytest

from tests.benchmarks.live import live
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
