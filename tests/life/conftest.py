"""One browser for all tests of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PATIENCE_MS, browser, require_chromium


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with browser(require_chromium()) as one:
        yield one
