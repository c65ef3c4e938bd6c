"""The statements about job logs. Nothing is decided by a log, and only the newest lines of a long one are kept."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select

from service.core.records.job_log import KEPT, Entry, LogLine
from service.core.sql.tables import log_lines


def add_lines(c: Connection, job_id: str, attempt: int, lines: Sequence[LogLine]) -> None:
    """Add lines in order, and delete the oldest beyond KEPT."""
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
    query = select(log_lines).where(log_lines.c.job_id == job_id, log_lines.c.id > after)
    rows = c.execute(query.order_by(log_lines.c.id.desc()).limit(tail)).mappings().all()
    return tuple(Entry(row["at"], row["level"], row["message"], row["id"], row["attempt"]) for row in reversed(rows))
