"""Stores checkpoints from a thread of its own, so that a slow storage delays neither the run nor its lease."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Uploads(Generic[T]):
    """Calls `store` with the items that are offered, one at a time. Of the items that wait, only the newest is kept.

    An error of `store` ends the thread; `check` and `drain` raise it.
    """

    def __init__(self, store: Callable[[T], None]) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._waiting: list[T] = []
        self._is_busy = self._is_over = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=copy_context().run, args=(self._work,), name="uploads", daemon=True)

    def __enter__(self) -> "Uploads[T]":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the item that is being stored, and drop the one that waits."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join()

    def offer(self, item: T) -> None:
        """Store the item after the current one. It replaces an item that waits."""
        with self._changed:
            self._waiting = [item]
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the error that `store` raised, if any."""
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Return once every item is stored or replaced. Raises the error that `store` raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or not (self._waiting or self._is_busy))
        self.check()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over or self._waiting)
                if self._is_over:
                    return
                item, self._is_busy = self._waiting.pop(), True
            error: BaseException | None = None
            try:
                self._store(item)
            except Exception as raised:  # noqa: BLE001 - `check` and `drain` raise it
                error = raised
            with self._changed:
                self._is_busy, self._error = False, error
                self._changed.notify_all()
            if error is not None:
                return
