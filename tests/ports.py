"""Free ports, and waiting for a condition."""

import socket
import time
from collections.abc import Callable

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.2  # seconds between two tests of a condition
PATIENCE_SECONDS = 120.0  # far more than any condition needs: machines are shared


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(test: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until a condition holds; returns False where it does not within this time."""
    deadline, pause = time.monotonic() + seconds, SHORTEST_PAUSE
    while not test():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return True
