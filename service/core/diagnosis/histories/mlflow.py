"""Metric files of an MLflow run: lines of `timestamp value step`, one file for each metric.

The files do not say which metric they hold, so they are read as `tail -n +1 metrics/*` and `grep "" metrics/*` show
them: with their paths.
"""

import re
from pathlib import PurePosixPath
from typing import Any

from service.core.diagnosis.histories.cells import number
from service.core.diagnosis.histories.table import Source, Table, limited, refusal

TITLE = re.compile(r"^==> (.+) <==$")
LINE = re.compile(r"^(?:(?P<path>[^:\s][^:]*):)?(?P<time>\d{9,16}) (?P<value>\S+) (?P<step>-?\d+)(?: \S+)*$")
FOLDER = "metrics"


def read(source: Source) -> Table | None:
    """Metric files one after the other, each with its path."""
    name = ""
    by_step: dict[int, dict[str, Any]] = {}
    is_first = True
    for line in source.lines:
        if title := TITLE.match(line):
            name = _metric(title[1])
            continue
        match = LINE.match(line)
        if match is None:
            if is_first:
                return None
            continue
        is_first = False
        metric = _metric(match["path"]) if match["path"] else name
        if not metric:
            detail = "this is a metric file of MLflow, which does not contain the name of its metric"
            raise refusal(detail, 'all metrics of a run with their paths, as `grep "" metrics/*` prints them')
        step = int(match["step"])
        by_step.setdefault(step, {"step": step})[metric] = number(match["value"])
    return Table("MLflow metric files", limited([by_step[step] for step in sorted(by_step)])) if by_step else None


def _metric(path: str) -> str:
    """The name of a metric by the path of its file; names may have slashes."""
    parts = PurePosixPath(path).parts
    return "/".join(parts[parts.index(FOLDER) + 1 :]) if FOLDER in parts else path
