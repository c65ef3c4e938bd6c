"""A real browser for tests: headless Chromium that records each request and each console error of a page."""

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
TWO_FRAMES = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
PATIENCE_MS = 120_000  # the longest wait for an element; a busy machine is slow
PHONE, DESKTOP = 360, 1280  # pixels
JOB_PAGE = re.compile(r"/jobs/job_[0-9a-f]+$")
Theme = Literal["light", "dark"]


class Window:
    """A tab, the hosts that it has sent requests to, and the errors of its console."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def violations(self) -> list[str]:
        """The violations that axe-core reports for the page as it stands, in both themes, rule by rule."""
        self.page.evaluate(AXE.read_text())  # by the driver: the page's own policy lets no such script in
        violations = []
        for theme in get_args(Theme):
            self.page.emulate_media(color_scheme=theme)
            self.page.evaluate(TWO_FRAMES)  # until the page is drawn in this theme
            report: dict[str, Any] = self.page.evaluate(
                "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES
            )
            for one in report["violations"]:
                violations.append(f"{theme}: {one['id']}: {json.dumps([node['html'] for node in one['nodes']])}")
        return violations

    def points(self) -> int:
        """Epochs that the chart shows."""
        return int(self.page.locator("#chart").get_attribute("data-points") or 0)

    def drop(self, place: str, *paths: Path) -> None:
        """Drop files or folders onto an element."""
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
        """Limit the upload speed of the tab."""
        protocol = self.page.context.new_cdp_session(self.page)
        protocol.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        protocol.send("Network.emulateNetworkConditions", limits)


def chromium() -> str | None:
    """The path of the browser; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def require_chromium() -> str:
    """The path of Chromium. Without one the test is skipped, or fails where TEST_BROWSER is `required`."""
    if path := chromium():
        return path
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
def window(
    started: Browser, url: str, width: int = DESKTOP, theme: Theme = "light", height: int = 900
) -> Iterator[Window]:
    """A tab with its own cookies. Requests to other hosts than the stack are aborted and recorded."""
    context = started.new_context(
        base_url=url, viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
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
    """A tab; at the end, check that it sent requests to the service alone and that its console has no errors."""
    with window(started, url) as one:
        yield one
        assert one.hosts == {url.removeprefix("http://")}
        assert one.complaints == []
