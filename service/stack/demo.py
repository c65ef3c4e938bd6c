"""`rightfit demo`: two trainings from end to end, on a temporary stack."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from service.client import Rightfit
from service.core.records.artifact_names import BEST_MODEL, REPORT
from service.core.records.epoch import Epoch
from service.core.settings import Settings
from service.rendering import curves_text
from service.stack.standalone import Stack

PLAIN: dict[str, Any] = {
    "name": "plain",
    "dataset": {"id": "digits", "train_limit": 100},
    "epochs": 80,
    "batch_size": 32,
    "seed": 1,
    "optimizer": {"name": "adam", "lr": 3e-3},
    "early_stopping": {"patience": 20},
}
REGULARIZED = PLAIN | {"name": "regularized", "regularization": {"dropout": 0.5, "weight_decay": 1e-3}}
REFRESHES = 10  # a second
REPORTS = (BEST_MODEL, REPORT)


def run(console: Console) -> list[dict[str, Any]]:
    """Run the demo. Returns the ended jobs; `verified`: the downloaded model reproduces the recorded loss."""
    with tempfile.TemporaryDirectory(prefix="rightfit-demo-") as home:
        settings = Settings.from_env({"RIGHTFIT_HOME": home})
        console.print("Starting broker, worker and API in a temporary folder (the worker imports torch) …")
        with Stack(replace(settings, port=0)) as stack, Rightfit(stack.url) as client:
            console.print(f"Ready at {stack.url}. Two jobs on 100 training images of handwritten digits:\n")
            jobs = [client.submit(spec) for spec in (PLAIN, REGULARIZED)]
            ended = _watch(console, stack, jobs)
            shown = [job | _show(console, client, job, Path(home)) for job in ended]
            if all(job["verified"] for job in shown):
                _compare(console, *ended)
    console.print("Everything is stopped and deleted. To let Rightfit find the best model, in a minute:")
    console.print("  rightfit serve                      # in one terminal", highlight=False)
    console.print("  rightfit fit digits --minutes 1     # in another", highlight=False)
    return shown


def _watch(console: Console, stack: Stack, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    latest = {job["id"]: job for job in jobs}

    def follow(job_id: str) -> None:
        with Rightfit(stack.url) as client:
            for job in client.changes(job_id):
                latest[job_id] = job

    followers = [threading.Thread(target=follow, args=(job_id,), daemon=True) for job_id in latest]
    for follower in followers:
        follower.start()
    with Live(_table(latest), console=console, refresh_per_second=REFRESHES) as live:
        while any(follower.is_alive() for follower in followers):
            followers[0].join(1 / REFRESHES)
            followers[1].join(1 / REFRESHES)
            stack.check()
            live.update(_table(latest))
    console.print()
    return list(latest.values())


def _table(jobs: Mapping[str, dict[str, Any]]) -> Table:
    table = Table("job", "status", "progress", "epoch", "train loss", "val loss", "best", box=None, pad_edge=False)
    for job in jobs.values():
        last, best, progress = job["last"], job["best"], job["progress"]
        table.add_row(
            job["spec"]["name"],
            job["stop_reason"] or job["phase"] or job["status"],
            ProgressBar(total=1.0, completed=progress["fraction"], width=10),
            f"{progress['epoch']}/{progress['epochs']}",
            f"{last['train_loss']:.4f}" if last else "",
            f"{last['val_loss']:.4f}" if last else "",
            f"{best['val_loss']:.4f} (epoch {best['epoch']})" if best else "",
        )
    return table


def _show(console: Console, client: Rightfit, job: dict[str, Any], home: Path) -> dict[str, Any]:
    """Print the curves and the diagnosis, and check that the downloaded model reproduces the recorded loss."""
    if job["status"] != "succeeded":
        console.print(f"{job['spec']['name']} {job['status']}: {job['error'] or job['stop_reason']}")
        return {"diagnosis": None, "verified": False}
    epochs = [Epoch(**row) for row in client.history(job["id"])["data"]]
    best = next(e for e in epochs if e.epoch == job["best"]["epoch"])
    console.print(
        curves_text.draw(epochs, best, title=f"{job['spec']['name']}: cross entropy per image"), highlight=False
    )
    diagnosis = client.diagnose(job["id"])
    console.print(f"[bold]{diagnosis['verdict']}[/bold]: {diagnosis['summary']}")
    folder = home / "downloads" / job["id"]
    folder.mkdir(parents=True)
    sums = {name: client.download(job["id"], name, folder / name) for name in REPORTS}
    console.print(f"Downloaded best_model.pth, SHA-256 {sums['best_model.pth'][:16]}…, equal to the manifest.")
    checked = subprocess.run(
        [sys.executable, "-m", "workers.tools.verify", str(folder)], capture_output=True, text=True, check=False
    )
    console.print(
        f"Loaded with weights_only=True and evaluated again: {checked.stdout.strip() or checked.stderr.strip()}\n"
    )
    return {"diagnosis": diagnosis, "verified": checked.returncode == 0}


def _compare(console: Console, plain: dict[str, Any], regularized: dict[str, Any]) -> None:
    before, after = plain["best"]["val_loss"], regularized["best"]["val_loss"]
    change = "lowered" if after < before else "did not lower"
    console.print(
        f"[bold]Dropout and weight decay {change} the best validation loss: "
        f"{before:.3f} without, {after:.3f} with.[/bold]\n"
    )
