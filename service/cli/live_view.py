"""Shows a running job: progress, losses and curves live in a terminal, otherwise one line per epoch."""

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
from service.core.records.epoch import Epoch
from service.core.text import format_number, format_percent

REDRAW_SECONDS = 1.0  # between two drawings of the curves
CURVES_HEIGHT = 32  # lines of a terminal that has room for the curves


def watch_to_the_end(session: Session, job_id: str) -> None:
    """Show the job until it has ended, then its verdict. The exit code is 0 if the job succeeded."""
    with session.patient_client(lambda client: client.job(job_id), f"rightfit watch {job_id}") as client:
        try:
            job = _follow(session.notes, client, job_id)
        except KeyboardInterrupt:
            session.note(f"\nThe job continues. Come back: rightfit watch {job_id}   end it: rightfit cancel {job_id}")
            raise click.exceptions.Exit(INTERRUPTED) from None
        diagnosis = client.diagnose(job_id)
    text = f"{format_job(job)}\n\n{format_verdict(job_id, diagnosis)}"
    session.answer(job | {"diagnosis": diagnosis}, lambda: text)
    if job["status"] != "succeeded":
        raise click.exceptions.Exit(FAILED)


def _follow(console: Console, client: Rightfit, job_id: str) -> Json:
    """Show each change of the job; returns the ended job."""
    show = _show_live if console.is_terminal else _print_lines
    return show(console, client, job_id, _Curves(client, job_id))


def _show_live(console: Console, client: Rightfit, job_id: str, curves: "_Curves") -> Json:
    job: Json = {}
    has_room = console.height >= CURVES_HEIGHT
    with Live(console=console, refresh_per_second=10) as live:
        for job in client.changes(job_id):
            view = _state_view(job)
            live.update(Group(view, curves.draw(job)) if has_room or job["is_terminal"] else view)
    return job


def _print_lines(console: Console, client: Rightfit, job_id: str, curves: "_Curves") -> Json:
    job: Json = {}
    previous = ""
    for job in client.changes(job_id):
        if (line := _line(job)) != previous:
            console.print(line, markup=False, soft_wrap=True)
            previous = line
    console.print(curves.draw(job), markup=False)
    return job


class _Curves:
    """The loss curves up to now, drawn at most once in REDRAW_SECONDS."""

    def __init__(self, client: Rightfit, job_id: str) -> None:
        self._client, self._job_id = client, job_id
        self._epochs: list[Json] = []
        self._drawing, self._drawn_at = "", -REDRAW_SECONDS

    def draw(self, job: Json) -> str:
        from service.rendering import curves_text  # noqa: PLC0415 - see service/cli/__init__.py

        if time.monotonic() - self._drawn_at < REDRAW_SECONDS and not job["is_terminal"]:
            return self._drawing
        last = self._epochs[-1]["epoch"] if self._epochs else 0
        if job["progress"]["epoch"] < last:  # a new attempt continues from an earlier epoch
            self._epochs, last = [], 0
        self._epochs += self._client.history(self._job_id, after_epoch=last)["data"]
        best = Epoch(**job["best"]) if job["best"] else None
        self._drawing = curves_text.draw([Epoch(**epoch) for epoch in self._epochs], best)
        self._drawn_at = time.monotonic()
        return self._drawing


def _line(job: Json) -> str:
    last = job["last"]
    if job["status"] != "running" or not last:
        return f"{job['id']}: {format_state(job)}"
    return format_epoch(last)


def _state_view(job: Json) -> RenderableType:
    """The progress bar, and a table of the last and the best epoch."""
    progress = job["progress"]
    name = job["spec"]["name"] or job["id"]
    bar = ProgressBar(total=1.0, completed=progress["fraction"], width=30, pulse=job["phase"] == "preparing")
    epochs = f"{progress['epoch']}/{progress['epochs']} epochs"
    left = progress["eta_seconds"]
    remaining = f"{left:.0f} s to the last epoch" if left and not job["is_terminal"] else ""
    row = Table.grid(padding=(0, 2))
    row.add_row(name, bar, epochs, format_state(job), remaining)
    table = Table("", "epoch", "train loss", "val loss", "val accuracy", box=None, pad_edge=False)
    for which in ("last", "best"):
        epoch = job[which] or {}
        losses = (format_number(epoch.get(loss)) for loss in ("train_loss", "val_loss"))
        table.add_row(which, str(epoch.get("epoch", "")), *losses, format_percent(epoch.get("val_accuracy")))
    return Group(row, table)
