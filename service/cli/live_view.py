"""A job as it runs: a bar, a small table and the curves, live in a terminal; a line for each epoch elsewhere."""

import time

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from service.cli.errors import FAILED, INTERRUPTED
from service.cli.format import format_epoch, format_job, format_state, format_verdict
from service.cli.session import Session
from service.client import Json, Rightfit
from service.core.counting import format_number, format_percent
from service.core.history import Epoch

REDRAW_SECONDS = 1.0  # between two drawings of the curves
CURVES_HEIGHT = 32  # lines of a terminal that has room for them


def watch_to_the_end(session: Session, job_id: str) -> None:
    """Show the job until it has ended, then its verdict; the exit code is 0 where it succeeded."""
    with session.patient_client(job_id, f"rightfit watch {job_id}") as client:
        try:
            job = _followed(session.notes, client, job_id)
        except KeyboardInterrupt:
            session.notes.print(
                f"\nThe job goes on. Come back: rightfit watch {job_id}   end it: rightfit cancel {job_id}",
                markup=False,
            )
            raise click.exceptions.Exit(INTERRUPTED) from None
        diagnosis = client.diagnose(job_id)
    said = f"{format_job(job)}\n\n{format_verdict(job_id, diagnosis)}"
    session.answer(job | {"diagnosis": diagnosis}, lambda: said)
    if job["status"] != "succeeded":
        raise click.exceptions.Exit(FAILED)


def _followed(console: Console, client: Rightfit, job_id: str) -> Json:
    job: Json = {}
    picture = _Picture(client, job_id)
    if not console.is_terminal:
        told = ""
        for job in client.changes(job_id):
            if (line := _line(job)) != told:
                console.print(line, markup=False, soft_wrap=True)
                told = line
        console.print(picture.curves(job), markup=False)
        return job
    has_room = console.height >= CURVES_HEIGHT
    with Live(console=console, refresh_per_second=10) as live:
        for job in client.changes(job_id):
            live.update(Group(_state(job), picture.curves(job)) if has_room or job["is_terminal"] else _state(job))
    return job


class _Picture:
    """The curves so far, drawn no more often than anyone can look."""

    def __init__(self, client: Rightfit, job_id: str) -> None:
        self._client, self._job_id = client, job_id
        self._rows: list[Json] = []
        self._drawn, self._drawn_at = "", -REDRAW_SECONDS

    def curves(self, job: Json) -> str:
        from service import curves  # noqa: PLC0415 - see service/cli/__init__.py

        if time.monotonic() - self._drawn_at < REDRAW_SECONDS and not job["is_terminal"]:
            return self._drawn
        last = self._rows[-1]["epoch"] if self._rows else 0
        if job["progress"]["epoch"] < last:  # it was put back, and goes on from an earlier epoch
            self._rows, last = [], 0
        self._rows += self._client.history(self._job_id, after_epoch=last)["data"]
        best = Epoch(**job["best"]) if job["best"] else None
        self._drawn = curves.draw([Epoch(**row) for row in self._rows], best)
        self._drawn_at = time.monotonic()
        return self._drawn


def _line(job: Json) -> str:
    last = job["last"]
    if job["status"] != "running" or not last:
        return f"{job['id']}: {format_state(job)}"
    return format_epoch(last)


def _state(job: Json) -> RenderableType:
    progress = job["progress"]
    bar = Table.grid(padding=(0, 2))
    left = progress["eta_seconds"]
    bar.add_row(
        job["spec"]["name"] or job["id"],
        ProgressBar(total=1.0, completed=progress["fraction"], width=30, pulse=job["phase"] == "preparing"),
        f"{progress['epoch']}/{progress['epochs']} epochs",
        format_state(job),
        f"{left:.0f} s to the last epoch" if left and not job["is_terminal"] else "",
    )
    table = Table("", "epoch", "train loss", "val loss", "val accuracy", box=None, pad_edge=False)
    for name in ("last", "best"):
        row = job[name] or {}
        table.add_row(
            name, str(row.get("epoch", "")), format_number(row.get("train_loss")), format_number(row.get("val_loss")),
            format_percent(row.get("val_accuracy")),
        )  # fmt: skip
    return Group(bar, table)
