"""The task behind a hint."""

from collections.abc import Callable

from celery import Celery

from service.core.broker.hints import TRAIN


def register(app: Celery, run_next: Callable[[str], object]) -> None:
    """Give the app its one task."""

    @app.task(name=TRAIN)
    def train(job_id: str) -> None:
        """There is a job: take whichever is first in the queue, which need not be the one named."""
        run_next(job_id)
