"""A real browser for tests: Debian's Chromium, headless, that reports each request and each complaint of a page."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
PATIENCE_MS = 60_000  # for what a busy machine may take its time to show
PHONE, DESKTOP = 360, 1280  # pixels
JOB_PAGE = re.compile(r"/jobs/job_[0-9a-f]+$")
Theme = Literal["light", "dark"]


class Window:
    """A tab, the hosts it has asked, and what its console said that is not as it should be."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it stands, in both themes, rule by rule."""
        self.page.evaluate(AXE.read_text())  # by the driver: the page's own policy lets no such script in
        told = []
        for theme in get_args(Theme):
            self.page.emulate_media(color_scheme=theme)
            found: dict[str, Any] = self.page.evaluate(
                "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES
            )
            for one in found["violations"]:
                told.append(f"{theme}: {one['id']}: {json.dumps([node['html'] for node in one['nodes']])}")
        return told

    def points(self) -> int:
        """Epochs that the chart shows."""
        return int(self.page.locator("#chart").get_attribute("data-points") or 0)

    def drop(self, place: str, *paths: Path) -> None:
        """Let go of files or folders over an element, as a person does who has dragged them from elsewhere."""
        box = self.page.locator(place).bounding_box()
        assert box is not None
        dragged = {
            "x": box["x"] + box["width"] / 2,
            "y": box["y"] + box["height"] / 2,
            "data": {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1},
        }
        protocol = self.page.context.new_cdp_session(self.page)
        for moment in ("dragEnter", "dragOver", "drop"):
            protocol.send("Input.dispatchDragEvent", {"type": moment, **dragged})

    def slow_down(self, bytes_per_second: int) -> None:
        """Send no faster than that from now on."""
        protocol = self.page.context.new_cdp_session(self.page)
        protocol.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        protocol.send("Network.emulateNetworkConditions", limits)


def chromium() -> str | None:
    """Where the browser is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def require_chromium() -> str:
    """Skip the test where there is no browser, but fail it where nobody would notice."""
    if found := chromium():
        return found
    missing = "there is no Chromium on this machine: `make browser` installs Debian's"
    if os.environ.get("TEST_BROWSER") == "required":
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def browser(binary: str) -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=binary, args=[*FLAGS], headless=True)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def window(started: Browser, url: str, width: int = DESKTOP, theme: Theme = "light") -> Iterator[Window]:
    """A tab with cookies of its own; a request to another host than that of the stack is refused, and remembered."""
    context = started.new_context(
        base_url=url, viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = Window(context.new_page())

    def only_ours(route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(url).netloc:
            route.continue_()
        else:
            route.abort()

    context.route("**/*", only_ours)
    try:
        yield opened
    finally:
        context.close()


@contextmanager
def watched(started: Browser, url: str) -> Iterator[Window]:
    """A tab; whatever a test did in it, it asked nobody but the service, and its console has no errors."""
    with window(started, url) as one:
        yield one
        assert one.hosts == {url.removeprefix("http://")}
        assert one.complaints == []
