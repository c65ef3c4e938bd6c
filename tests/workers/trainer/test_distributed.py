"""A job that several processes train together, through its supervisor."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.job import Job
from service.core.records.plan import UNLIMITED, plan
from service.core.settings import Settings
from tests.ports import eventually
from tests.servers import ON_DISK
from tests.workers.bench import Bench
from tests.workers.training.small import EVERY_AUGMENTATION, EVERY_REGULARIZATION

# Batch norm, mixing, class weights and augmentation see the whole batch, however its rows are shared out.
SHARED: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 203, "test_fraction": 0.1},
    "model": {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch", "whitening": True},
    "test_time_augmentation": "mirror",
    "epochs": 50,
    "batch_size": 25,
    "device": "cpu",
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "cosine"},
    "regularization": EVERY_REGULARIZATION,
    "augmentation": EVERY_AUGMENTATION,
    "early_stopping": {"patience": 4, "min_delta": 1000.0},
}
UNFREEZING = SHARED["model"] | {"freeze": "then_all", "unfreeze_epoch": 3, "layer_decay": 0.5}
LONGER = SHARED | {"epochs": 30, "early_stopping": None}
LOSSES = ("train_loss", "train_loss_clean", "val_loss", "val_loss_se", "val_change_se")
MEASURED = (*LOSSES, "train_accuracy", "val_accuracy", "penalty", "lr")

pytestmark = ON_DISK


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, backoff_seconds=0.0, checkpoint_seconds=0.05, threads=2)


def history(bench: Bench, job: Job) -> list[list[float]]:
    return [[getattr(epoch, name) or 0.0 for name in MEASURED] for epoch in bench.store.queries.history("t", job.id)[1]]


def close_to(measured: list[list[float]]) -> Any:
    return [pytest.approx(epoch, abs=1e-5) for epoch in measured]


def processes(bench: Bench) -> list[int]:
    """The process ids that train the bench's job together: forked from a server that their trainer has started."""
    (trainer,) = bench.trainer_pids()
    return sorted(one.pid for child in psutil.Process(trainer).children() for one in child.children())


def listening(pid: int) -> set[str]:
    """The addresses at which a process or a descendant accepts connections."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    connections = [connection for one in family for connection in one.net_connections("tcp")]
    return {connection.laddr.ip for connection in connections if connection.status == "LISTEN"}


def kill_one(bench: Bench, job: Job) -> None:
    assert listening(bench.trainer_pids()[0]) <= {"127.0.0.1", "::1"}, "they listen on this machine only"
    os.kill(processes(bench)[1], signal.SIGKILL)


def pause(bench: Bench, job: Job) -> None:
    bench.store.actions.pause("t", job.id)


def interrupted(bench: Bench, how: Callable[[Bench, Job], None], **changes: Any) -> Job:
    """A job that its worker has released after some epochs."""
    job = bench.submit(**LONGER | changes)
    thread = bench.start()
    assert eventually(lambda: max((kept.epochs for kept in bench.store.leases.checkpoints(job.id)), default=0) >= 3, 60)
    how(bench, job)
    thread.join(60)
    assert not thread.is_alive()
    assert bench.trainer_pids() == []
    return bench.job(job)


def shared_by(bench: Bench, job: Job, gpus: int) -> Job:
    """Resume a paused job with `gpus` processes and run it to its end."""
    planned = plan(replace(job.spec, gpus=gpus), CONTENTS_OF["digits"], UNLIMITED)
    assert bench.store.actions.resume("t", job.id, planned)[0].spec.gpus == gpus
    assert bench.another().supervisor.run_next() == job.id
    ended = bench.job(job)
    assert ended.status == "succeeded", ended.error
    return ended


def test_two_processes_reach_the_result_of_one(bench: Bench) -> None:
    given = SHARED | {"model": UNFREEZING}
    alone, together = bench.run(**given), bench.run(**given, gpus=2)
    assert (alone.status, together.status) == ("succeeded", "succeeded"), together.error
    assert (alone.stop_reason, together.stop_reason) == ("early_stopping", "early_stopping")
    assert len(history(bench, together)) == 5
    assert history(bench, together) == close_to(history(bench, alone))
    tests = [job.facts.test for job in (alone, together) if job.facts and job.facts.test]
    assert tests[0].loss == pytest.approx(tests[1].loss, abs=1e-5)
    names = [
        sorted(artifact.name for artifact in bench.store.queries.artifacts("t", job.id)) for job in (alone, together)
    ]
    assert names[0] == names[1]
    one, two = bench.predictions(alone), bench.predictions(together)
    assert one.index.tolist() == two.index.tolist()
    assert two.logits == pytest.approx(one.logits, abs=1e-3)


@pytest.mark.long
def test_two_processes_share_the_penalty_in_the_loss(bench: Bench) -> None:
    regularization = EVERY_REGULARIZATION | {"l1_mode": "loss"}
    changes = {"epochs": 5, "early_stopping": None, "regularization": regularization}
    alone, together = bench.run(**SHARED | changes), bench.run(**SHARED | changes, gpus=2)
    assert (alone.status, together.status) == ("succeeded", "succeeded"), together.error
    assert history(bench, together) == close_to(history(bench, alone))


@pytest.mark.long
def test_after_a_lost_process_another_number_continues(bench: Bench) -> None:
    job = interrupted(bench, kill_one, gpus=2)
    assert job.status == "queued"
    (loss,) = job.lost_attempts
    assert "process 1 of those that train the job together was killed by SIGKILL" in loss.cause
    ended = shared_by(bench, bench.store.actions.pause("t", job.id)[0], gpus=1)
    assert ended.attempt == 2
    assert ("resumed", True) in [(kind, data.get("after_epoch", 0) > 0) for kind, data in bench.events(job)]
    assert history(bench, job) == close_to(history(bench, bench.run(**LONGER)))


@pytest.mark.long
def test_a_batch_smaller_than_the_group_is_not_shared(bench: Bench) -> None:
    """Batch norm sees it as a single process would: 102 images are five batches of 20 and one of 2."""
    changes = {"dataset": {"id": "digits", "train_limit": 102}, "batch_size": 20, "epochs": 3, "early_stopping": None}
    alone, together = bench.run(**SHARED | changes), bench.run(**SHARED | changes, gpus=3)
    assert together.status == "succeeded", together.lost_attempts
    assert history(bench, together) == close_to(history(bench, alone))


@pytest.mark.long
def test_one_process_may_be_followed_by_two(bench: Bench) -> None:
    job = interrupted(bench, pause)
    assert job.status == "paused"
    shared_by(bench, job, gpus=2)
    assert history(bench, job) == close_to(history(bench, bench.run(**LONGER)))


@pytest.mark.long
@pytest.mark.parametrize("how", [pause, kill_one])
def test_an_interrupted_run_of_two_goes_on_as_if_it_had_not_been(bench: Bench, how: Any) -> None:
    """To the last bit: dropout draws from a stream of each process's own, which goes on where it was."""
    changes = {"gpus": 2, "regularization": {"dropout": 0.3}}
    job = interrupted(bench, how, **changes)
    if how is pause:
        bench.store.actions.resume("t", job.id)
    assert bench.another().supervisor.run_next() == job.id
    assert bench.job(job).status == "succeeded"
    assert history(bench, job) == history(bench, bench.run(**LONGER | changes))


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a compiler")
def test_two_processes_that_are_compiled_come_to_what_one_does(bench: Bench) -> None:
    short = SHARED | {"epochs": 2}
    alone, together = bench.run(**short), bench.run(**short, gpus=2, compile="on")
    assert together.status == "succeeded", together.lost_attempts
    assert history(bench, together) == close_to(history(bench, alone))


@pytest.mark.long
def test_an_error_of_one_process_is_reported_as_of_any_trainer(bench: Bench) -> None:
    job = bench.run(**SHARED | {"gpus": 2, "device": "cuda"})
    assert job.status == "queued"
    assert [loss.cause for loss in job.lost_attempts] == [
        "the spec asks for 2 on device cuda and this worker has no GPU; use device cpu, or fewer"
    ]
    assert bench.trainer_pids() == []


@pytest.mark.long
def test_a_job_that_is_cancelled_keeps_its_best_model(bench: Bench) -> None:
    def cancel(bench: Bench, job: Job) -> None:
        bench.store.actions.cancel("t", job.id)

    job = interrupted(bench, cancel, gpus=2, epochs=10_000)
    assert job.status == "cancelled"
    assert "best_model.pth" in bench.published(job)


@pytest.mark.long
def test_a_group_that_pauses_after_an_epoch_goes_on(bench: Bench) -> None:
    few = SHARED | {"epochs": 4, "gpus": 2}
    undisturbed = bench.run(**few)
    job = bench.submit(pause_after=2, **few)
    assert bench.supervisor.run_next() == job.id
    paused = bench.job(job)
    assert paused.last is not None
    assert (paused.status, paused.last.epoch) == ("paused", 2)
    bench.resume_until(job, None)
    assert bench.supervisor.run_next() == job.id
    assert bench.job(job).status == "succeeded"
    assert bench.history(job) == bench.history(undisturbed)
