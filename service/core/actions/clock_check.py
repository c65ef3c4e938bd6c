"""Checks the clock before anything is deleted for its age: by a wrong clock, everything would be old."""

import logging
import time

from service.core.sql.engine import Database

SETTLED_SECONDS = 600.0  # from the start of the process; a machine may set its clock late while it boots
MOST_SKEW = 300.0  # seconds between two clocks; beyond that, one of them is wrong
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the former also counts while the machine sleeps

log = logging.getLogger(__name__)


class ClockCheck:
    """Compares this machine's clock with a monotonic one since the process began, and with the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._began, self._steady_began = time.time(), steady()

    def have_settled(self) -> bool:
        """Whether the process is older than SETTLED_SECONDS."""
        return steady() - self._steady_began >= SETTLED_SECONDS

    def agree(self) -> bool:
        """Whether this machine's clock was not set since the process began, and agrees with the database's."""
        jump = (time.time() - self._began) - (steady() - self._steady_began)
        if abs(jump) > MOST_SKEW:
            log.warning("nothing is deleted: the clock of this machine was set by %.0f s; correct it and restart", jump)
            return False
        skew = self._database.now() - time.time()
        if abs(skew) > MOST_SKEW:
            log.warning("nothing is deleted: the clocks of the database and this machine differ by %.0f s", skew)
        return abs(skew) <= MOST_SKEW


def steady() -> float:
    """Seconds by a clock that is never set."""
    return time.clock_gettime(STEADY)
