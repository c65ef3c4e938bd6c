"""Every page is reached by links from the first one."""

from urllib.parse import urlsplit

from flask.testing import FlaskClient

from service.docs import PAGES, REFERENCE
from tests.service.parsed import Page

CLICKS = 3
OWN = {"/fits", "/datasets", "/new", "/diagnose", "/docs"}  # beside the documents, the pages that need no id


def clicks_from_the_first(client: FlaskClient) -> dict[str, int]:
    """The number of clicks to every page that is at most CLICKS links away from the first one."""
    clicks, newest = {"/": 0}, ["/"]
    for count in range(1, CLICKS + 1):
        links = [link for path in newest for link in Page(client.get(path).text).all("a", "href")]
        paths = {urlsplit(link).path for link in links if link.startswith("/") and not link.startswith("/v1/")}
        newest = sorted(paths - clicks.keys())
        clicks |= dict.fromkeys(newest, count)
    return clicks


def test_every_page_is_at_most_three_clicks_away(client: FlaskClient) -> None:
    documents = {f"/docs/{address}" for address in (*PAGES, REFERENCE)}
    clicks = clicks_from_the_first(client)
    assert not sorted((documents | OWN) - clicks.keys()), f"not reached in {CLICKS} clicks"
    broken = [path for path in clicks if client.get(path).status_code != 200]
    assert not broken
