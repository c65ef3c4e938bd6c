"""What a trainer process writes, to its log or past it, becomes the log of its job.

The trainer's stdout and stderr are one file, so that the last words of a process that crashes are in it too; its own
log writes JSON lines there. The supervisor reads the file as it grows.
"""

import faulthandler
import json
import logging
import os
import sys
import time
from pathlib import Path

from service.core.records.job_log import KEPT, OUTPUT, LogLine
from service.core.units import DAY

LONGEST = 2_000  # characters of a message
LEVELS = ("debug", "info", "warning", "error", "critical", OUTPUT)
AT_ONCE = 1 << 20  # bytes of one reading


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"at": record.created, "level": record.levelname.lower(), "message": super().format(record)})


def begin(file: Path) -> None:
    """Write all that this process says to the file from now on, and a traceback should it crash."""
    with file.open("ab") as opened:
        os.dup2(opened.fileno(), sys.stdout.fileno())
        os.dup2(opened.fileno(), sys.stderr.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is the interpreter's own
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    faulthandler.enable()


class TrainerLog:
    """The file as its reader sees it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._unfinished = b""
        self.read_at = time.monotonic()

    def read(self) -> list[LogLine]:
        """The whole lines that were added since the last time."""
        self.read_at = time.monotonic()
        *whole, unfinished = (self._unfinished + self._added()).split(b"\n")
        if len(unfinished) > AT_ONCE:  # a writer that ends no line
            whole, unfinished = [*whole, unfinished], b""
        self._unfinished = unfinished
        return [_line(raw) for raw in whole[-KEPT:]]

    def rest(self) -> list[LogLine]:
        """All that is left, once the trainer has ended; of very much, the end."""
        if self._file.exists() and (near_end := self._file.stat().st_size - AT_ONCE) > self._offset:
            self._offset, self._unfinished = near_end, b""
        lines = self.read()
        last, self._unfinished = self._unfinished, b""
        return [*lines, _line(last)] if last else lines

    def _added(self) -> bytes:
        if not self._file.exists():
            return b""
        with self._file.open("rb") as file:
            file.seek(self._offset)
            added = file.read(AT_ONCE)
        self._offset += len(added)
        return added


def _line(raw: bytes) -> LogLine:
    text = raw.decode(errors="replace")
    try:
        told = json.loads(text)
        at, level, message = float(told["at"]), told["level"], str(told["message"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        at, level, message = time.time(), OUTPUT, text
    is_ours = level in LEVELS and abs(at - time.time()) < DAY  # a line of another day is not one of the log
    return LogLine(at, level, _storable(message)) if is_ours else LogLine(time.time(), OUTPUT, _storable(text))


def _storable(text: str) -> str:
    """Cut to what is kept, without what no database takes: NUL, and halves of surrogate pairs."""
    return text[:LONGEST].replace("\0", "").encode("utf-8", "replace").decode()
