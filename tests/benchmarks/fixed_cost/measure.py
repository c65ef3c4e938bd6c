"""Runs jobs one after another over SQLite and a local folder, with the supervisor and its trainers timed."""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.storage import open_storage
from tests.benchmarks.fixed_cost.parts import (
    CALLS,
    CLAIM,
    FINALIZE,
    FIT,
    LOAD,
    MAIN,
    OF_SUPERVISOR,
    OF_TRAINER,
    SAVE,
    START,
    STEP,
    SUPERVISE,
)
from tests.benchmarks.fixed_cost.timing import Calls, timed
from workers.datasets.cache import DatasetCache
from workers.supervisor import forkserver, trainer_handle
from workers.supervisor.supervisor import Supervisor

SPEC = {"dataset": {"id": "digits"}, "early_stopping": None, "device": "cpu"}
TRAINER = "tests.benchmarks.fixed_cost.trainer"


def fixed_cost(epochs: int, jobs: int) -> dict[str, float]:
    """Milliseconds of each part, the median of the jobs. The first job, which fills the caches, is left out."""
    with _bench() as (store, supervisor):
        costs = [_one_job(store, supervisor, epochs, seed) for seed in range(jobs + 1)][1:]
    return {name: statistics.median(cost.get(name, 0.0) for cost in costs) for name in costs[0]}


@contextmanager
def _bench() -> Iterator[tuple[Store, Supervisor]]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightfit-bench-")))
        stack.enter_context(patch.dict(os.environ, {CALLS: str(home / "calls.json")}))
        stack.enter_context(patch.object(trainer_handle, "TRAINER", f"{TRAINER}:timed_main"))
        stack.enter_context(patch.object(forkserver, "PRELOAD", (*forkserver.PRELOAD, TRAINER)))
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": str(home)}), threads=1)
        database = Database(settings.database_url)
        stack.callback(database.close)
        database.migrate()
        store, storage = Store(database), open_storage(settings.storage_url)
        context, server = forkserver.start()
        stack.callback(forkserver.stop, server)
        cache = DatasetCache(home / "datasets", DatasetStore(database), storage, settings.cache_bytes)
        yield store, Supervisor(settings, store.leases, storage, cache, context)


def _one_job(store: Store, supervisor: Supervisor, epochs: int, seed: int) -> dict[str, float]:
    spec = JobSpec.from_dict(SPEC | {"epochs": epochs}).filled(seed)
    job = store.actions.submit("t", NewJob(spec, threads=1))[0]
    began = time.monotonic()
    with timed(OF_SUPERVISOR) as calls:
        supervisor.run_next()
    ended = time.monotonic()
    if (status := store.queries.get("t", job.id).status) != "succeeded":
        raise RuntimeError(f"the job ended as {status}")
    training = sum(epoch.seconds for epoch in store.queries.history("t", job.id)[1])
    calls |= json.loads(Path(os.environ[CALLS]).read_text())
    return {name: 1e3 * seconds for name, seconds in _parts(calls, began, ended, training).items()}


def _parts(calls: Calls, began: float, ended: float, training: float) -> dict[str, float]:
    """Seconds of each part, in the order of the table. The cores of a slot are in use until `fit` returns."""
    seconds = {name: sum(end - begin for begin, end in times) for name, times in calls.items()}
    steps = [end - begin for begin, end in calls[STEP]]
    (main_began, main_ended), (_, fit_ended) = calls[MAIN][0], calls[FIT][0]
    head = {
        "training": training,
        "beside the training": ended - began - training,
        "of it while the job holds its cores": fit_ended - began - training,
        CLAIM: seconds[CLAIM],
        START: seconds[START],
        "fork and imports": main_began - calls[START][0][1],
        LOAD: seconds[LOAD],
        **{name: seconds[name] for name in list(OF_TRAINER)[2:5]},
        "first step, beyond the median step": max(steps[:2]) - statistics.median(steps),
        "best weights and checkpoints": seconds[SAVE],
        "the loop beside its epochs": seconds[FIT] - training,
        FINALIZE: seconds[FINALIZE],
        "exit of the process": calls[SUPERVISE][0][1] - main_ended,
    }
    rest = {name: spent for name, spent in seconds.items() if name not in (*head, MAIN, FIT, STEP, SAVE, SUPERVISE)}
    return head | rest
