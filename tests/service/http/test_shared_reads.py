"""Streams share the reads of a tick."""

import time
from contextlib import ExitStack

import pytest

from service.core.errors import NotFound
from service.http.shared_reads import LEAST_SECONDS, Lines, SharedReads

LINES = Lines(("id: 3",), 3, is_over=False)


def test_streams_of_a_topic_share_the_read_of_a_tick() -> None:
    reads: list[int] = []
    shared = SharedReads()

    def read() -> Lines:
        reads.append(1)
        return LINES

    for topic, after, tick in (("a", 2, 7), ("a", 2, 7), ("a", 2, 8), ("a", 1, 8), ("b", 2, 8), ("a", 2, 8)):
        assert shared.at_tick(topic, after, tick, read) == LINES
    assert len(reads) == 4


def test_a_failed_read_is_not_shared() -> None:
    shared = SharedReads()

    def missing() -> Lines:
        raise NotFound("gone")

    for _ in range(2):
        with pytest.raises(NotFound):
            shared.at_tick("a", 2, 7, missing)
    assert shared.at_tick("a", 2, 7, lambda: LINES) == LINES


@pytest.mark.parametrize(("streams", "seconds"), [(1, LEAST_SECONDS), (50, 1.0)])
def test_ticks_are_rarer_with_more_streams(streams: int, seconds: float) -> None:
    shared = SharedReads()
    with ExitStack() as opened:
        for _ in range(streams):
            opened.enter_context(shared.stream())
        before = time.monotonic()
        first, second = shared.await_tick(), shared.await_tick()
    assert first > before
    assert second - first >= seconds
    assert time.monotonic() >= second
    assert shared.await_tick() % LEAST_SECONDS == 0, "closed streams do not count"
