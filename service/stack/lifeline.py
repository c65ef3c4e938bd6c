"""`python -m service.stack.lifeline PARENT COMMAND…`: becomes COMMAND, which gets SIGTERM when the process PARENT dies.

No process of the one-machine stack outlives it, even after a SIGKILL (Linux: prctl(2), PR_SET_PDEATHSIG, which survives
an exec).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before prctl
            sys.exit("the process that started this one is gone")
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
