"""The files of locked requirements."""

import re

from tests.servers import ROOT

LOCKS = ("setup", "api", "worker", "dev", "bench")
PINNED = re.compile(r"^([a-z0-9._-]+)==[^ ]+( ; [^\\]+)? \\$", re.MULTILINE)


def text_of(lock: str) -> str:
    return (ROOT / "deploy" / "locks" / f"{lock}.txt").read_text()


def packages(lock: str) -> set[str]:
    """The names of all packages that a lock pins."""
    return {name for name, _ in PINNED.findall(text_of(lock))}
