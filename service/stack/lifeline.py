"""`python -m service.stack.lifeline PARENT COMMAND…`: becomes COMMAND, which gets SIGTERM when the process PARENT dies.

No process of the one-machine stack outlives it, even after a SIGKILL (on Linux; the exec keeps the signal).
"""

import os
import signal
import sys

from service.core.system import die_with_parent


def main(parent: int, command: list[str]) -> None:
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:  # the parent died before that call
        sys.exit("the process that started this one is gone")
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
