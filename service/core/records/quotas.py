"""Quotas of each tenant; None: no limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotas:
    """For each tenant: queued jobs, running jobs, bytes of data sets, and bytes of all stored files."""

    queued_jobs: int | None = None
    running_jobs: int | None = None
    dataset_bytes: int | None = None
    stored_bytes: int | None = None


UNLIMITED = Quotas()
