"""Shows a fit: its decisions line by line while it runs, then the result and the best trials."""

import math

from rich.console import Console, Group, RenderableType
from rich.live import Live

from service.cli.format import list_table
from service.client import Json, Rightfit
from service.core.text import MINUTE, counted, format_number, format_percent

SHOWN = 8  # trials in the table


def follow(console: Console, client: Rightfit, fit_id: str) -> Json:
    """Print each decision and each outcome once, and in a terminal a line of progress below; returns the ended fit."""
    begun, settled = set[int](), set[int]()
    found: Json = {}
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for found in client.fits.changes(fit_id):
            for step in found["steps"]:
                if step["number"] not in begun:
                    begun.add(step["number"])
                    console.print(_decision(step), markup=False, soft_wrap=True)
                if step["outcome"] and step["number"] not in settled:
                    settled.add(step["number"])
                    console.print(f"  trial {step['trial']}: {step['outcome']}", markup=False, soft_wrap=True)
            if console.is_terminal:
                live.update(_progress(found), refresh=True)
    return found


def view(found: Json) -> RenderableType:
    """A fit: its status, its summary and its best trials."""
    head = f"{found['id']}: {found['phase'] or found['status']}. {found['summary']}"
    rest = len(found["leaderboard"]) - SHOWN
    return Group(head, _progress(found), _table(found), *([f"and {counted(rest, 'trial')} more"] if rest > 0 else []))


def _decision(step: Json) -> str:
    trial = f" trial {step['trial']}" if step["trial"] else ""
    return f"{step['number']}. {step['what']}{trial}: {step['why']}"


def _progress(found: Json) -> str:
    """The phase, what was spent and what is left, and the best so far against the base."""
    return ", ".join(
        [found["phase"] or found["status"], _spent(found["budget"]), *_standing(found["base"], found["best"])]
    )


def _spent(budget: Json) -> str:
    spent = counted(budget["spent_jobs"], "job")
    if budget["minutes"] is None:
        return f"{budget['spent_jobs']} of {counted(budget['jobs'], 'job')}"
    left = max(0.0, budget["minutes"] - budget["spent_minutes"])
    return f"{spent}, {math.floor(left)} min {math.floor(left * MINUTE) % MINUTE} s left"


def _standing(base: Json | None, best: Json | None) -> list[str]:
    shown = [("best", best), ("base", base)]
    return [
        f"{word} val loss {format_number(each['val_loss'])} (trial {each['trial']})"
        for word, each in shown
        if each and each["val_loss"] is not None
    ]


def _table(found: Json) -> RenderableType:
    table = list_table("job", "trial", "from", "val loss", "accuracy", "trainings", "epochs", "state")
    for each in found["leaderboard"][:SHOWN]:
        epochs = f"{each['epochs']}/{each['of_epochs']}"
        measures = (format_number(each["val_loss"]), format_percent(each["accuracy"]), str(each["trainings"]))
        table.add_row(each["job"], str(each["trial"]), each["source"], *measures, epochs, each["state"])
    return table
