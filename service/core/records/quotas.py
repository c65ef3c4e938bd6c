"""How much a tenant may have at once; None: as much as it likes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotas:
    """For each tenant: jobs that wait, jobs that run, bytes of data sets, and bytes of everything stored."""

    queued_jobs: int | None = None
    running_jobs: int | None = None
    dataset_bytes: int | None = None
    stored_bytes: int | None = None


UNLIMITED = Quotas()
