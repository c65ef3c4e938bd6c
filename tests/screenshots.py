"""Every page on the screen of a phone and of a desk, in both themes, for review: `python -m tests.screenshots`.

With words after it, only the pages whose names contain one of them.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import get_args

import httpx
from playwright.sync_api import Page

from service.core.diagnosis import Verdict
from service.core.settings import Settings
from service.core.sql.api_keys import ApiKeys, Scope
from service.core.sql.engine import Database
from service.http.auth import COOKIE
from service.stack.standalone import Stack
from tests.browser import Theme, browser, chromium, window
from tests.pictures import folders
from tests.servers import ROOT
from tests.shown_jobs import fill, play_verdicts

FOLDER = ROOT / "screenshots"
SCREENS = ((1280, 800), (390, 844))  # pixels of a desk and of a phone
SETTLED_MS = 1000  # for the chart and its first events
LOG = "\n".join(f"Epoch {n}/20, train loss: {1 / n:.3f}, val loss: {0.5 + abs(n - 6) / 10:.3f}" for n in range(1, 21))
GOALS = {"quick": "Quick look", "good": "Good model", "minutes": "Best in some minutes", "own": "My own settings"}


def main(words: Sequence[str]) -> None:
    if (binary := chromium()) is None:
        raise SystemExit("there is no Chromium; `make browser` installs Debian's")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rightfit-screenshots-") as home:
        settings = Settings.from_env({"RIGHTFIT_HOME": home, "RIGHTFIT_PORT": "0", "RIGHTFIT_AUTH": "keys"})
        with closing(Database(settings.database_url)) as database:
            database.migrate()
            keys = ApiKeys(database)
            writer, reader = keys.create("team", [Scope.READ, Scope.WRITE]), keys.create("team", [Scope.READ])
            newcomer = keys.create("newcomer", list(Scope))
        verdicts = play_verdicts(settings, writer)
        with Stack(settings) as stack, browser(binary) as started:
            given = {"Authorization": f"Bearer {writer}"}
            with httpx.Client(base_url=f"{stack.url}/v1", headers=given, timeout=60) as client:
                ids = fill(client)
            pages = _pages(ids, verdicts)
            visits = [(writer, name, path) for name, path in pages.items()]
            visits += [
                (reader, f"reader-{name}", pages[name]) for name in ("jobs", "job", "new", "datasets", "dataset")
            ]
            visits += [(newcomer, f"newcomer-{name}", pages[name]) for name in ("jobs", "datasets", "fits")]
            picture = Path(home) / "picture.png"
            picture.write_bytes(folders(1)["rows/000.png"])
            for (width, height), theme in product(SCREENS, get_args(Theme)):
                with window(started, stack.url, width, theme, height) as tab:
                    camera = Camera(tab.page, f"{width}-{theme}", words)
                    _sign_in(camera)
                    for key, name, path in visits:
                        tab.page.context.add_cookies([{"name": COOKIE, "value": key, "url": stack.url}])
                        camera.take(name, path)
                    tab.page.context.add_cookies([{"name": COOKIE, "value": writer, "url": stack.url}])
                    _used(camera, pages, picture)


class Camera:
    """Takes the pictures whose names contain one of the words, all if there are none."""

    def __init__(self, page: Page, ending: str, words: Sequence[str]) -> None:
        self.page, self._ending, self._words = page, ending, words

    def take(self, name: str, path: str, use: Callable[[Page], object] = lambda _: None) -> None:
        """A picture of the page at an address, after it was used."""
        if self._words and not any(word in name for word in self._words):
            return
        self.page.goto(path)
        use(self.page)
        self.page.wait_for_timeout(SETTLED_MS)
        file = FOLDER / f"{name}-{self._ending}.png"
        self.page.screenshot(path=file, full_page=True)
        is_wide = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        print(file.relative_to(ROOT), "SCROLLS SIDEWAYS" if is_wide else "", flush=True)


def _sign_in(camera: Camera) -> None:
    def refused(page: Page) -> None:
        page.get_by_label("API key").fill("rf_wrong")
        page.get_by_role("button", name="Sign in").click()

    camera.take("sign-in", "/sign-in")
    camera.take("sign-in-refused", "/sign-in", refused)


def _used(camera: Camera, pages: Mapping[str, str], picture: Path) -> None:
    """Pages after something was done on them."""

    def diagnose(page: Page) -> None:
        page.get_by_label("Or paste a log").fill(LOG)
        page.get_by_role("button", name="Diagnose").click()

    def unfold(page: Page) -> None:
        page.evaluate("for (const one of document.querySelectorAll('main details:not(.menu)')) one.open = true")

    def guess(page: Page) -> None:
        page.locator("#picture").set_input_files(picture)
        page.locator("#said meter").first.wait_for()

    def search(page: Page) -> None:
        page.get_by_label("Search").press_sequentially("learning rate")

    camera.take("diagnosed", "/diagnose", diagnose)
    for goal, label in GOALS.items():
        camera.take(f"new-{goal}", "/new", lambda page, label=label: page.get_by_label(label).check())  # type: ignore[misc]
    for name in ("job", "new", "datasets", "dataset", "diagnose"):
        camera.take(f"{name}-unfolded", pages[name], unfold)
    for menu in ("downloads", "further"):
        camera.take(f"job-{menu}", pages["job"], lambda page, menu=menu: page.locator(f"#{menu} summary").click())  # type: ignore[misc]
    camera.take("job-tried", pages["job"], guess)
    camera.take("docs-search", "/docs/index", search)


def _pages(ids: Mapping[str, str], verdicts: Mapping[str, str]) -> dict[str, str]:
    docs = ("index", "tutorial", "use", "reference", "networks", "questions", "cookbook", "verdicts")
    return {
        "jobs": "/",
        "nothing-found": "/?q=nothing",
        "new": "/new",
        "diagnose": "/diagnose",
        "job": f"/jobs/{ids['plain']}",
        "mistakes": f"/jobs/{ids['plain']}/mistakes",
        **{name: f"/jobs/{ids[name]}" for name in ("dropout", "diverged", "running", "waiting", "cancelled", "paused")},
        **{f"verdict-{verdict}": f"/jobs/{job}" for verdict, job in verdicts.items()},
        "datasets": "/datasets",
        "dataset": f"/datasets/{ids['pets']}",
        "broken": f"/datasets/{ids['broken']}",
        "built-in": "/datasets/cifar100",
        "compare": f"/compare?jobs={ids['plain']},{ids['dropout']}",
        "compare-many": "/compare?jobs=" + ",".join([*verdicts.values()][:8]),
        "compare-nothing": "/compare",
        "fits": "/fits",
        "fit": f"/fits/{ids['fit']}",
        "fit-running": f"/fits/{ids['fit-running']}",
        "ablation": f"/ablations/{ids['ablation']}",
        "missing": "/jobs/nothing",
        "refused": "/?status=odd",
        "nowhere": "/nowhere",
        "api-nowhere": "/v1/jobs/nothing",
        "api": "/docs",
        **{f"docs-{name}": f"/docs/{name}" for name in docs},
        "docs-verdict": f"/docs/verdicts/{Verdict.OVERFITTING}",
        "docs-nowhere": "/docs/nowhere",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
