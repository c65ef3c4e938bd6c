"""Whether the time can be believed: a clock that is wrong would make everything old."""

import logging
import time

from service.core.sql.engine import Database

SETTLED_SECONDS = 600.0  # since its start, before a process believes its clock: a machine that boots may set it late
MOST_SKEW = 300.0  # seconds between two clocks; with more, one is wrong and nothing is old for sure
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the former counts while the machine sleeps, too

log = logging.getLogger(__name__)


class Clocks:
    """This machine's clock, since the process began, beside one that nobody sets, and beside the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._began, self._steady_began = time.time(), steady()

    def have_settled(self) -> bool:
        """Whether there was time enough to set the clock of a machine that has just started."""
        return steady() - self._steady_began >= SETTLED_SECONDS

    def agree(self) -> bool:
        """Whether this machine's clock has not been set since the process began, and is the database's."""
        jump = (time.time() - self._began) - (steady() - self._steady_began)
        if abs(jump) > MOST_SKEW:
            log.warning("nothing is removed: this machine's clock was set by %.0f s; once it is right, restart", jump)
            return False
        skew = self._database.now() - time.time()
        if abs(skew) > MOST_SKEW:
            log.warning("nothing is removed: the database's clock differs by %.0f s from this machine's", skew)
        return abs(skew) <= MOST_SKEW


def steady() -> float:
    """Seconds since some moment, by a clock that nobody sets."""
    return time.clock_gettime(STEADY)
