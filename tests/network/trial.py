"""Two workers in network namespaces of their own, one of which is disconnected for longer than a lease.

To be run in a network namespace of its own, as root: `unshare --net python -m tests.network.trial`. In it are
PostgreSQL, Redis, S3 and an API, at the address of a bridge; each worker is in another namespace, at the end of a
cable. The namespaces end with the processes.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.tables import events, jobs
from service.core.sql.worker_registry import WorkerRegistry
from tests.chaos.processes import Deployment
from tests.chaos.trial import HEARTBEAT, LEASE, Trial, examine, references
from tests.ports import eventually
from tests.servers import LIFELINE, S3_BUCKET, postgresql, s3

HUB, WORKERS = "10.77.0.1", ("10.77.0.11", "10.77.0.12")
CUT_SECONDS = 2 * LEASE
BACK_SECONDS = 120  # until a worker whose connections were dead serves again


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def cable(number: int) -> str:
    """The name of the end of the cable in our namespace."""
    return f"worker{number}"


@contextmanager
def machine(number: int) -> Iterator[list[str]]:
    """A namespace at the end of a cable to the bridge; the words that run a command in it."""
    holder = subprocess.Popen([*LIFELINE, "unshare", "--net", "sleep", "infinity"])
    within = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    ours, theirs = Path("/proc/self/ns/net").stat().st_ino, Path(f"/proc/{holder.pid}/ns/net")
    try:
        assert eventually(lambda: theirs.stat().st_ino != ours)
        ip("link", "add", cable(number), "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        ip("link", "set", cable(number), "master", "hub", "up")
        for words in (
            ["addr", "add", f"{WORKERS[number]}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
        ):
            subprocess.run([*within, "ip", *words], check=True)
        yield within
    finally:
        holder.kill()
        holder.wait()


@contextmanager
def world(home: Path) -> Iterator[Trial]:
    """Everything, started."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "hub", "type", "bridge")
    ip("addr", "add", f"{HUB}/24", "dev", "hub")
    ip("link", "set", "hub", "up")
    with ExitStack() as stack:
        within = [stack.enter_context(machine(number)) for number in range(len(WORKERS))]
        database_url = stack.enter_context(stack.enter_context(postgresql(HUB)).database())
        os.environ.update(stack.enter_context(s3(HUB)))
        settings = replace(
            Settings.from_env({"RIGHTFIT_HOME": str(home)}),
            database_url=database_url,
            storage_url=f"s3://{S3_BUCKET}/{uuid4().hex}",
            threads=1,
            lease_seconds=LEASE,
            heartbeat_seconds=HEARTBEAT,
            hint_seconds=2.0,
            dispatch_seconds=0.5,
            stop_seconds=10.0,
            backoff_seconds=0.1,
            checkpoint_seconds=0.2,
        )
        database = Database(settings.database_url)
        stack.callback(database.close)
        deployment = Deployment(settings, len(WORKERS), 1, HUB, within)
        stack.callback(deployment.end)
        deployment.wait_until_ready(WorkerRegistry(database))
        trial = Trial(deployment, database, random.Random(0))
        stack.callback(trial.http.close)
        yield trial


def running(trial: Trial, worker: int) -> str | None:
    """The job that a worker trains, once it has a checkpoint of a whole epoch."""
    held = jobs.c.worker.endswith(f":{trial.deployment.workers[worker].pid}")
    with trial.database.read() as c:
        rows = c.execute(select(jobs.c.id, jobs.c.checkpoints).where(held, jobs.c.phase == "training")).all()
    return next((row.id for row in rows if row.checkpoints and row.checkpoints[0]["epochs"]), None)


def trains(trial: Trial, worker: int) -> bool:
    pids = {process.pid for process in trial.deployment.workers[worker].descendants()}
    return any(process.pid in pids for process in trial.deployment.trainers())


def taken_up(trial: Trial, job_id: str) -> bool:
    """Whether another attempt has gone on from a checkpoint of the first."""
    resumptions = select(events.c.data).where(events.c.job_id == job_id, events.c.type == "resumed")
    with trial.database.read() as c:
        return any(data["after_epoch"] > 0 for data in c.execute(resumptions).scalars())


def cut_off(trial: Trial, worker: int) -> None:
    """Cut a worker off in the middle of a job, and let it back once another has taken the job up."""
    held: list[str] = []

    def trains_one() -> bool:
        held[:] = [job_id] if (job_id := running(trial, worker)) else []
        return bool(held)

    assert eventually(trains_one, 60), "the worker got no job"
    (lost,) = held
    cut_at = time.monotonic()
    ip("link", "set", cable(worker), "down")
    if not eventually(lambda: not trains(trial, worker), CUT_SECONDS):
        trial.faults.append("the trainer of the worker that was cut off still runs though its lease has run out")
    if not eventually(lambda: taken_up(trial, lost), 60):
        trial.faults.append(f"no worker resumed {lost}")
    time.sleep(max(0.0, CUT_SECONDS - (time.monotonic() - cut_at)))
    ip("link", "set", cable(worker), "up")
    print(f"cut off for {time.monotonic() - cut_at:.1f} s with a lease of {LEASE:g} s; the other went on with {lost}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20)
    given = parser.parse_args()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="rightfit-network-", ignore_cleanup_errors=True) as folder,
        world(Path(folder)) as trial,
    ):
        expected = references(trial)
        first, last = len(expected) + given.jobs // 2, len(expected) + given.jobs  # the undisturbed ones, by their keys
        ids = [trial.submit(number) for number in range(first)]
        cut_off(trial, 0)
        ids += [trial.submit(number) for number in range(first, last)]
        if not eventually(lambda: running(trial, 0) is not None, BACK_SECONDS):
            trial.faults.append("the worker that was cut off has taken no job since")
        if not trial.settled(ids):
            trial.faults.append("not every job has ended")
        examine(trial, ids, expected)
    print(f"{len(ids)} jobs, {time.monotonic() - started:.0f} s, {len(trial.faults)} faults")
    print("\n".join(trial.faults), end="\n" if trial.faults else "")
    return int(bool(trial.faults))


if __name__ == "__main__":
    sys.exit(main())
