"""A bar for bytes that are sent or fetched."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from service.cli.session import Session
from service.client import Progress as Told


@contextmanager
def bar(session: Session, what: str) -> Iterator[Told]:
    """Call what it gives with the bytes so far and the bytes in all; drawn on a terminal only."""
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = session.notes
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
