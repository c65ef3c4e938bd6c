"""The log of a job: the lines that its trainers have written."""

from dataclasses import dataclass

KEPT = 10_000  # lines of one job
OUTPUT = "output"  # level of a line that bypassed the logging, from a library or a crash of the interpreter


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
