"""A part that is kept running, with small programs in the place of broker, worker and API."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.errors import DatabaseError
from service.stack import keeper
from service.stack.keeper import FAILED_STARTS, MOST_DEATHS, Keeper, Plan
from service.stack.processes import PartDied
from service.stack.state import State
from tests.ports import eventually

SLEEPS = "import time; time.sleep(600)"
SAYS_WHY = "import sys; print('no room'); sys.exit(3)"


class Kept:
    """A keeper whose part is ready as soon as it runs, and what it has said."""

    def __init__(self, folder: Path, program: str, after_death: Callable[[int], object] = lambda _: None) -> None:
        self.pids: list[int] = []
        self.said: list[str] = []
        command = [sys.executable, "-c", program]
        plan = Plan("part", command, 5.0, self._is_ready, after_death)
        self.keeper = Keeper(plan, folder / "part.log", {}, self.said.append)

    def _is_ready(self, pid: int) -> bool:
        if pid not in self.pids:
            self.pids.append(pid)
        return True

    def runs(self) -> bool:
        self.keeper.check()
        return self.keeper.state.state is State.RUNNING

    def kill(self) -> None:
        """Kill the part, and wait until that is noticed."""
        os.kill(self.pids[-1], signal.SIGKILL)
        assert eventually(lambda: not self.runs())


@pytest.fixture(autouse=True)  # all of them restart parts
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(keeper, "LONGEST_PAUSE", 0.01)


def test_a_killed_part_runs_again_and_says_so(tmp_path: Path) -> None:
    kept = Kept(tmp_path, SLEEPS)
    assert kept.keeper.is_ready()
    kept.kill()
    assert eventually(kept.runs)
    kept.keeper.stop()
    assert kept.pids[0] != kept.pids[1]
    assert "part was killed by SIGKILL, death 1 in a row; it starts again" in kept.said[0]
    assert kept.said[1] == "part is running again"
    assert all(words in (tmp_path / "part.log").read_text() for words in kept.said)
    assert (kept.keeper.state.restarts, kept.keeper.state.last_death) == (1, "was killed by SIGKILL")


def test_a_part_that_dies_at_each_start_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kept, "_is_ready", lambda *_: False)
    kept = Kept(tmp_path, SAYS_WHY)
    with pytest.raises(PartDied, match=r"(?s)part ended with exit code 3, death 5 in a row.*no room"):
        eventually(kept.runs)
    assert len(kept.said) == FAILED_STARTS - 1


def test_a_part_that_dies_soon_each_time_is_given_up(tmp_path: Path) -> None:
    kept = Kept(tmp_path, SLEEPS)
    for _ in range(MOST_DEATHS - 1):
        assert eventually(kept.runs)
        kept.kill()
    assert eventually(kept.runs)
    with pytest.raises(PartDied, match=f"death {MOST_DEATHS} in a row"):
        kept.kill()


def test_deaths_of_a_steady_part_do_not_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "STEADY_SECONDS", 0.0)
    kept = Kept(tmp_path, SLEEPS)
    for _ in range(FAILED_STARTS + 1):
        assert eventually(kept.runs)
        kept.kill()
    assert all("death 1 in a row" in words for words in kept.said if "death" in words)
    kept.keeper.stop()


def test_a_database_that_is_away_does_not_stop_restarts(tmp_path: Path) -> None:
    def fails(_: int) -> None:
        raise DatabaseError("away")

    kept = Kept(tmp_path, SLEEPS, after_death=fails)
    assert kept.runs()
    kept.kill()
    assert eventually(kept.runs)
    kept.keeper.stop()
