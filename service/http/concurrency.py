"""A limit on long requests that run at the same time: for all tenants together and for each."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ServiceUnavailable


class ConcurrencyLimit:
    """At most `most` requests, and at most `share` of one tenant, so that no tenant can block the others."""

    def __init__(self, most: int, share: int) -> None:
        self._most, self._share = most, share
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, tenant: str) -> bool:
        """Take a place, if there is one. The caller must call `leave` after True."""
        with self._lock:
            if self._inside.total() >= self._most or self._inside[tenant] >= self._share:
                return False
            self._inside[tenant] += 1
            return True

    @contextmanager
    def hold(self, tenant: str, refusal: str) -> Iterator[None]:
        """Hold a place during the block. Raises ServiceUnavailable with the text `refusal` if there is none."""
        if not self.enter(tenant):
            raise ServiceUnavailable(refusal)
        try:
            yield
        finally:
            self.leave(tenant)

    def leave(self, tenant: str) -> None:
        """Give a place back."""
        with self._lock:
            self._inside[tenant] -= 1
            self._inside += Counter()  # drops tenants without a place
