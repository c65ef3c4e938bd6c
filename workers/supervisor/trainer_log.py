"""Reads the output file of a trainer process, as it grows, into lines of the job's log.

workers/trainer/stdout_to_log.py writes the file.
"""

import json
import time
from pathlib import Path

from service.core.records.job_log import KEPT, OUTPUT, LogLine

MOST_CHARACTERS = 2_000  # of a message
LEVELS = ("debug", "info", "warning", "error", "critical", OUTPUT)
LARGEST_AGE = 86_400.0  # seconds; a line with a time further away was not written by the trainer's logging
BLOCK = 1 << 20  # bytes of one read


class TrainerLog:
    """Reads one output file from its beginning; the file need not exist yet."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._unfinished = b""
        self.read_at = time.monotonic()

    def read(self) -> list[LogLine]:
        """The complete lines that were added since the last call, from at most BLOCK bytes."""
        self.read_at = time.monotonic()
        *complete, unfinished = (self._unfinished + self._added()).split(b"\n")
        if len(unfinished) > BLOCK:  # the writer ends no line
            complete, unfinished = [*complete, unfinished], b""
        self._unfinished = unfinished
        return [_parse(raw) for raw in complete[-KEPT:]]

    def read_rest(self) -> list[LogLine]:
        """All lines that are left once the trainer has ended; of more than BLOCK bytes, the end."""
        if self._file.exists() and (near_end := self._file.stat().st_size - BLOCK) > self._offset:
            self._offset, self._unfinished = near_end, b""
        lines = self.read()
        last, self._unfinished = self._unfinished, b""
        return [*lines, _parse(last)] if last else lines

    def _added(self) -> bytes:
        if not self._file.exists():
            return b""
        with self._file.open("rb") as file:
            file.seek(self._offset)
            added = file.read(BLOCK)
        self._offset += len(added)
        return added


def _parse(raw: bytes) -> LogLine:
    """A JSON line of the trainer's logging, or any other output as a line of level OUTPUT."""
    text = raw.decode(errors="replace")
    try:
        record = json.loads(text)
        at, level, message = float(record["at"]), record["level"], str(record["message"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return _output(text)
    if level not in LEVELS or not abs(at - time.time()) < LARGEST_AGE:
        return _output(text)
    return LogLine(at, level, _storable(message))


def _output(text: str) -> LogLine:
    return LogLine(time.time(), OUTPUT, _storable(text))


def _storable(text: str) -> str:
    """Cut to MOST_CHARACTERS, without NUL and halves of surrogate pairs, which databases refuse."""
    return text[:MOST_CHARACTERS].replace("\0", "").encode("utf-8", "replace").decode()
