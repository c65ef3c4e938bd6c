"""The log of a job: what its trainers have written, kept beside the record, line by line.

A log is no record: nothing is decided by it, and of a long one only the newest lines stay.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, select

from service.core.sql.tables import log_lines

KEPT = 10_000  # lines of one job
OUTPUT = "output"  # the level of what was written past the log: by a library, by the interpreter as it crashed


@dataclass(frozen=True)
class LogLine:
    """Written at `at` (unix seconds). `level` is debug, info, warning, error, critical, or OUTPUT."""

    at: float
    level: str
    message: str


@dataclass(frozen=True)
class Entry(LogLine):
    """A line with its number, counted from 1 for each job, and the attempt that wrote it."""

    id: int
    attempt: int


def add_lines(c: Connection, job_id: str, attempt: int, lines: Sequence[LogLine]) -> None:
    """Add lines in order, and forget what is too old."""
    own = log_lines.c.job_id == job_id
    last = c.execute(select(func.max(log_lines.c.id)).where(own)).scalar() or 0
    rows = [
        {"job_id": job_id, "id": number, "attempt": attempt, **asdict(line)}
        for number, line in enumerate(lines[-KEPT:], last + 1)
    ]
    if rows:
        c.execute(insert(log_lines), rows)
        c.execute(delete(log_lines).where(own, log_lines.c.id <= last + len(rows) - KEPT))


def newest_lines(c: Connection, job_id: str, after: int, tail: int) -> tuple[Entry, ...]:
    """The newest `tail` lines after the given one, in order."""
    wanted = select(log_lines).where(log_lines.c.job_id == job_id, log_lines.c.id > after)
    rows = c.execute(wanted.order_by(log_lines.c.id.desc()).limit(tail)).mappings().all()
    return tuple(Entry(row["at"], row["level"], row["message"], row["id"], row["attempt"]) for row in reversed(rows))
