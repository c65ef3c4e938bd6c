"""The line in which requests wait for their turn."""

import pytest

from service.http import turns
from service.http.turns import Line


def line_of(most: int) -> tuple[Line[str], list[str]]:
    """A line, and the requests that it has started."""
    started: list[str] = []
    return Line(most, started.append), started


def test_the_next_request_starts_when_a_turn_is_given_back() -> None:
    line, started = line_of(2)
    for request in "abcd":
        line.add(request, is_early=False)
    assert started == ["a", "b"]
    line.give_back("b")
    assert started == ["a", "b", "c"]
    line.give_back("b")  # again: it has no turn
    assert started == ["a", "b", "c"]


def test_clients_that_send_ahead_come_last() -> None:
    line, started = line_of(1)
    line.add("a", is_early=False)
    line.add("early", is_early=True)
    line.add("b", is_early=False)
    line.give_back("a")
    line.give_back("b")
    assert started == ["a", "b", "early"]


def test_a_request_that_has_waited_takes_no_turn_again() -> None:
    line, started = line_of(1)
    ended: list[str] = []
    with turns.taken(lambda: ended.append("a")):
        turns.give_back()
        turns.give_back()  # again: it goes on without a turn
    turns.give_back()
    assert ended == ["a"]
    line.add("a", is_early=False)
    line.give_back("a")
    line.add("b", is_early=False)
    line.add("c", is_early=False)
    assert started == ["a", "b"]
    line.give_back("b")
    assert started == ["a", "b", "c"]


def test_a_long_turn_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    line, started = line_of(1)
    line.add("a", is_early=False)
    line.add("b", is_early=False)
    line.end_long_turns()
    assert started == ["a"]
    monkeypatch.setattr(turns, "TURN_SECONDS", -1.0)
    line.end_long_turns()
    assert started == ["a", "b"]
