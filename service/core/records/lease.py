"""The rights of workers: to run a job, and to read a data set. The attempt is the fencing token of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.core.records.capacity import Needs
from service.core.records.dataset import ReadingOptions
from service.core.records.job import Checkpoint, LostAttempt
from service.core.storage import Artifact


@dataclass(frozen=True)
class Lease:
    """A worker's right to run a job. The spec is plain data, as stored.

    `needs` are those of its plan. `checkpoints` and `lost_attempts` are those of former attempts, the newest checkpoint
    first. `traceparent` is that of the request that submitted the job. The job is given back for a pause as soon as it
    has `pause_after` complete epochs (None: it is trained to its end). A job `is_trial` if it belongs to a fit, which
    scores the test images once for the model that it keeps. A job that `only_scores` does that: it trains nothing.
    """

    job_id: str
    attempt: int
    spec: Mapping[str, Any]
    needs: Needs
    checkpoints: tuple[Checkpoint, ...] = ()
    lost_attempts: tuple[LostAttempt, ...] = ()
    traceparent: str | None = None
    pause_after: int | None = None
    is_trial: bool = False
    only_scores: bool = False


@dataclass(frozen=True)
class Reading:
    """A worker's right to read a data set, which is packed into at most `most_bytes` (None: no limit). `labels` is the
    label file that was sent beside the upload.
    """

    dataset_id: str
    attempt: int
    format: str
    upload: Artifact
    most_bytes: int | None = None
    options: ReadingOptions = field(default_factory=ReadingOptions)
    labels: Artifact | None = None
