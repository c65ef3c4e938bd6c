"""Quotas of each tenant; None: no limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotas:
    """For each tenant: queued jobs, running jobs, bytes of data sets, bytes of all stored files, data sets, webhook
    messages that are not delivered yet, and uploaded weights.
    """

    queued_jobs: int | None = None
    running_jobs: int | None = None
    dataset_bytes: int | None = None
    stored_bytes: int | None = None
    datasets: int | None = None
    webhook_messages: int | None = None
    weights: int | None = None


UNLIMITED = Quotas()
