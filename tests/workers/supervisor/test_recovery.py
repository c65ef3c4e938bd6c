"""An interrupted run continues and ends like one without an interruption, whichever process dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import Any, cast

import pytest

from service.core.errors import StorageError
from service.core.records.job import Job, Status
from service.core.settings import Settings
from service.core.storage import Storage, open_storage
from tests.ports import eventually
from tests.servers import ON_DISK, POSTGRESQL, REMOTE, ROOT, SQLITE
from tests.workers.bench import ENDLESS, Bench, live_children
from tests.workers.training.small import EVERY_AUGMENTATION, EVERY_REGULARIZATION
from workers.scratch import sweep
from workers.supervisor.supervisor import Supervisor

# Long enough to be interrupted, with everything in it that has a state of its own.
LIVELY: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 200},
    "model": {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch"},
    "epochs": 40,
    "batch_size": 16,
    "early_stopping": {"patience": 40},
    "schedule": {"name": "cosine", "warmup_epochs": 2},
    "regularization": {**EVERY_REGULARIZATION, "dropout": 0.2},
    "augmentation": EVERY_AUGMENTATION,
}


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, checkpoint_seconds=0.05, backoff_seconds=0.0, lease_seconds=4.0, heartbeat_seconds=0.5)


End = tuple[list[tuple[Any, ...]], str, list[list[float]]]  # history, digest of the best model, its logits


def undisturbed(bench: Bench) -> End:
    """What a run of LIVELY comes to when it is let be; trained once, since it is the same wherever it is stored."""
    if not _undisturbed:
        job = bench.run(**LIVELY)
        assert job.status == "succeeded", job.error
        assert (job.attempt, job.lost_attempts, job.releases) == (1, (), 0)
        _undisturbed.append(ended_as(bench, job))
    return _undisturbed[0]


_undisturbed: list[End] = []


def ended_as(bench: Bench, job: Job) -> End:
    ended = bench.job(job)
    assert ended.status == "succeeded", ended.error
    return bench.history(job), bench.best_model(job), bench.predictions(job).logits.tolist()


def stopped(bench: Bench, job: Job) -> None:
    bench.supervisor.stop()


def killed(bench: Bench, job: Job) -> None:
    os.kill(bench.trainer_pids()[0], signal.SIGKILL)


def paused(bench: Bench, job: Job) -> None:
    bench.store.actions.pause("t", job.id)


def stopped_after(bench: Bench, epochs: int) -> Job:
    """A job that its worker has put back after it stored a checkpoint of that many epochs."""
    job = bench.submit(**LIVELY)
    thread = bench.start()
    assert eventually(lambda: bench.checkpointed(job) >= epochs)
    bench.supervisor.stop()
    thread.join(30)
    return job


@pytest.mark.parametrize(
    ("everywhere", "interrupt"),
    [
        (SQLITE, stopped),
        pytest.param(SQLITE, killed, marks=pytest.mark.long),
        pytest.param(POSTGRESQL, killed, marks=pytest.mark.long),
        (POSTGRESQL, paused),
    ],
    indirect=["everywhere"],
)
def test_an_interrupted_run_ends_as_one_that_was_not(bench: Bench, interrupt: Any) -> None:
    expected = undisturbed(bench)
    job = bench.submit(**LIVELY)
    thread = bench.start()
    assert eventually(lambda: bench.checkpointed(job) >= 3)
    interrupt(bench, job)
    thread.join(30)
    assert not thread.is_alive()
    assert bench.trainer_pids() == []
    between = bench.job(job)
    assert between.status == (Status.PAUSED if interrupt is paused else Status.QUEUED)
    assert between.last is not None, "its epochs are still recorded"
    if interrupt is paused:
        bench.store.actions.resume("t", job.id)
    assert bench.another().supervisor.run_next() == job.id
    ended = bench.job(job)
    assert ended.attempt == 2
    assert (len(ended.lost_attempts), ended.releases) == (int(interrupt is killed), int(interrupt is stopped))
    assert ended_as(bench, job) == expected
    assert bench.store.leases.checkpoints(job.id), "the record of their places may stay"
    leftovers = [kept.last.key for kept in bench.store.leases.checkpoints(job.id)]
    for key in leftovers:
        with pytest.raises(Exception, match="not"):
            bench.storage.open(key)


@ON_DISK
def test_a_run_paused_after_epochs_ends_as_one_that_was_not(bench: Bench) -> None:
    expected = undisturbed(bench)
    job = bench.submit(pause_after=3, **LIVELY)
    for last, until in ((3, 11), (11, None)):
        assert bench.supervisor.run_next() == job.id
        paused = bench.job(job)
        assert paused.last is not None
        assert (paused.status, paused.last.epoch, bench.checkpointed(job)) == (Status.PAUSED, last, last)
        bench.resume_until(job, until)
    assert bench.another().supervisor.run_next() == job.id
    assert ended_as(bench, job) == expected
    ended = bench.job(job)
    assert (ended.attempt, ended.lost_attempts, ended.releases) == (3, (), 0)


@ON_DISK
def test_a_run_that_ends_before_its_pause_is_not_paused(bench: Bench) -> None:
    at_its_end, soon = bench.submit(pause_after=3), {"patience": 1, "min_delta": 1000.0}
    stops_early = bench.submit(pause_after=3, epochs=9, early_stopping=soon)
    assert [bench.supervisor.run_next() for _ in range(2)] == [at_its_end.id, stops_early.id]
    ended = [bench.job(job) for job in (at_its_end, stops_early)]
    assert [(job.status, job.stop_reason) for job in ended] == [
        ("succeeded", "max_epochs"),
        ("succeeded", "early_stopping"),
    ]


@ON_DISK
@pytest.mark.long
def test_the_second_attempt_does_not_begin_anew(bench: Bench) -> None:
    job = stopped_after(bench, 5)
    kept = bench.checkpointed(job)
    assert bench.another().supervisor.run_next() == job.id
    (resumed,) = [e for e in bench.events(job) if e[0] == "resumed"]
    assert resumed[1] == {"after_epoch": kept}
    assert kept >= 5


@REMOTE
@pytest.mark.parametrize("damaged", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_damaged_checkpoint_gives_way_to_an_earlier_one(bench: Bench, damaged: int) -> None:
    expected = undisturbed(bench)
    job = stopped_after(bench, 3)
    rubbish = bench.settings.home / "rubbish"
    rubbish.write_bytes(b"not a checkpoint")
    kept = bench.store.leases.checkpoints(job.id)
    assert len(kept) == 2
    for checkpoint in kept[:damaged]:
        bench.storage.put(checkpoint.last.key, rubbish)
    assert bench.another().supervisor.run_next() == job.id
    assert ended_as(bench, job) == expected


@ON_DISK
def test_an_unreadable_checkpoint_gives_way_to_the_one_before(bench: Bench) -> None:
    expected = undisturbed(bench)
    job = stopped_after(bench, 3)
    rubbish = bench.settings.home / "rubbish"
    rubbish.write_bytes(b"of another release")
    newest, before = bench.store.leases.checkpoints(job.id)
    bench.replace_checkpoints(job, [replace(newest, last=bench.storage.put(newest.last.key, rubbish)), before])
    assert bench.another().supervisor.run_next() == job.id
    (loss,) = bench.job(job).lost_attempts
    assert "cannot be read" in loss.cause
    assert bench.another().supervisor.run_next() == job.id
    assert ended_as(bench, job) == expected


@ON_DISK
def test_the_scratch_folder_of_a_killed_worker_is_deleted(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    root = bench.settings.home / "scratch"
    left = root / "job_of_a_killed_one" / "a1"
    left.mkdir(parents=True)
    (left / ".owner").touch()
    (left / ".last.pt").write_bytes(b"x")
    sweep(root)
    assert [folder.name for folder in root.iterdir()] == [job.id], "what a living worker holds stays"
    bench.store.actions.cancel("t", job.id)
    thread.join(30)
    assert list(root.iterdir()) == []


@ON_DISK
def test_a_job_that_kills_each_trainer_fails_with_the_cause(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    for attempt in (1, 2, 3):
        thread = bench.start()
        assert eventually(lambda: bench.job(job).attempt == attempt and bool(bench.trainer_pids()))  # noqa: B023
        assert eventually(lambda: bench.training(job))
        killed(bench, job)
        thread.join(30)
    failed = bench.job(job)
    assert failed.error is not None
    assert (failed.status, failed.stop_reason, failed.error.code) == ("failed", "worker_lost", "worker_lost")
    assert failed.error.detail.count("SIGKILL") == 3
    assert "best_model.pth" in bench.published(job)
    assert bench.store.actions.retry("t", job.id)[0].status is Status.QUEUED


@ON_DISK
def test_a_stalled_trainer_is_killed_and_the_job_continues(bench: Bench) -> None:
    impatient = bench.another(replace(bench.settings, stall_seconds=5.0))
    expected = undisturbed(bench)
    job = impatient.submit(**LIVELY)
    thread = impatient.start()
    assert eventually(lambda: bench.checkpointed(job) >= 3)
    os.kill(impatient.trainer_pids()[0], signal.SIGSTOP)
    thread.join(30)
    assert not thread.is_alive()
    (loss,) = bench.job(job).lost_attempts
    assert "no batch for 5 s" in loss.cause
    assert bench.supervisor.run_next() == job.id
    assert ended_as(bench, job) == expected


@REMOTE
@pytest.mark.long
def test_a_worker_frozen_past_its_lease_writes_nothing_more(bench: Bench) -> None:
    """Its trainer ends itself while the worker is frozen; awake again, the worker writes nothing."""
    expected = undisturbed(bench)
    job = bench.submit(**LIVELY)
    env = os.environ | bench.settings.to_env()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.workers.supervisor.run_one_job"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        server = int(worker.stdout.readline())
        try:
            assert eventually(lambda: bench.checkpointed(job) >= 2)
            worker.send_signal(signal.SIGSTOP)
            assert eventually(lambda: not live_children(server)), "the trainer ended with the lease"
            assert eventually(lambda: bench.store.leases.reap(bench.settings.retries) == {job.id: Status.QUEUED})
            assert bench.supervisor.run_next() == job.id
            after = bench.job(job)
            worker.send_signal(signal.SIGCONT)
            assert worker.stdout.readline() == "over\n"
            assert worker.wait(30) == 0
        finally:
            worker.kill()
    assert bench.job(job) == after
    assert ended_as(bench, job) == expected


@REMOTE
def test_an_absent_storage_costs_only_checkpoints(bench: Bench) -> None:
    storage = open_storage(bench.settings.storage_url)
    away = threading.Event()

    class Sometimes:
        def __getattr__(self, name: str) -> Any:
            if away.is_set():
                raise StorageError("the storage is away")
            return getattr(storage, name)

    expected = undisturbed(bench)
    bench.supervisor = Supervisor(
        bench.settings, bench.store.leases, cast(Storage, Sometimes()), bench.cache, bench.context
    )
    job = bench.submit(**LIVELY)
    thread = bench.start()
    assert eventually(lambda: bench.checkpointed(job) >= 2)
    away.set()
    time.sleep(0.3)
    away.clear()
    thread.join(30)
    assert ended_as(bench, job) == expected


@ON_DISK
def test_a_run_that_ran_out_of_memory_says_what_did_not_fit(bench: Bench) -> None:
    layers = [{"type": "conv2d", "channels": 4096}, {"type": "relu"}, {"type": "global_avg_pool"}, {"type": "linear"}]
    huge = {"dataset": {"id": "digits", "image_size": 256}, "model": {"arch": "layers", "layers": layers}}
    job = bench.run(**huge, batch_size=4096)  # activations of terabytes
    assert job.error is not None
    assert (job.status, job.stop_reason, job.error.code) == ("failed", "out_of_memory", "out_of_memory")
    assert "batch of 4096 images" in job.error.detail
    assert "lower batch_size" in job.error.detail
    assert job.attempt == 1, "it is not tried again"


@ON_DISK
def test_another_worker_finishes_the_job_of_one_with_a_full_disk(bench: Bench) -> None:
    scratch = bench.settings.home / "scratch"
    scratch.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(scratch)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        job = bench.submit(model={"arch": "mlp", "hidden": [512, 512]})  # weights of more than a megabyte
        object.__setattr__(bench.settings, "disk_reserve_bytes", 0)  # else it is not begun
        assert bench.supervisor.run_next() == job.id
        (loss,) = bench.job(job).lost_attempts
        assert "disk is full" in loss.cause
        assert bench.store.queries.artifacts("t", job.id) == ()
    finally:
        subprocess.run(["umount", str(scratch)], check=True)
    assert bench.another().supervisor.run_next() == job.id
    assert bench.job(job).status == "succeeded"


@ON_DISK
@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_a_job_in_preparation_is_released_at_once(bench: Bench, action: str) -> None:
    patient = bench.another(replace(bench.settings, stop_seconds=1000))
    job = patient.submit(dataset={"id": "digits", "image_size": 512})  # seconds to prepare
    thread = patient.start()
    assert eventually(lambda: bool(patient.trainer_pids()))
    getattr(bench.store.actions, action)("t", job.id)
    thread.join(30)
    assert not thread.is_alive()
    ended = bench.job(job)
    assert ended.status == ("cancelled" if action == "cancel" else "paused")
    assert ended.last is None
    assert bench.trainer_pids() == []
