"""The supervisor with a real fork server and real trainer processes, in a process that is not Celery's."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from sqlalchemy import update

from service.core.diagnosis import RunContext, diagnose
from service.core.errors import StorageError
from service.core.records.builtin_datasets import DIGITS
from service.core.records.epoch import Epoch
from service.core.records.job import Job, Phase, Status
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.tables import jobs
from service.core.storage import Artifact, LocalStorage
from tests.pictures import encoded, folders, stripes, zipped
from tests.ports import eventually
from tests.servers import EVERYTHING_PUBLISHED
from tests.workers.bench import ENDLESS, Bench, ForkServer
from tests.workers.training.small import EVERY_AUGMENTATION, EVERY_REGULARIZATION
from workers.supervisor import forkserver
from workers.supervisor.builtin_packs import is_lacking
from workers.supervisor.supervisor import Supervisor
from workers.tools.verify import verify
from workers.trainer.channel import EPOCH_SECONDS


@pytest.fixture
def once(bench: Bench) -> Bench:
    """One attempt and no more."""
    return bench.another(replace(bench.settings, attempts=1))


def test_the_fork_server_has_torch_but_one_thread_and_no_cuda(
    fork_server: ForkServer,
) -> None:
    info = forkserver.inspect(fork_server[0])
    assert info.imported == forkserver.PRELOAD
    assert info.server_threads == 1
    assert not info.cuda_initialized


def test_an_empty_queue_is_left_at_once(bench: Bench) -> None:
    assert bench.supervisor.run_next() is None


def test_jobs_of_one_network_share_its_graph(bench: Bench) -> None:
    first = bench.run()
    (graph,) = (bench.settings.home / "graphs").iterdir()
    written_at = graph.stat().st_mtime_ns
    second = bench.run(seed=2)
    assert [*graph.parent.iterdir()] == [graph]
    assert graph.stat().st_mtime_ns == written_at, "it was not traced again"
    assert all("model.onnx" in bench.published(job) for job in (first, second))


def test_a_job_is_trained_and_published_under_its_attempt(bench: Bench) -> None:
    job = bench.run()
    assert (job.status, job.stop_reason, job.attempt) == ("succeeded", "max_epochs", 1)
    assert [t.status for t in job.transitions] == ["queued", "running", "succeeded"]
    manifest = bench.store.queries.artifacts("t", job.id)
    assert {a.name for a in manifest} == EVERYTHING_PUBLISHED
    assert all(a.key == f"jobs/{job.id}/a1/{a.name}" for a in manifest)
    assert not any((bench.settings.home / "scratch").iterdir()), "the scratch folder is emptied"
    assert bench.trainer_pids() == []


def test_jobs_of_one_split_seed_share_images_and_not_results(bench: Bench) -> None:
    data = {"id": "digits", "train_limit": 100, "test_fraction": 0.1, "split_seed": 5}
    first, other = (bench.run(dataset=data, epochs=1, seed=seed) for seed in (1, 2))
    assert first.split is not None
    assert (first.split, first.test_split) == (other.split, other.test_split)
    assert bench.report(first)["data"]["split"] == bench.report(other)["data"]["split"]
    assert bench.history(first) != bench.history(other)


def test_the_images_of_a_built_in_set_are_stored_once(bench: Bench) -> None:
    assert is_lacking(bench.storage, "digits")
    bench.run()
    stored = {each.key: each.at for each in bench.storage.objects("builtin")}
    assert stored.keys() == {"builtin/digits/pixels.bin", "builtin/digits/index.npz"}
    assert not is_lacking(bench.storage, "digits")
    bench.run()
    assert {each.key: each.at for each in bench.storage.objects("builtin")} == stored
    assert not is_lacking(bench.storage, "ds_of_a_user")


EVERYTHING: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 150, "image_size": 10, "test_fraction": 0.1},
    "model": {"arch": "cnn", "channels": [4, 8], "hidden": [8], "norm": "batch"},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
    "schedule": {"name": "cosine", "warmup_epochs": 1},
    "regularization": {**EVERY_REGULARIZATION, "dropout": 0.2, "spatial_dropout": 0.1},
    "augmentation": {**EVERY_AUGMENTATION, "trivial_augment": True},
}


TORCHVISION: dict[str, Any] = {
    "model": {"arch": "resnet18"},
    "epochs": 1,
    "regularization": {"stochastic_depth": 0.2, "dropout": 0.1},
    "augmentation": {"rand_augment": {}},
}
RESIDUAL = {"type": "residual", "layers": [{"type": "conv2d", "channels": 6, "stride": 2}]}
HIDDEN_LAYERS = [{"type": "conv2d", "channels": 4}, {"type": "batch_norm"}, {"type": "gelu"}, RESIDUAL]
LAYERS: dict[str, Any] = {
    "model": {"arch": "layers", "layers": [*HIDDEN_LAYERS, {"type": "global_avg_pool"}, {"type": "linear"}]},
    "regularization": {"stochastic_depth": 0.2},
}
SPECS = {"every option": EVERYTHING, "a network of torchvision": TORCHVISION, "a network of layers": LAYERS}


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS)
def test_a_spec_is_trained_and_its_model_reproduces_the_loss(bench: Bench, changes: dict[str, Any]) -> None:
    job = bench.run(**changes)
    assert (job.status, job.stop_reason) == ("succeeded", "max_epochs"), job.error
    recorded, recomputed = verify(bench.settings.home / "storage" / "jobs" / job.id / "a1")
    assert recomputed == pytest.approx(recorded, rel=1e-5)


def test_streamed_images_lead_to_the_same_history(bench: Bench) -> None:
    def losses(settings: Settings) -> list[Any]:
        supervisor = Supervisor(settings, bench.store.leases, bench.storage, bench.cache, bench.context)
        job = bench.submit(**EVERYTHING)
        assert supervisor.run_next() == job.id
        assert bench.job(job).status == "succeeded", bench.job(job).error
        epochs = bench.store.queries.history("t", job.id)[1]
        return [[(e.train_loss, e.val_loss) for e in epochs], bench.predictions(job).logits.tolist()]

    assert losses(replace(bench.settings, resident_bytes=0)) == losses(bench.settings)
    assert bench.trainer_pids() == []


def test_pretrained_weights_without_a_network_are_an_error(once: Bench) -> None:
    job = once.run(model={"arch": "squeezenet1_1", "pretrained": True}, dataset={"id": "digits", "image_size": 32})
    assert job.error is not None
    assert (job.status, job.error.origin, job.error.code) == ("failed", "infrastructure", "pretrained_unavailable")
    assert "set model.pretrained to false" in job.error.detail


def test_each_epoch_is_stored_as_it_happens(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    assert bench.job(job).phase is Phase.TRAINING
    bench.store.actions.cancel("t", job.id)
    thread.join(30)
    rows = bench.store.queries.history("t", job.id)[1]
    assert [row.epoch for row in rows] == list(range(1, len(rows) + 1))


def test_the_epochs_of_a_fast_job_share_transactions(bench: Bench) -> None:
    append, began = bench.store.leases.append, list[float]()

    def timed(lease: Lease, measured: Iterable[Epoch]) -> None:
        began.append(time.monotonic())
        append(lease, measured)

    bench.store.leases.append = timed  # type: ignore[method-assign]  # sees each transaction
    job = bench.run(**ENDLESS | {"epochs": 300})
    assert [row.epoch for row in bench.store.queries.history("t", job.id)[1]] == list(range(1, 301))
    # The trainer keeps the time between two of them; they reach the supervisor with different delays.
    assert median(after - before for before, after in pairwise(began)) >= 0.9 * EPOCH_SECONDS


def test_a_cancelled_job_stops_and_publishes_its_best_model(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    bench.store.actions.cancel("t", job.id)
    thread.join(30)
    ended = bench.job(job)
    assert (ended.status, ended.stop_reason) == ("cancelled", "cancelled")
    assert bench.published(job) == EVERYTHING_PUBLISHED - {"model.onnx"}
    assert len(bench.predictions(job)) == 359


def test_a_trainer_that_does_not_stop_is_killed_its_model_kept(bench: Bench) -> None:
    bench = bench.another(replace(bench.settings, stop_seconds=0.5, checkpoint_seconds=0.1))
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.checkpointed(job) > 0), "the trainer has written its best model"
    (pid,) = bench.trainer_pids()
    os.kill(pid, signal.SIGSTOP)
    bench.store.actions.cancel("t", job.id)
    thread.join(30)
    assert bench.job(job).status is Status.CANCELLED
    assert "best_model.pth" in bench.published(job)
    assert bench.trainer_pids() == []


def test_a_stopping_worker_puts_its_job_back(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    bench.supervisor.stop()
    thread.join(30)
    assert (bench.job(job).status, bench.job(job).attempt) == ("queued", 1)
    assert bench.supervisor.run_next() is None, "it takes no more jobs"
    assert bench.trainer_pids() == []


def test_a_diverged_job_fails_and_keeps_its_best_model(bench: Bench) -> None:
    job = bench.run(epochs=50, early_stopping={"divergence_threshold": 1.0, "patience": 50})
    assert (job.status, job.stop_reason) == ("failed", "diverged")
    assert job.error is not None
    assert job.error.origin == "user"
    assert "best_model.pth" in bench.published(job)


def test_error_diagnosis_and_log_agree_on_where_a_run_broke(bench: Bench) -> None:
    job = bench.run(epochs=50, optimizer={"name": "sgd", "lr": 10.0}, early_stopping=None, model={"hidden": [64, 64]})
    rows = bench.store.queries.history("t", job.id)[1]
    broke = next(row.epoch for row in rows if row.val_loss is None)
    assert job.error is not None
    assert f"diverged in epoch {broke};" in job.error.detail
    assert bench.events(job)[-2][1]["onset_epoch"] == broke
    lines = [line.message for line in bench.store.queries.log("t", job.id, 0, 100)[1]]
    assert len(set(lines)) == len(lines)


def test_a_missing_device_is_an_error(once: Bench) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    job = once.run(device="cuda")
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "device_unavailable")


def test_data_that_cannot_be_trained_on_is_a_fault_of_the_data(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(zipped(folders(each=1)))
    bench.read("ds_1", tmp_path / "sent")
    job = bench.run(dataset={"id": "ds_1"})
    assert job.error is not None
    assert (job.status, job.stop_reason, job.error.origin) == ("failed", "invalid_data", "data")


def test_a_result_that_cannot_be_stored_is_no_success(once: Bench) -> None:
    class Full(LocalStorage):
        def put(self, key: str, source: Path) -> Artifact:
            raise StorageError(f"{key} could not be stored: No space left on device")

    full = Full(once.settings.home / "storage")
    once.supervisor = Supervisor(once.settings, once.store.leases, full, once.cache, once.context)
    job = once.run()
    assert job.error is not None
    assert (job.status, job.error.code, job.error.origin) == ("failed", "storage_error", "infrastructure")
    assert once.store.queries.artifacts("t", job.id) == ()


def test_verifying_a_published_model_finds_the_recorded_loss(bench: Bench) -> None:
    job = bench.run(model={"arch": "cnn", "channels": [4], "norm": "batch"}, regularization={"dropout": 0.3})
    recorded, recomputed = verify(bench.settings.home / "storage" / "jobs" / job.id / "a1")
    assert job.best is not None
    assert recorded == job.best.val_loss
    assert recomputed == pytest.approx(recorded, rel=1e-6)


def test_two_workers_in_one_home_leave_each_other_s_files_alone(bench: Bench, database: Database) -> None:
    job = bench.submit(**ENDLESS)
    first = bench.start()
    assert eventually(lambda: bench.training(job))
    with database.write() as c:  # what a reaper does when a lease has lapsed
        c.exec_driver_sql("UPDATE jobs SET status = 'queued', last_epoch = NULL, best_epoch = NULL")
        c.exec_driver_sql("DELETE FROM epochs")
    other = Supervisor(bench.settings, bench.store.leases, bench.storage, bench.cache, bench.context)
    second = threading.Thread(target=other.run_next)
    second.start()
    first.join(30)
    assert eventually(lambda: bench.training(job, 5))
    bench.store.actions.cancel("t", job.id)
    second.join(30)
    ended = bench.job(job)
    assert (ended.status, ended.attempt) == ("cancelled", 2)
    assert "best_model.pth" in bench.published(job)


def test_a_fault_of_the_worker_itself_ends_the_job_as_failed(once: Bench) -> None:
    (once.settings.home / "scratch").write_text("in the way")
    job = once.run()
    assert job.error is not None
    assert (job.status, job.error.origin, job.error.code) == ("failed", "infrastructure", "worker_error")


def of_a_newer_release(job: Job, database: Database) -> None:
    with database.write() as c:
        spec = job.spec.to_dict() | {"model": {"arch": "vit"}, "swarm": {}}
        c.execute(update(jobs).where(jobs.c.id == job.id).values(spec=spec))


def test_a_spec_of_a_newer_release_is_left_to_a_newer_worker(bench: Bench, database: Database) -> None:
    """Each older worker claims it once, puts it back, and continues with jobs that it can read."""
    newer, other = bench.submit(), bench.submit()
    known = newer.spec
    of_a_newer_release(newer, database)
    for worker in (bench, bench.another(), bench.another(), bench.another()):
        assert worker.supervisor.run_next() == newer.id
    assert bench.supervisor.run_next() == other.id
    assert bench.supervisor.run_next() is None
    left = bench.job(newer)
    assert (left.status, left.attempt, left.lost_attempts, left.releases, left.error) == ("queued", 4, (), 0, None)
    warnings = [line for line in bench.store.queries.log("t", newer.id, 0, 100)[1] if line.level == "warning"]
    assert len(warnings) == 4
    assert all("/model/arch" in line.message and "/swarm" in line.message for line in warnings)
    with database.write() as c:  # as a newer worker reads it
        c.execute(update(jobs).where(jobs.c.id == newer.id).values(spec=known.to_dict()))
    assert bench.another().supervisor.run_next() == newer.id
    assert bench.job(newer).status == "succeeded"


def test_a_cancelled_job_of_a_newer_release_is_ended(
    once: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = once.submit()
    of_a_newer_release(job, database)
    release = once.store.leases.release

    def cancel_first(lease: Lease, *, is_leaving: bool) -> Status | None:
        once.store.actions.cancel("t", job.id)
        return release(lease, is_leaving=is_leaving)

    monkeypatch.setattr(once.store.leases, "release", cancel_first)
    assert once.supervisor.run_next() == job.id
    assert once.job(job).status == "cancelled"


def test_a_sigterm_to_every_process_is_left_to_the_supervisor(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    (pid,) = bench.trainer_pids()
    os.kill(pid, signal.SIGTERM)
    epoch = bench.job(job).progress.epoch
    assert eventually(lambda: bench.training(job, epoch + 3)), "the trainer goes on"
    bench.supervisor.stop()
    thread.join(30)
    assert bench.job(job).status is Status.QUEUED


def test_cancelling_during_a_stop_publishes_the_best_model(bench: Bench) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    (pid,) = bench.trainer_pids()
    os.kill(pid, signal.SIGSTOP)  # so that both requests arrive before the trainer obeys one
    bench.supervisor.stop()
    time.sleep(0.5)
    bench.store.actions.cancel("t", job.id)
    os.kill(pid, signal.SIGCONT)
    thread.join(30)
    assert bench.job(job).status is Status.CANCELLED
    assert "best_model.pth" in bench.published(job)


def test_an_uploaded_set_is_trained_and_its_result_reproduced(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(zipped(folders(each=20) | {"rows/x.png": encoded(stripes("rows", 99, 20))}))
    bench.read("ds_1", tmp_path / "sent")
    job = bench.run(dataset={"id": "ds_1", "image_size": 16}, model={"channels": [8], "hidden": [16]}, epochs=2)
    assert job.status == "succeeded", job.error
    folder = tmp_path / "result"
    folder.mkdir()
    for artifact in bench.store.queries.artifacts("t", job.id):
        bench.storage.get(artifact, folder / artifact.name)
    report = json.loads((folder / "report.json").read_text())
    assert (report["data"]["id"], report["data"]["classes"]) == ("ds_1", ["checks", "columns", "rows"])
    with bench.cache.checkout("ds_1") as pack:
        recorded, recomputed = verify(folder, pack)
    assert recomputed == pytest.approx(recorded, rel=1e-5)
    assert list((bench.settings.home / "scratch").glob("*/a*")) == []


def test_min_delta_keeps_the_best_epoch_everywhere(bench: Bench, tmp_path: Path) -> None:
    stopping = {"monitor": "val_accuracy", "min_delta": 0.5, "min_delta_mode": "rel", "patience": 3}
    job = bench.run(optimizer={"lr": 0.01}, epochs=20, early_stopping=stopping)
    history = bench.store.queries.history("t", job.id)[1]
    best = max(history, key=lambda epoch: epoch.val_accuracy or 0)
    assert best.epochs_without_improvement > 0
    assert job.best is not None
    assert job.best.epoch == best.epoch
    for artifact in bench.store.queries.artifacts("t", job.id):
        bench.storage.get(artifact, tmp_path / artifact.name)
    assert json.loads((tmp_path / "report.json").read_text())["best"]["epoch"] == best.epoch
    recorded, recomputed = verify(tmp_path, None)
    assert recomputed == pytest.approx(recorded, rel=1e-5)
    assert recorded == pytest.approx(best.val_loss)


def test_an_overfitting_run_is_diagnosed_early_and_at_its_end(bench: Bench) -> None:
    dataset = {"id": "digits", "train_limit": 60, "test_fraction": 0.1}
    job = bench.run(dataset=dataset, model={"arch": "mlp", "hidden": [256]}, epochs=400, early_stopping=None)
    diagnoses = [data for kind, data in bench.events(job) if kind == "diagnosis"]
    assert [data["is_final"] for data in diagnoses] == [False] * (len(diagnoses) - 1) + [True]
    assert diagnoses[0]["onset_epoch"] < 400
    published = {artifact.name: artifact for artifact in bench.store.queries.artifacts("t", job.id)}
    with bench.storage.open(published["report.json"].key) as file:
        report = json.loads(file.read())
    history = bench.store.queries.history("t", job.id)[1]
    again = diagnose(history, RunContext(job.spec, DIGITS, job.facts, job.stop_reason), job.facts, job.stop_reason)
    assert report["diagnosis"] == json.loads(json.dumps(asdict(again)))
    assert diagnoses[-1]["verdict"] == report["diagnosis"]["verdict"] == "overconfident"
    assert job.facts is not None
    assert job.facts.test is not None
    assert job.best is not None
    assert report["test"]["optimism"] == job.facts.test.optimism(job.best)[0]
    assert job.waste is not None
    assert job.waste.epochs == 400 - job.best.epoch
