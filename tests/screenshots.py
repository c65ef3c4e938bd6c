"""Every page at the width of a phone and of a desk, in both themes: `python -m tests.screenshots`, to be looked at."""

import tempfile
from itertools import product
from typing import Any, get_args

import httpx

from service.core.settings import Settings
from service.standalone import Stack
from tests.browser import DESKTOP, PHONE, Theme, browser, chromium, window
from tests.ports import eventually
from tests.servers import ROOT

FOLDER = ROOT / "screenshots"
WATCHED = 100  # epochs of the running job before it is looked at
SETTLED_MS = 1000  # for the chart and its first events
SPEC: dict[str, Any] = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [64]}}
JOBS: tuple[dict[str, Any], ...] = (
    {"name": "plain", "epochs": 60, "optimizer": {"lr": 1e-2}, "early_stopping": None},
    {"name": "dropout", "epochs": 60, "regularization": {"dropout": 0.5}},
    {"name": "running", "epochs": 100_000, "early_stopping": None, "labels": {"project": "pictures"}},
)


def main() -> None:
    if (binary := chromium()) is None:
        raise SystemExit("there is no Chromium; `make browser` installs Debian's")
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="rightfit-screenshots-") as home,
        Stack(Settings.from_env({"RIGHTFIT_HOME": home, "RIGHTFIT_PORT": "0"})) as stack,
        browser(binary) as started,
    ):
        ids = [httpx.post(f"{stack.url}/v1/jobs", json=SPEC | job).json()["id"] for job in JOBS]
        running = f"{stack.url}/v1/jobs/{ids[-1]}"
        eventually(lambda: bool(httpx.get(running).json()["progress"]["epoch"] > WATCHED), 120)
        for width, theme in product((PHONE, DESKTOP), get_args(Theme)):
            with window(started, stack.url, width, theme) as tab:
                for name, path in _pages(ids).items():
                    tab.page.goto(path)
                    tab.page.wait_for_timeout(SETTLED_MS)
                    file = FOLDER / f"{name}-{width}-{theme}.png"
                    tab.page.screenshot(path=file, full_page=True)
                    print(file.relative_to(ROOT))


def _pages(ids: list[str]) -> dict[str, str]:
    return {
        "jobs": "/", "job": f"/jobs/{ids[0]}", "running": f"/jobs/{ids[-1]}", "new": "/new", "datasets": "/datasets",
        "compare": f"/compare?jobs={ids[0]},{ids[1]}", "dataset": "/datasets/digits", "missing": "/jobs/nothing",
    }  # fmt: skip


if __name__ == "__main__":
    main()
