"""Chaos, bounded and seeded: all kinds of processes die while jobs run, and each job must end as if alone.

The acts follow each other by the epochs that are trained, not by the clock. So the jobs get on between two acts and a
trial ends on any machine, however slow it is.

`python -m tests.chaos.trial --jobs 200`; `make chaos` runs it over both databases.
"""

import argparse
import hashlib
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import redis
from sqlalchemy import func, select

from service.core.broker.hints import QUEUE, HintQueue
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.tables import events, jobs
from service.core.sql.worker_registry import WorkerRegistry
from tests.chaos.processes import Deployment
from tests.servers import EVERYTHING_PUBLISHED, S3_BUCKET, postgresql, s3

Json = dict[str, Any]

WORKERS, APIS = 3, 2
OF_OWNERS = ("pause", "resume")  # actions on jobs
THREADS = 2  # of each worker: it trains two of these small jobs side by side
LEASE, HEARTBEAT = 4.0, 0.5  # seconds
EPOCHS_BETWEEN = 5, 15  # the least and the most epochs that all jobs together train between two acts
SILENCE = 300.0  # seconds without an epoch and without the end of a job, after which a trial has failed
POLL_SECONDS = 0.1
MEASURED = (
    "epoch",
    "train_loss",
    "train_loss_clean",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "penalty",
    "lr",
    "improved",
    "epochs_without_improvement",
)
# Some seconds each, on one thread, with dropout, batch norm, augmentation and schedules.
SPECS: tuple[Json, ...] = (
    {
        "model": {"arch": "cnn", "channels": [8], "hidden": [16], "norm": "batch"},
        "epochs": 12,
        "regularization": {"dropout": 0.3},
        "schedule": {"name": "cosine", "warmup_epochs": 2},
    },
    {
        "model": {"arch": "mlp", "hidden": [64]},
        "epochs": 25,
        "augmentation": {"crop_padding": 1},
        "regularization": {"mixup_alpha": 0.2, "ema_decay": 0.9, "average_best": 3},
    },
    {
        "model": {"arch": "mlp", "hidden": [32]},
        "epochs": 60,
        "early_stopping": {"patience": 3},
        "regularization": {"dropout": 0.1, "weight_decay": 1e-4},
    },
    {
        "model": {"arch": "cnn", "channels": [4, 8], "hidden": []},
        "epochs": 10,
        "optimizer": {"name": "sgd", "lr": 0.05},
        "schedule": {"name": "onecycle"},
        "augmentation": {"rotation_degrees": 10, "random_erasing": 0.2},
    },
)
# Starts from the best model of the first of SPECS.
TRANSFER: Json = {
    "model": SPECS[0]["model"] | {"freeze": "then_all", "unfreeze_epoch": 7, "layer_decay": 0.7},
    "epochs": 12,
    "schedule": {"name": "cosine"},
}
KINDS = len(SPECS) + 1


@dataclass
class Trial:
    """A deployment, the count of each action against it, and the faults that were seen."""

    deployment: Deployment
    database: Database
    random: random.Random
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    source: str = ""  # the job that those of TRANSFER start from
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10, trust_env=False))

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to one API after another until one answers."""
        deadline = time.monotonic() + 120
        for url in itertools.cycle(self.deployment.urls):
            with suppress(httpx.TransportError):
                answer = self.http.request(method, url + path, **options)
                if answer.status_code < 500:
                    return answer
                if answer.status_code != 503:
                    self.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} was not answered")
            time.sleep(0.1)
        raise AssertionError

    def submit(self, number: int) -> str:
        key = f"job-{number}"
        answer = self.ask("POST", "/v1/jobs", json=spec(number, self.source), headers={"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def progress(self) -> tuple[int, int]:
        """How many jobs have ended, and the epochs of all jobs. Reads the database, because the APIs may be dead."""
        with self.database.read() as c:
            ended, epochs = c.execute(select(func.count(jobs.c.finished_at), func.sum(jobs.c.last_epoch))).one()
        return ended, int(epochs or 0)

    def settled(self, ids: list[str]) -> bool:
        """Return once all jobs have ended: True; or once nothing has got on for SILENCE: False."""
        seen, since = self.progress(), time.monotonic()
        while seen[0] < len(ids) and time.monotonic() - since < SILENCE:
            time.sleep(POLL_SECONDS)
            if (now := self.progress()) != seen:
                seen, since = now, time.monotonic()
        return seen[0] >= len(ids)


def kind_of(number: int) -> int:
    """The undisturbed jobs come first, one of each kind; those that follow begin with TRANSFER."""
    return number if number < KINDS else -1 - number % KINDS + KINDS


def spec(number: int, source: str) -> Json:
    kind = kind_of(number)
    of_kind = SPECS[kind] if kind < len(SPECS) else TRANSFER | {"model": TRANSFER["model"] | {"weights": source}}
    return of_kind | {
        "dataset": {"id": "digits", "train_limit": 600},
        "batch_size": 16,
        "seed": kind,
        "device": "cpu",
        "labels": {"number": str(number)},
    }


def actions(trial: Trial) -> dict[str, Callable[[], None]]:
    """All actions against a deployment, by name."""
    deployment, pick = trial.deployment, trial.random.choice
    hints = HintQueue(deployment.settings.broker_url)

    def a_trainer() -> None:
        if trainers := deployment.trainers():
            with suppress(psutil.NoSuchProcess):
                pick(trainers).kill()

    def on_redis(act: Callable[[redis.Redis], object]) -> None:
        with suppress(redis.RedisError), redis.Redis.from_url(str(deployment.settings.redis_url)) as client:
            act(client)

    def owner(action: str) -> None:
        with trial.database.read() as c:
            living = c.execute(select(jobs.c.id).where(jobs.c.finished_at.is_(None)).limit(5)).scalars().all()
        if living:
            trial.ask("POST", f"/v1/jobs/{pick(living)}/{action}")

    def doubled() -> None:
        for _ in range(5):
            hints.send("job_that_is_no_job")

    return {
        "SIGKILL to a worker": lambda: pick(deployment.workers).send(signal.SIGKILL),
        "SIGKILL to a trainer": a_trainer,
        "SIGKILL to an API": lambda: pick(deployment.apis).send(signal.SIGKILL),
        "SIGSTOP of a worker longer than its lease": lambda: pick(deployment.workers).freeze(LEASE + 2),
        "SIGTERM to a worker": lambda: pick(deployment.workers).send(signal.SIGTERM),
        "FLUSHALL": lambda: on_redis(lambda client: client.flushall()),
        "kill -9 of the broker": lambda: deployment.broker.send(signal.SIGKILL),
        "hints lost": lambda: on_redis(lambda client: client.delete(QUEUE)),
        "hints doubled": doubled,
        **{action: partial(owner, action) for action in OF_OWNERS},
    }


def torment(trial: Trial, over: threading.Event, between: tuple[int, int], rounds: int | None) -> None:
    """Act until `over` is set, or for a number of rounds; each round has every action once, in random order."""
    act_at_random(trial, actions(trial), over, between, rounds)


def act_at_random(
    trial: Trial,
    possible: Mapping[str, Callable[[], None]],
    over: threading.Event,
    between: tuple[int, int],
    rounds: int | None = None,
) -> None:
    """As `torment`, with the given actions."""
    for number in itertools.count():
        if number == rounds:
            return
        for name in trial.random.sample(sorted(possible), len(possible)):
            due = trial.progress()[1] + trial.random.randint(*between)
            while trial.progress()[1] < due:
                if over.wait(POLL_SECONDS):
                    return
            possible[name]()
            trial.done[name] += 1


def resume_all(trial: Trial, over: threading.Event) -> None:
    """Resume paused jobs until `over` is set."""
    while not over.wait(2):
        with trial.database.read() as c:
            paused = c.execute(select(jobs.c.id).where(jobs.c.status == "paused")).scalars().all()
        for job_id in paused:
            with suppress(TimeoutError):
                trial.ask("POST", f"/v1/jobs/{job_id}/resume")


def references(trial: Trial) -> list[list[tuple[Any, ...]]]:
    """The histories of undisturbed runs, one for each kind of spec."""
    ids = [trial.submit(number) for number in range(len(SPECS))]
    assert trial.settled(ids), "the undisturbed runs did not end"
    trial.source = ids[0]
    ids.append(trial.submit(len(SPECS)))
    assert trial.settled(ids), "the undisturbed run from weights did not end"
    return [history(trial, job_id) for job_id in ids]


def history(trial: Trial, job_id: str) -> list[tuple[Any, ...]]:
    rows = trial.ask("GET", f"/v1/jobs/{job_id}/history").json()["data"]
    return [tuple(row[name] for name in MEASURED) for row in rows]


def examine(trial: Trial, ids: list[str], expected: list[list[tuple[Any, ...]]]) -> None:
    """Each job was published once, its files are those of the manifest, its history is that of the undisturbed run."""
    if len(set(ids)) != len(ids):
        trial.faults.append("two submissions were given one job")
    with trial.database.read() as c:
        if (count := c.execute(select(func.count()).select_from(jobs)).scalar_one()) != len(ids):
            trial.faults.append(f"{len(ids)} jobs were submitted, {count} exist")
        statuses = c.execute(select(events.c.job_id, events.c.data).where(events.c.type == "status"))
        ends = Counter(job_id for job_id, data in statuses if data["status"] in ("succeeded", "failed", "cancelled"))
    for number, job_id in enumerate(ids):
        job = trial.ask("GET", f"/v1/jobs/{job_id}").json()
        name = f"{job_id} (spec {kind_of(number)}, attempt {job['attempt']})"
        if job["status"] != "succeeded":
            trial.faults.append(f"{name} is {job['status']}: {job['error']}")
            continue
        if ends[job_id] != 1:
            trial.faults.append(f"{name} ended {ends[job_id]} times")
        if history(trial, job_id) != expected[kind_of(number)]:
            trial.faults.append(f"{name} has another history than the undisturbed run")
        manifest = trial.ask("GET", f"/v1/jobs/{job_id}/artifacts").json()["data"]
        if {entry["name"] for entry in manifest} != EVERYTHING_PUBLISHED:
            trial.faults.append(f"{name} has published {[entry['name'] for entry in manifest]}")
        for entry in manifest:
            content = trial.ask("GET", f"/v1/jobs/{job_id}/artifacts/{entry['name']}").content
            if hashlib.sha256(content).hexdigest() != entry["sha256"] or len(content) != entry["bytes"]:
                trial.faults.append(f"{name}: {entry['name']} is not what the manifest says")


@contextmanager
def places(kind: str, home: Path) -> Iterator[tuple[str, str]]:
    """The addresses of a database and a storage: a file and a folder, or PostgreSQL and S3."""
    if kind == "sqlite":
        yield f"sqlite:///{home / 'rightfit.db'}", str(home / "storage")
        return
    with ExitStack() as stack:
        server = stack.enter_context(postgresql())
        before = dict(os.environ)
        stack.callback(os.environ.update, before)
        os.environ.update(stack.enter_context(s3()))
        yield stack.enter_context(server.database()), f"s3://{S3_BUCKET}/{uuid4().hex}"


def run(
    kind: str,
    count: int,
    seed: int,
    between: tuple[int, int] = EPOCHS_BETWEEN,
    rounds: int | None = None,
    workers: int = WORKERS,
) -> Trial:
    """One trial over one kind of database, with `between` epochs between two acts.

    With a number of rounds, it has more jobs than `count` where those end before the last act.
    """
    with deployed(kind, seed, workers) as trial:
        ids = attempt(trial, count, between, rounds)
        examine(trial, ids[0], ids[1])
    return trial


@contextmanager
def deployed(kind: str, seed: int, workers: int = WORKERS) -> Iterator[Trial]:
    """A deployment over one kind of database, whose workers are ready."""
    with tempfile.TemporaryDirectory(prefix="rightfit-chaos-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with places(kind, home) as (database_url, storage_url):
            given = Settings.from_env({"RIGHTFIT_HOME": str(home)})
            settings = replace(
                given,
                database_url=database_url,
                storage_url=storage_url,
                threads=THREADS,
                lease_seconds=LEASE,
                heartbeat_seconds=HEARTBEAT,
                hint_seconds=2.0,
                dispatch_seconds=0.5,
                stop_seconds=10.0,
                attempts=100,
                backoff_seconds=0.1,
                checkpoint_seconds=0.2,
                stall_seconds=60.0,
            )
            database = Database(settings.database_url)
            database.migrate()
            deployment = Deployment(settings, workers, APIS)
            trial = Trial(deployment, database, random.Random(seed))
            try:
                deployment.wait_until_ready(WorkerRegistry(database))
                yield trial
            finally:
                trial.http.close()
                deployment.end()
                database.close()


def attempt(
    trial: Trial, count: int, between: tuple[int, int], rounds: int | None
) -> tuple[list[str], list[list[tuple[Any, ...]]]]:
    expected = references(trial)
    over = threading.Event()
    acting = threading.Thread(target=torment, args=(trial, over, between, rounds), daemon=True)
    resuming = threading.Thread(target=resume_all, args=(trial, over), daemon=True)
    acting.start()
    resuming.start()
    ids = [trial.submit(number) for number in range(KINDS)]  # the undisturbed ones, by their keys
    for number in range(KINDS, count):
        ids.append(trial.submit(number))
        time.sleep(0.05)
    while is_settled := trial.settled(ids):
        if rounds is None or not acting.is_alive():
            break
        ids.append(trial.submit(len(ids)))
    if not is_settled:
        trial.faults.append(f"nothing got on for {SILENCE:g} s, and not every job had ended")
    over.set()
    acting.join()
    resuming.join()
    trial.settled(ids)
    return ids, expected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    failed = False
    for kind in given.database:
        started = time.monotonic()
        trial = run(kind, given.jobs, given.seed)
        failed |= bool(trial.faults)
        done = ", ".join(f"{name}: {count}" for name, count in sorted(trial.done.items()))
        starts = sum(worker.starts for worker in trial.deployment.workers)
        print(f"{kind}: {given.jobs} jobs, seed {given.seed}, {time.monotonic() - started:.0f} s; {done}; ", end="")
        print(f"workers started {starts} times; {len(trial.faults)} faults", flush=True)
        print("\n".join(trial.faults[:20]), end="\n" if trial.faults else "")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
