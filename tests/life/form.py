"""Steps on the form of a new job."""

from playwright.sync_api import Page


def open_settings(page: Page) -> None:
    """Unfold all fine settings of the form."""
    page.evaluate("document.querySelectorAll('#fine, #fine details, #same').forEach((box) => { box.open = true; })")
