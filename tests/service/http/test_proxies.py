"""Which X-Forwarded-… headers count."""

from typing import Any

from service.core.text.hosts import networks
from service.http.proxies import TrustedProxies

CLIENT, PUBLIC = "203.0.113.9", "rightfit.example.org"
PROXIES = "127.0.0.1, 10.0.0.0/8"


def seen(**environ: str) -> tuple[str, str, str, str]:
    """The client's address, the scheme, the host and the prefix that the service goes by."""
    found: list[tuple[str, str, str, str]] = []

    def app(given: dict[str, Any], start: Any) -> list[bytes]:
        prefix = given.get("SCRIPT_NAME", "")
        found.append((given["REMOTE_ADDR"], given["wsgi.url_scheme"], given["HTTP_HOST"], prefix))
        return []

    direct = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost"}
    TrustedProxies(app, networks(PROXIES))(direct | environ, print)
    return found[0]


def test_headers_count_only_from_trusted_proxies() -> None:
    headers = {
        "HTTP_X_FORWARDED_FOR": CLIENT,
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": PUBLIC,
        "HTTP_X_FORWARDED_PREFIX": "/rightfit",
    }
    forwarded = (CLIENT, "https", PUBLIC, "/rightfit")
    assert seen(**headers) == forwarded
    for address in ("10.9.8.7", "::ffff:10.9.8.7"):
        assert seen(REMOTE_ADDR=address, **headers) == forwarded
    for address in (CLIENT, "127.0.0.2", "::1", ""):
        assert seen(REMOTE_ADDR=address, **headers) == (address, "http", "localhost", "")
    assert seen() == ("127.0.0.1", "http", "localhost", "")


def test_values_of_the_client_before_a_proxy_do_not_count() -> None:
    lists = {
        "HTTP_X_FORWARDED_FOR": f"198.51.100.1, {CLIENT}, 10.0.0.1",  # the client, and two proxies that append
        "HTTP_X_FORWARDED_PROTO": "javascript, https, http",
        "HTTP_X_FORWARDED_HOST": f"evil.example, {PUBLIC}, inner",
    }
    assert seen(**lists) == (CLIENT, "https", PUBLIC, "")
    for prefix in ("//evil.example", "rightfit", "/a b", "/../a", "/a//b", "/a?b", "/"):
        assert seen(HTTP_X_FORWARDED_PREFIX=prefix)[3] == ""
    assert seen(HTTP_X_FORWARDED_PROTO="javascript")[1] == "http"
    assert seen(HTTP_X_FORWARDED_PREFIX="/a/b-c/")[3] == "/a/b-c"
