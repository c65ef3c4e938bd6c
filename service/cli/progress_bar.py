"""The progress bar of an upload or a download."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from service.cli.session import Session
from service.client import Progress as ReportProgress


@contextmanager
def progress_bar(session: Session, name: str) -> Iterator[ReportProgress]:
    """Yields a function of the bytes so far and the bytes in total, which draws the bar in a terminal."""
    sizes = DownloadColumn(binary_units=True)
    columns = ("{task.description}", BarColumn(), sizes, TransferSpeedColumn(), TimeRemainingColumn())
    console = session.notes
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
