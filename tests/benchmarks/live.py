"""The CPU time of the API while 50 pages show a running job: `python -m tests.benchmarks.live`.

Each client does what static/job.js does on an open page: it holds the stream of events, and fetches the page again
after events that change it and at the pace of `keepFresh`. Prints one line of JSON: the CPU time of the API in percent
of a core, without pages and with them, and the requests that the pages sent.
"""

import argparse
import html
import json
import re
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import psutil

from service.core.settings import Settings
from service.stack.standalone import Stack
from tests.benchmarks.load import cpu_seconds, gunicorn
from tests.ports import eventually

PAGES, SECONDS = 50, 60.0
SETTLE_SECONDS = 5.0  # after the pages were opened
SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 100_000, "early_stopping": None}
GONE = re.compile('data-gone="([^"]*)"')
EVENTS = re.compile('data-events="([^"]+)"')
REFRESHING = {"status", "phase", "cancel_requested", "pause_requested", "resume_requested", "diagnosis"}
SOONEST, LATEST, SHARE = 10.0, 60.0, 0.1  # as in static/job.js
SHARED = 2  # seconds, as in static/common.js


class OpenPage(threading.Thread):
    """A browser's tab on a job."""

    def __init__(self, url: str, path: str, number: int, sent: Counter[str], over: threading.Event) -> None:
        """`number` spreads the requests of the tabs over the time between two of them."""
        super().__init__(daemon=True)
        self._url, self._path, self._number, self._sent, self._over = url, path, number, sent, over

    def run(self) -> None:
        threading.Thread(target=self._keep_fresh, daemon=True).start()
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            page = client.get(self._path).raise_for_status().text
            address = html.unescape(EVENTS.findall(page)[0])
            with client.stream("GET", address, headers={"Accept": "text/event-stream"}) as stream:
                for line in stream.iter_lines():
                    self._sent["events"] += line.startswith("event:")
                    if line.removeprefix("event: ") in REFRESHING:
                        self._refresh(client, 0)

    def _keep_fresh(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            seconds = SOONEST
            self._over.wait(self._number % 10 / 10 * seconds)
            while not self._over.wait(seconds):
                seconds = self._refresh(client, SHARED)

    def _refresh(self, client: httpx.Client, age: int) -> float:
        """Fetch the page; returns the seconds until it is fetched again."""
        given = {"Accept": "text/html", "Cache-Control": f"max-age={age}"}
        page = client.get(self._path, headers=given).raise_for_status().text
        self._sent["pages"] += 1
        gone = max(map(float, GONE.findall(page)), default=0.0)
        return min(LATEST, max(SOONEST, SHARE * gone))


def live(url: str, api: psutil.Process, pages: int, seconds: float) -> dict[str, float]:
    """The CPU time of an API in percent of a core without pages and with them, and what it sent per second.

    `api` is its gunicorn.
    """
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        job = client.post("/v1/jobs", json=SPEC).raise_for_status().json()["id"]
        status = f"/v1/jobs/{job}"

        def epochs() -> int:
            return int(client.get(status).json()["progress"]["epoch"])

        assert eventually(lambda: epochs() > 1, 120), "the job does not train"
        idle = _share(api, seconds)
        sent, over = Counter[str](), threading.Event()
        opened = [OpenPage(url, f"/jobs/{job}", number, sent, over) for number in range(pages)]
        for page in opened:
            page.start()
        time.sleep(SETTLE_SECONDS)
        sent.clear()
        first = epochs()
        busy = _share(api, seconds)
        trained = epochs() - first
        over.set()
        client.post(f"{status}/cancel").raise_for_status()
        for page in opened:
            page.join()
    rates = {f"{name}_per_second": round(count / seconds, 2) for name, count in sent.items()}
    return {"idle_percent": idle, "busy_percent": busy, "epochs_per_second": round(trained / seconds, 2), **rates}


def _share(api: psutil.Process, seconds: float) -> float:
    """The CPU time that the API uses, in percent of one core."""
    before = cpu_seconds(api)
    time.sleep(seconds)
    return round(100 * (cpu_seconds(api) - before) / seconds, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=PAGES)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rightfit-live-") as folder:
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": folder}), port=0, threads=1)
        with Stack(settings) as stack:
            api = gunicorn(psutil.Process().children(recursive=True))
            print(json.dumps(live(stack.url, api, given.pages, given.seconds)))


if __name__ == "__main__":
    main()
