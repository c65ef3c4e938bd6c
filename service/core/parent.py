"""Ending a process together with the process that started it."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); an exec keeps it


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Make Linux send this process a signal when the thread that started it ends. Does nothing on other systems."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
