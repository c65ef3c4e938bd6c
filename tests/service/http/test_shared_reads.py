"""Streams share the reads of a tick."""

import time

import pytest

from service.core.errors import NotFound
from service.http.shared_reads import TICK_SECONDS, Lines, SharedReads, await_tick

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


def test_ticks_begin_after_the_call_and_follow_each_other() -> None:
    before = time.monotonic()
    first, second = await_tick(), await_tick()
    assert second > first
    assert first * TICK_SECONDS > before
    assert time.monotonic() >= second * TICK_SECONDS
