"""Jobs that start from the best model of another job, or from uploaded weights."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from service.core.errors import Conflict
from service.core.records.job import Job
from service.core.records.weights import NewWeights
from service.core.sql.weights import WeightsStore
from service.weights.convert import convert
from tests.ports import eventually
from tests.service.small_weights import ARCH, small_state, torch_file
from tests.workers.bench import Bench

CNN = {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch"}


def start_of(bench: Bench, job: Job) -> Any:
    """What report.json says about the weights that the job started from."""
    (report,) = [a for a in bench.store.queries.artifacts("t", job.id) if a.name == "report.json"]
    with bench.storage.open(report.key) as file:
        return json.load(file)["start"]


def uploaded(bench: Bench, tmp_path: Any, classes: int = 10) -> str:
    """Weights as the API stores them; returns their id."""
    weights_id = f"wgt_{'0' * 20}"
    (tmp_path / "sent").write_bytes(torch_file(small_state(classes)))
    with (tmp_path / "stored").open("wb") as target:
        checked = convert(ARCH, tmp_path / "sent", target)
    stored = bench.storage.put(f"weights/{weights_id}/abc.safetensors", tmp_path / "stored")
    new = NewWeights(weights_id, "mine", ARCH, checked.classes, checked.channels, 1, "abc", stored)
    return WeightsStore(bench.store.queries._db).add("t", new).id


def test_job_goes_on_from_the_model_of_another(bench: Bench) -> None:
    first = bench.run(model=CNN, epochs=15, optimizer={"lr": 0.01})
    assert first.best is not None
    second = bench.run(model=CNN | {"weights": first.id}, epochs=2)
    assert second.status == "succeeded", second.error
    (begun, *_) = bench.store.queries.history("t", second.id)[1]
    fresh = bench.run(model=CNN, epochs=2)
    (other, *_) = bench.store.queries.history("t", fresh.id)[1]
    assert begun.val_loss is not None
    assert other.val_loss is not None
    assert begun.val_loss < other.val_loss / 1.5
    assert start_of(bench, second) == {
        "weights": first.id,
        "sha256": bench.best_model(first),
        "has_last_layer": True,
    }
    assert start_of(bench, fresh) is None


def test_whitening_is_that_of_the_weights(bench: Bench, tmp_path: Path) -> None:
    model = CNN | {"whitening": True}
    first = bench.run(model=model, epochs=1)
    few = {"id": "digits", "train_limit": 50}
    second = bench.run(model=model | {"weights": first.id}, dataset=few, epochs=1)
    kernels = []
    for job in (first, second):
        (published,) = [a for a in bench.store.queries.artifacts("t", job.id) if a.name == "best_model.pth"]
        bench.storage.get(published, tmp_path / job.id)
        kernels.append(torch.load(tmp_path / job.id, weights_only=True)["0.weight"])
    positive, negative = kernels[0].chunk(2)
    assert torch.equal(positive, -negative), "they were computed from the images, and are not random"
    assert torch.equal(*kernels)


def test_uploaded_weights_are_trained_on(bench: Bench, tmp_path: Any) -> None:
    few = {"id": "digits", "train_limit": 64, "val_fraction": 0.05}
    model = {"arch": ARCH, "weights": uploaded(bench, tmp_path, 7)}
    job, again = (bench.run(model=model, dataset=few, epochs=1) for _ in range(2))
    assert job.status == "succeeded", job.error
    assert (bench.history(job), bench.best_model(job)) == (bench.history(again), bench.best_model(again))
    start = start_of(bench, job)
    assert (start["weights"], start["has_last_layer"]) == (model["weights"], False)


def stopped(bench: Bench) -> None:
    bench.supervisor.stop()


def killed(bench: Bench) -> None:
    os.kill(bench.trainer_pids()[0], signal.SIGKILL)


@pytest.mark.parametrize("interrupt", [stopped, killed])
def test_interrupted_run_from_weights_ends_as_any_other(bench: Bench, interrupt: Callable[[Bench], None]) -> None:
    bench = bench.another(replace(bench.settings, checkpoint_seconds=0.05, backoff_seconds=0.0))
    first = bench.run(model=CNN, epochs=1)
    model = CNN | {"weights": first.id, "freeze": "then_all", "unfreeze_epoch": 3, "layer_decay": 0.7}
    few = {"id": "digits", "train_limit": 200}
    spec: dict[str, Any] = {"model": model, "dataset": few, "epochs": 30, "batch_size": 8, "early_stopping": None}
    undisturbed = bench.run(**spec)
    job = bench.submit(**spec)
    thread = bench.start()
    assert eventually(lambda: bench.checkpointed(job) >= 1)
    interrupt(bench)
    thread.join()
    assert bench.job(job).status == "queued"
    bench.another().supervisor.run_next()
    assert bench.job(job).attempt == 2
    assert len(bench.job(job).lost_attempts) == (interrupt is killed)
    assert bench.history(job) == bench.history(undisturbed)
    assert bench.best_model(job) == bench.best_model(undisturbed)


def test_weights_are_kept_while_a_job_needs_them(bench: Bench, tmp_path: Any) -> None:
    first = bench.run(model=CNN, epochs=1)
    waiting = bench.submit(model=CNN | {"weights": first.id})
    with pytest.raises(Conflict, match=waiting.id):
        bench.store.actions.refuse_to_delete_living("t", first.id)
    weights_id = uploaded(bench, tmp_path)
    other = bench.submit(model={"arch": ARCH, "weights": weights_id})
    weights = WeightsStore(bench.store.queries._db)
    with pytest.raises(Conflict, match=other.id):
        weights.hide("t", weights_id)
    for job in (waiting, other):
        bench.store.actions.cancel("t", job.id)
    weights.hide("t", weights_id)
    bench.store.actions.refuse_to_delete_living("t", first.id)
    with pytest.raises(Conflict, match="any more"):
        bench.submit(model={"arch": ARCH, "weights": weights_id})


def test_damaged_weights_are_an_fault_of_the_infrastructure(bench: Bench, tmp_path: Any) -> None:
    weights_id = uploaded(bench, tmp_path)
    job = bench.submit(model={"arch": ARCH, "weights": weights_id})
    (tmp_path / "other").write_bytes(b"other")
    bench.storage.put(f"weights/{weights_id}/abc.safetensors", tmp_path / "other")
    bench.supervisor.run_next()
    (lost,) = bench.job(job).lost_attempts
    assert "is damaged" in lost.cause
