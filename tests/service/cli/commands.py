"""Helpers for the tests of the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

from service.core.evaluation.predictions import Predictions
from service.core.records.lease import Lease
from tests.service.live import Live
from tests.service.worker_steps import claim, epoch, finish

Command = Callable[..., Result]


def document(result: Result) -> Any:
    """The JSON document on stdout."""
    return json.loads(result.stdout)


def train_next_job(
    live: Live,
    tmp_path: Path,
    losses: tuple[float, ...] = (0.9, 0.5, 0.6),
    predictions: Predictions | None = None,
) -> Lease:
    """Run the next job to success, with epochs of these validation losses."""
    lease = claim(live.parts)
    best = float("inf")
    for number, loss in enumerate(losses, 1):
        live.parts.store.leases.append(lease, [epoch(number, loss, improved=loss < best)])
        best = min(best, loss)
    finish(live.parts, lease, tmp_path, predictions=predictions)
    return lease
