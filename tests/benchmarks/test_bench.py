"""All contestants of the benchmark do the same work, and its figures are computed correctly."""

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.benchmarks.contest import CONTESTANTS, rotated
from tests.benchmarks.data import CLASSES, digits, split, synthetic
from tests.benchmarks.job import network
from tests.benchmarks.load import load
from tests.benchmarks.processes import Measured, ProcessFailed, measure
from tests.benchmarks.queue import flatness
from tests.benchmarks.rightfit import images_of, job_spec, network_of
from tests.benchmarks.summary import Run, agreement, tabulate

PYTHON = Path(sys.executable)  # the peers that need nothing but torch run in our own environment too
EPOCHS = 3


def make_data(job: str, folder: Path) -> Path:
    path = folder / f"{job}.npz"
    words = ["--job", job, "--path", str(path), "--train", "40", "--validation", "20"]
    measure(PYTHON, "tests.benchmarks.data", words)
    return path


@pytest.mark.long
def test_rightfit_bare_loop_and_article_do_equal_work(tmp_path: Path) -> None:
    data = make_data("digits", tmp_path)

    def measured(name: str) -> Measured:
        folder = tmp_path / name
        folder.mkdir()
        words = ["--job", "digits", "--data", str(data), "--batch-size", "64", "--epochs", str(EPOCHS), "--seed", "0"]
        return measure(PYTHON, CONTESTANTS[name], [*words, "--folder", str(folder)], threads=1)

    names = ("rightfit", "bare", "article")
    with ThreadPoolExecutor(len(names)) as pool:
        lines = [run.line for run in pool.map(measured, names)]
    assert tuple(line["name"] for line in lines) == names
    for line in lines:
        series = [line[name] for name in ("epoch_seconds", "train_losses", "val_losses", "val_accuracies")]
        assert [len(values) for values in series] == [EPOCHS] * 4
        assert all(math.isfinite(value) for values in series for value in values)
        rates = [1438 / seconds for seconds in line["epoch_seconds"][1:]]
        assert min(rates) <= line["images_per_second"] <= max(rates)
        assert line["val_losses"] == sorted(line["val_losses"], reverse=True), "they learn"
        assert line["val_losses"][-1] == pytest.approx(lines[1]["val_losses"][-1], rel=0.35)
        assert line["val_accuracies"][-1] > 0.8
    saved = [torch.load(tmp_path / name / "best.pt", weights_only=True) for name in names]
    shapes = [sorted(tuple(tensor.shape) for tensor in weights.values()) for weights in saved]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("job", ["cnn", "digits"])
def test_engine_trains_the_network_of_the_peers(job: str, tmp_path: Path) -> None:
    images, parts = images_of(make_data(job, tmp_path))
    ours, theirs = network_of(job_spec(job, 64, 1, 0), images), network(job)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    assert len(parts.train) + len(parts.validation) == len(images) == len(images.stored)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    some = images.stored[:8].float()
    torch.testing.assert_close(ours.eval()(some), theirs.eval()(some), rtol=1e-4, atol=1e-3)


def test_images_depend_on_the_seed_alone() -> None:
    (images, labels), (again, same), (other, _) = synthetic(300, 0), synthetic(300, 0), synthetic(300, 1)
    assert images.dtype == np.uint8
    assert images.shape == (300, 1, 28, 28)
    assert np.array_equal(images, again)
    assert np.array_equal(labels, same)
    assert not np.array_equal(images, other)
    assert set(labels) == set(range(CLASSES))


def test_split_is_complete_and_stratified() -> None:
    images, labels = digits()
    train, train_labels, held_out, held_out_labels = split(images, labels, share=0.2, seed=0)
    together = np.concatenate([train, held_out]).reshape(len(images), -1)
    assert np.array_equal(np.sort(together, axis=0), np.sort(images.reshape(len(images), -1), axis=0))
    counts, whole = np.bincount(held_out_labels), np.bincount(labels)
    assert len(train_labels) == 1438
    assert np.abs(counts - 0.2 * whole).max() <= 0.5


def result(name: str, number: int, rate: float, seconds: float = 10, loss: float = 0.5) -> Run:
    return Run(
        job="cnn",
        batch_size=64,
        round=number,
        seed=number,
        name=name,
        seconds=seconds,
        peak_bytes=1,
        images_per_second=rate,
        epoch_seconds=[1.0],
        train_losses=[loss],
        val_losses=[loss, loss],
        val_accuracies=[0.9, 0.9],
    )


def test_ratios_are_taken_per_round_so_that_drift_cancels() -> None:
    drift = (1.0, 0.25, 3.0)
    runs = [result("rightfit", n, 300 * d, 10 / d) for n, d in enumerate(drift)]
    runs += [result("keras", n, 100 * d, 20 / d) for n, d in enumerate(drift)]
    ours, theirs = tabulate(runs)
    assert (ours.name, theirs.name) == ("rightfit", "keras"), "the fastest first"
    assert theirs.speedup is not None
    assert theirs.shortening is not None
    assert vars(theirs.speedup) == pytest.approx({"median": 3, "least": 3, "most": 3})
    assert vars(theirs.shortening) == pytest.approx({"median": 2, "least": 2, "most": 2})
    assert vars(ours.images_per_second) == pytest.approx({"median": 300, "least": 75, "most": 900})


def test_table_without_rightfit_has_no_ratios() -> None:
    row = tabulate([result("keras", 0, 100)])[0]
    assert (row.speedup, row.shortening, row.loss_deviation, row.agrees) == (None, None, None, None)


def test_agreement_separates_other_work_from_noise() -> None:
    losses = {"a": [0.50, 0.52, 0.48], "b": [0.51, 0.49, 0.53], "c": [0.47, 0.50, 0.51], "d": [0.70, 0.72, 0.69]}
    assert agreement(losses) == {"a": True, "b": True, "c": True, "d": False}
    assert agreement({"a": [0.5], "b": [0.9]}) == {"a": None, "b": None}


def test_each_contestant_starts_first_in_one_round() -> None:
    names = list(CONTESTANTS)
    orders = [rotated(names, number) for number in range(len(names))]
    assert {order[0] for order in orders} == set(names)
    assert all(sorted(order) == sorted(names) for order in orders)


def test_failed_process_raises_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="--path"):
        measure(PYTHON, "tests.benchmarks.data", ["--job", "cnn"])


def test_whole_process_is_measured(tmp_path: Path) -> None:
    small: Any = measure(PYTHON, "tests.benchmarks.data", ["--path", str(tmp_path / "a.npz"), "--train", "10"])
    assert small.line == {}
    assert small.seconds > 0.05
    assert small.peak_bytes > 10 << 20


@pytest.mark.long
def test_queue_benchmark_keeps_the_queue_length(tmp_path: Path) -> None:
    rows = flatness(f"sqlite:///{tmp_path}/queue.db", (60, 70))
    assert [row["jobs"] for row in rows] == [60, 70]
    assert all(milliseconds > 0 for row in rows for name, milliseconds in row.items() if name != "jobs")


@pytest.mark.long
def test_polling_clients_get_no_errors_while_a_job_trains() -> None:
    measured = load(clients=8, seconds=1.0, rounds=1)
    assert measured["status and history"]["errors"] == measured["empty route"]["errors"] == 0
    assert measured["status and history"]["requests_per_second"] > 1
    assert measured["epochs_meanwhile"] > 0


@pytest.mark.long
def test_parts_of_a_job_add_up_to_its_fixed_cost() -> None:
    parts = measure(PYTHON, "tests.benchmarks.fixed_cost", ["--epochs", "2", "--jobs", "1"]).line["milliseconds"]
    assert all(milliseconds >= 0 for milliseconds in parts.values())
    assert parts["of it while the job holds its cores"] + parts["finalize"] < parts["beside the training"]
    assert parts["load the inputs"] > parts["of it data, normalization and split"] > 0
    assert parts["of it model.onnx"] > parts["of model.onnx the graph"] == 0, "the graph of the first job is used again"
