"""Checkpoints are uploaded one at a time; of those that wait, only the newest."""

import threading

import pytest

from workers.supervisor.checkpoint_uploads import Uploads


def test_of_those_that_wait_only_the_newest_is_stored() -> None:
    stored: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def store(item: int) -> None:
        begun.set()
        go_on.wait(10)
        stored.append(item)

    with Uploads(store) as uploads:
        uploads.offer(1)
        assert begun.wait(10)
        for item in (2, 3, 4):
            uploads.offer(item)
        go_on.set()
        uploads.drain()
        assert stored == [1, 4]


def test_an_error_reaches_who_looks_and_who_waits() -> None:
    def store(item: int) -> None:
        raise ZeroDivisionError

    with Uploads(store) as uploads:
        uploads.check()
        uploads.offer(1)
        with pytest.raises(ZeroDivisionError):
            uploads.drain()
        with pytest.raises(ZeroDivisionError):
            uploads.check()


def test_leaving_drops_what_waits() -> None:
    stored: list[int] = []
    with Uploads(stored.append) as uploads:
        uploads.drain()
    assert stored == []
