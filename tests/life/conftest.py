"""One browser for the tests of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import browser, require_chromium


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with browser(require_chromium()) as one:
        yield one
