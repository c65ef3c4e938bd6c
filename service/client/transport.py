"""Sends requests and repeats those that are safe to repeat: a GET, and a POST with an Idempotency-Key."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import sleep
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential, wait_random_exponential

from service.client.errors import ApiError, NotRightfit, UnusableKey
from service.client.types import Json

WAIT_SECONDS = 30.0  # length of one long poll
TIMEOUT = WAIT_SECONDS + 30  # seconds without a byte until a request fails
TRIES = 5  # of one request
BACKOFF_SECONDS, MAX_BACKOFF = 0.5, 15.0  # the longest pause before the second try, and before any try
MAX_RETRY_AFTER = 120.0  # seconds; a longer Retry-After is raised as an error
MAX_TOTAL_PAUSE = 600.0  # seconds between the tries of one request, added up
RETRIABLE_STATUSES = (429, 502, 503, 504)  # the service did not process the request
PAGE = 100  # the largest page of a list
NO_PARAMS: Mapping[str, Any] = MappingProxyType({})
LOOPBACK = ("127.0.0.1", "::1", "localhost")

# A pause is random between one half and the whole of a limit that doubles with each try, so that many clients that
# lost the service at the same time do not return at the same time.
BACKOFF = wait_exponential(BACKOFF_SECONDS / 2, MAX_BACKOFF / 2) + wait_random_exponential(
    BACKOFF_SECONDS / 2, MAX_BACKOFF / 2
)

Result = TypeVar("Result")


class Transport:
    """The connections to one service.

    Raises ApiError for a response with an error status and httpx.TransportError if the service cannot be reached.
    """

    def __init__(
        self, url: str, api_key: str | None, *, tries: int, timeout: float, retrying: Callable[[int], None]
    ) -> None:
        """`retrying` is called with the number of a try that did not reach the service, before the next try."""
        self._tries = tries
        self._retrying = retrying
        is_remote = httpx.URL(url).host not in LOOPBACK  # this machine is never reached through a proxy
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=is_remote, headers=bearer(api_key))

    def close(self) -> None:
        self._http.close()

    def json(self, method: str, path: str, **kwargs: Any) -> Json:
        return document(self.call(method, path, **kwargs))

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The response with its body. `kwargs` are those of httpx.Client.build_request."""
        request = self._http.build_request(method, path, **kwargs)
        is_safe = request.method in ("GET", "HEAD") or "Idempotency-Key" in request.headers
        if is_safe:
            return self.repeat(lambda: self._try(request, stream=False))
        return self._try(request, stream=False)

    def pages(self, path: str, limit: int, params: Mapping[str, Any] = NO_PARAMS) -> list[Json]:
        """The first `limit` entries of a list, page by page."""
        entries: list[Json] = []
        cursor: Json = {}
        while True:
            size = min(limit - len(entries), PAGE)
            page = self.json("GET", path, params={**params, "limit": size, **cursor})
            entries += page["data"]
            if not page["has_more"] or len(entries) >= limit:
                return entries
            cursor = {"after": page["next_cursor"]}

    def open(self, path: str, headers: dict[str, str]) -> httpx.Response:
        """The response to a GET that is sent once and whose body is not read yet. The caller closes it."""
        return self._try(self._http.build_request("GET", path, headers=headers), stream=True)

    def repeat(self, action: Callable[[], Result]) -> Result:
        """Run an action until it succeeds, at most as often as a request is sent."""
        policy = Retrying(
            sleep=sleep,
            stop=self._is_last_try,
            wait=_pause,
            retry=retry_if_exception(_is_retriable),
            before_sleep=self._report,
            reraise=True,
        )
        return policy(action)

    def _is_last_try(self, state: RetryCallState) -> bool:
        return state.attempt_number >= self._tries or state.idle_for + state.upcoming_sleep > MAX_TOTAL_PAUSE

    def _report(self, state: RetryCallState) -> None:
        if isinstance(_error(state), httpx.TransportError):
            self._retrying(state.attempt_number)

    def _try(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        response = self._http.send(request, stream=stream)
        if not response.is_error:
            return response
        response.read()
        response.close()
        raise ApiError(_problem(response), _retry_after(response))


def document(response: httpx.Response) -> Json:
    """The JSON body of a response. Raises NotRightfit for any other body."""
    try:
        body: Json = response.json()
    except ValueError:
        kind = response.headers.get("content-type", "an unknown type")
        raise NotRightfit(f"{response.url} is not a Rightfit service: it answers with {kind}, not with JSON") from None
    return body


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that have a value."""
    return {name: value for name, value in params.items() if value is not None}


def idempotency(key: str | None) -> dict[str, str]:
    """The header that makes a POST safe to repeat."""
    return {"Idempotency-Key": key or uuid4().hex}


def bearer(key: str | None) -> dict[str, str]:
    """The Authorization header, none without a key. Strips whitespace: a key read from a file has a line end."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UnusableKey
    return {"Authorization": f"Bearer {key}"} if key else {}


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _is_retriable(error: BaseException) -> bool:
    if isinstance(error, ApiError):
        return error.status in RETRIABLE_STATUSES and (error.retry_after or 0) <= MAX_RETRY_AFTER
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _pause(state: RetryCallState) -> float:
    """Seconds until the next try: as the service asked, otherwise the backoff."""
    error = _error(state)
    if isinstance(error, ApiError) and error.retry_after is not None:
        return error.retry_after
    return BACKOFF(state)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that Retry-After asks for; it holds seconds or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _problem(response: httpx.Response) -> Json:
    """The problem document of a response, or one made of its status and text: a proxy sends no document."""
    fallback = {"status": response.status_code, "title": response.reason_phrase, "detail": response.text[:500]}
    try:
        body = response.json()
    except ValueError:
        return fallback
    return body if isinstance(body, dict) and isinstance(body.get("status"), int) else fallback
