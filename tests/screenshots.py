"""Every page at the width of a phone and of a desk, in both themes, for review: `python -m tests.screenshots`."""

import tempfile
from contextlib import closing
from itertools import product
from typing import Any, get_args

import httpx
from playwright.sync_api import Page

from service.core.settings import Settings
from service.core.sql.api_keys import ApiKeys, Scope
from service.core.sql.engine import Database
from service.http.auth import COOKIE
from service.stack.standalone import Stack
from tests.browser import DESKTOP, PHONE, Theme, browser, chromium, window
from tests.pictures import folders, zipped
from tests.ports import eventually
from tests.servers import ROOT

FOLDER = ROOT / "screenshots"
WATCHED = 100  # epochs of the running job before its screenshot
SETTLED_MS = 1000  # for the chart and its first events
SPEC: dict[str, Any] = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [64]}}
JOBS: tuple[dict[str, Any], ...] = (
    {"name": "plain", "epochs": 60, "optimizer": {"lr": 1e-2}, "early_stopping": None},
    {"name": "dropout", "epochs": 60, "regularization": {"dropout": 0.5}},
    {
        "name": "diverged",
        "epochs": 60,
        "optimizer": {"name": "sgd", "lr": 10.0, "momentum": 0.99},
        "model": {"arch": "mlp", "hidden": [512] * 6},
        "early_stopping": None,
    },
    {"name": "running", "epochs": 100_000, "early_stopping": None, "labels": {"project": "pictures"}},
    {"name": "waiting", "epochs": 5},
)
LOG = "\n".join(f"Epoch {n}/20, train loss: {1 / n:.3f}, val loss: {0.5 + abs(n - 6) / 10:.3f}" for n in range(1, 21))
SETS = {"pets": {**folders(8), "rows/again.png": folders(1)["rows/000.png"]}, "broken": {"rows/1.png": b"no picture"}}


def main() -> None:
    if (binary := chromium()) is None:
        raise SystemExit("there is no Chromium; `make browser` installs Debian's")
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="rightfit-screenshots-") as home,
        Stack(Settings.from_env({"RIGHTFIT_HOME": home, "RIGHTFIT_PORT": "0", "RIGHTFIT_AUTH": "keys"})) as stack,
        browser(binary) as started,
    ):
        with closing(Database(stack.settings.database_url)) as database:
            keys = ApiKeys(database)
            writer = keys.create("team", [Scope.READ, Scope.WRITE])
            reader, newcomer = keys.create("team", [Scope.READ]), keys.create("newcomer", list(Scope))
        with httpx.Client(base_url=f"{stack.url}/v1", headers={"Authorization": f"Bearer {writer}"}) as client:
            jobs, sets = _filled(client)
        pages = _pages(jobs, sets)
        visits = [(writer, name, pages[name]) for name in pages]
        visits += [(reader, f"reader-{name}", pages[name]) for name in ("jobs", "job", "new", "datasets", "dataset")]
        visits += [(newcomer, f"newcomer-{name}", pages[name]) for name in ("jobs", "datasets")]
        for width, theme in product((PHONE, DESKTOP), get_args(Theme)):
            with window(started, stack.url, width, theme) as tab:
                _take(tab.page, "sign-in", "/sign-in", width, theme)
                tab.page.get_by_label("API key").fill("rf_wrong")
                tab.page.get_by_role("button", name="Sign in").click()
                _take(tab.page, "sign-in-refused", None, width, theme)
                tab.page.context.add_cookies([{"name": COOKIE, "value": reader, "url": stack.url}])
                tab.page.goto("/diagnose")
                tab.page.get_by_label("Or paste a log").fill(LOG)
                tab.page.get_by_role("button", name="Diagnose").click()
                _take(tab.page, "diagnosed", None, width, theme)
                for key, name, path in visits:
                    tab.page.context.add_cookies([{"name": COOKIE, "value": key, "url": stack.url}])
                    _take(tab.page, name, path, width, theme)


def _filled(client: httpx.Client) -> tuple[dict[str, str], dict[str, str]]:
    """The ids of jobs and data sets in every state, by their names."""
    sets = {
        name: client.post("/datasets", params={"name": name}, files={"file": ("a.zip", zipped(files))}).json()["id"]
        for name, files in SETS.items()
    }
    jobs = {job["name"]: client.post("/jobs", json=SPEC | job).raise_for_status().json()["id"] for job in JOBS}
    running = f"/jobs/{jobs['running']}"
    eventually(lambda: bool(client.get(running).json()["progress"]["epoch"] > WATCHED), 120)
    eventually(lambda: all(client.get(f"/datasets/{one}").json()["status"] != "processing" for one in sets.values()))
    return jobs, sets


def _pages(jobs: dict[str, str], sets: dict[str, str]) -> dict[str, str]:
    return {
        "jobs": "/",
        "nothing-found": "/?q=nothing",
        "new": "/new",
        "diagnose": "/diagnose",
        "job": f"/jobs/{jobs['plain']}",
        "mistakes": f"/jobs/{jobs['plain']}/mistakes",
        "failed": f"/jobs/{jobs['diverged']}",
        "running": f"/jobs/{jobs['running']}",
        "waiting": f"/jobs/{jobs['waiting']}",
        "datasets": "/datasets",
        "dataset": f"/datasets/{sets['pets']}",
        "broken": f"/datasets/{sets['broken']}",
        "built-in": "/datasets/cifar100",
        "compare": f"/compare?jobs={jobs['plain']},{jobs['dropout']}",
        "compare-nothing": "/compare",
        "missing": "/jobs/nothing",
        "refused": "/?status=odd",
    }


def _take(page: Page, name: str, path: str | None, width: int, theme: Theme) -> None:
    """A picture of the page at an address, else of the page as it stands."""
    if path is not None:
        page.goto(path)
    page.wait_for_timeout(SETTLED_MS)
    file = FOLDER / f"{name}-{width}-{theme}.png"
    page.screenshot(path=file, full_page=True)
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
