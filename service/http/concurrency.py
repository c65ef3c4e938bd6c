"""How many requests may hold a thread for long at the same time: altogether, and of one tenant."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ServiceUnavailable


class ConcurrencyLimit:
    """At most `most` are inside, and at most `share` of one tenant: nobody can shut the others out."""

    def __init__(self, most: int, share: int) -> None:
        self._most, self._share = most, share
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, tenant: str) -> bool:
        """Whether there is room; who is let in must leave."""
        with self._lock:
            if self._inside.total() >= self._most or self._inside[tenant] >= self._share:
                return False
            self._inside[tenant] += 1
            return True

    @contextmanager
    def passed(self, tenant: str, refusal: str) -> Iterator[None]:
        """Be inside within the block. Raises werkzeug's ServiceUnavailable, in these words, where there is no room."""
        if not self.enter(tenant):
            raise ServiceUnavailable(refusal)
        try:
            yield
        finally:
            self.leave(tenant)

    def leave(self, tenant: str) -> None:
        with self._lock:
            self._inside[tenant] -= 1
            self._inside += Counter()  # forget those who have none inside
