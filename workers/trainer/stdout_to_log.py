"""The stdout and stderr of a trainer process go to one file, which its supervisor reads as it grows.

So the last output of a process that crashes is in the file too. Records of `logging` are JSON lines there.
"""

import faulthandler
import json
import logging
import os
import sys
from pathlib import Path


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"at": record.created, "level": record.levelname.lower(), "message": super().format(record)})


def redirect_output(file: Path) -> None:
    """Append all output of this process to the file from now on, and a traceback if the process crashes."""
    with file.open("ab") as opened:
        os.dup2(opened.fileno(), sys.stdout.fileno())
        os.dup2(opened.fileno(), sys.stderr.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is the interpreter's own
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    faulthandler.enable()
