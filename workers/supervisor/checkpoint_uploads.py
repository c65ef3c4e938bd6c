"""Storing a run's checkpoints from a thread of its own: a slow storage holds up neither the run nor its lease."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Uploads(Generic[T]):
    """What is offered is handed to `store`, one at a time; of those that wait, only the newest.

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
        """What has been begun is finished, what waits is left."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join()

    def offer(self, item: T) -> None:
        """To be stored as soon as what is being stored now is; takes the place of one that waits."""
        with self._changed:
            self._waiting = [item]
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what `store` has raised."""
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Return once everything offered is stored, or replaced. Raises what `store` has raised."""
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
            except Exception as raised:  # noqa: BLE001 - told to who waits for it
                error = raised
            with self._changed:
                self._is_busy, self._error = False, error
                self._changed.notify_all()
            if error is not None:
                return
