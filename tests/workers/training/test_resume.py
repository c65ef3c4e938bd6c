"""An interrupted and resumed run has exactly the same result as an uninterrupted run."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from service.core.errors import CheckpointMismatch
from service.core.spec import JobSpec
from tests.workers.training.small import (
    AVERAGES,
    EVERY_AUGMENTATION,
    EVERY_REGULARIZATION,
    GRADIENTS,
    WITH_CLASS_WEIGHTS,
    WITH_LOGIT_ADJUSTMENT,
    network,
    spec,
    training_data,
)
from workers.training.checkpoint import Weights, load_tensors, save_tensors
from workers.training.loop import TrainingResult, fit
from workers.training.state import Snapshot

LAYERS = {
    "arch": "layers",
    "layers": [
        {"type": "conv2d", "channels": 6},
        {"type": "batch_norm"},
        {"type": "relu"},
        {"type": "dropout", "p": 0.1},
        {"type": "residual", "layers": [{"type": "conv2d", "channels": 6}, {"type": "batch_norm"}, {"type": "relu"}]},
        {
            "type": "residual",
            "layers": [{"type": "conv2d", "channels": 8, "stride": 2}, {"type": "dropout2d", "p": 0.1}],
        },
        {"type": "global_avg_pool"},
        {"type": "linear"},
    ],
}
CNN = {"arch": "cnn", "channels": [4, 8], "hidden": [8], "norm": "batch"}
EVERYTHING: dict[str, dict[str, Any]] = {
    "adam, a network of layers, cosine with warm-up, TrivialAugment": {
        "model": LAYERS,
        "schedule": {"name": "cosine", "warmup_epochs": 1},
        "regularization": {**EVERY_REGULARIZATION, "stochastic_depth": 0.3},
        "augmentation": {**EVERY_AUGMENTATION, "trivial_augment": True},
    },
    "sgd, a cnn, onecycle, RandAugment": {
        "model": CNN,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
        "schedule": {"name": "onecycle"},
        "regularization": {**WITH_CLASS_WEIGHTS, "l1_mode": "loss", "dropout": 0.2, "spatial_dropout": 0.1},
        "augmentation": {**EVERY_AUGMENTATION, "rand_augment": {"operations": 2, "magnitude": 9}},
    },
    "sgdw, a cnn, plateau, Lookahead, no clean loss": {
        "model": CNN | {"whitening": True},
        "test_time_augmentation": "mirror",
        "optimizer": {"name": "sgdw", "lr": 0.01, "momentum": 0.5},
        "schedule": {"name": "plateau", "plateau_patience": 0},
        "regularization": {**WITH_LOGIT_ADJUSTMENT, "dropout": 0.2},
        "augmentation": {"horizontal_flip": "alternating"},
        "train_loss_clean": False,
    },
    "a frozen cnn, features that are kept": {
        "model": {**CNN, "freeze": "backbone"},
        "regularization": {**GRADIENTS, **AVERAGES, "dropout": 0.2},
    },
    "a frozen cnn, features of augmented views": {
        "model": {**CNN, "freeze": "backbone", "cached_views": 3},
        "augmentation": {**EVERY_AUGMENTATION, "horizontal_flip": "alternating"},
        "regularization": {**GRADIENTS, "sampling": "balanced"},
    },
    "a cnn, its last layer and then all, rates by depth": {
        "model": {**CNN, "freeze": "then_all", "unfreeze_epoch": 2, "layer_decay": 0.7},
        "regularization": GRADIENTS,
    },
    "resnet18": {
        "model": {"arch": "resnet18"},
        "regularization": {"dropout": 0.2, "stochastic_depth": 0.3},
        "epochs": 1,
    },
}
RUNS = pytest.mark.parametrize(
    "changes",
    [pytest.param(run, id=name, marks=[pytest.mark.long] * (name == "resnet18")) for name, run in EVERYTHING.items()],
)


def written(snapshot: Snapshot) -> bytes:
    file = io.BytesIO()
    torch.save(snapshot, file)
    return file.getvalue()


def read(snapshot: bytes) -> Snapshot:
    content: Snapshot = torch.load(io.BytesIO(snapshot), weights_only=True)
    return content


def run(given: JobSpec, **options: Any) -> tuple[TrainingResult, list[bytes], Weights]:
    """The result, snapshots from before every batch and from the end, and the last weights."""
    torch.manual_seed(123)  # earlier draws have no influence
    snapshots: list[bytes] = []
    model = network(given)
    fitted = fit(
        model,
        training_data(given),
        given,
        on_checkpoint=lambda snapshot: snapshots.append(written(snapshot)),
        checkpoint_seconds=0,
        **options,
    )
    return fitted, snapshots, model.state_dict()


def outcome(fitted: TrainingResult) -> Any:
    timeless = [replace(result, seconds=0, images_per_second=0) for result in fitted.history]
    return fitted.stop_reason, fitted.best_epoch, timeless


def same(ours: Weights | None, theirs: Weights | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def kept(fitted: TrainingResult) -> list[Weights]:
    """The weights of the epochs to average."""
    return [candidate.weights for candidate in fitted.candidates]


@RUNS
def test_run_resumed_at_any_batch_equals_uninterrupted_run(
    changes: dict[str, Any],
) -> None:
    few = {"dataset": {"id": "digits", "train_limit": 90, "val_fraction": 0.05}, "batch_size": 64}
    given = spec(**{"epochs": 3} | few | changes)
    whole, snapshots, weights = run(given)
    assert len(snapshots) == 2 * given.epochs + 1, "before each of the two batches of an epoch, and at the end"
    for snapshot in snapshots:
        resumed, _, resumed_weights = run(given, resume_from=read(snapshot))
        assert outcome(resumed) == outcome(whole)
        assert same(resumed.best_weights, whole.best_weights)
        assert [one.epoch for one in resumed.candidates] == [one.epoch for one in whole.candidates]
        assert all(same(*both) for both in zip(*map(kept, (resumed, whole)), strict=True))
        assert same(resumed_weights, weights)


@pytest.mark.parametrize(
    "forgotten",
    ["model", "random", "augmentation", "order", "optimizer", "average", "losses", "hits", "gradient_norms"],
)
def test_missing_part_of_the_state_is_detected(forgotten: str) -> None:
    """Negative control: without any part of the state, the result of the resumed run differs."""
    given = spec(**EVERYTHING["sgd, a cnn, onecycle, RandAugment"])
    whole, snapshots, _ = run(given)
    middle, first = read(snapshots[len(snapshots) // 2]), read(snapshots[0])
    resumed, _, _ = run(given, resume_from=middle | {forgotten: first[forgotten]})
    assert outcome(resumed) != outcome(whole)


def test_resumed_run_keeps_patience_and_a_stopped_one_stays_so() -> None:
    given = spec(epochs=20, early_stopping={"patience": 3, "min_delta": 1000.0})
    whole, snapshots, _ = run(given)
    assert (whole.stop_reason, whole.epochs) == ("early_stopping", 4)
    for snapshot in snapshots:
        resumed, _, _ = run(given, resume_from=read(snapshot))
        assert outcome(resumed) == outcome(whole)
    trained_on: list[int] = []
    again = fit(
        network(given),
        training_data(given),
        given,
        lambda r: trained_on.append(r.epoch),
        resume_from=read(snapshots[-1]),
    )
    assert outcome(again) == outcome(whole)
    assert trained_on == []


def test_resumed_run_keeps_the_best_epoch_below_min_delta() -> None:
    given = spec(epochs=8, optimizer={"lr": 0.01}, early_stopping={"patience": 4, "min_delta": 0.7})
    whole, snapshots, _ = run(given)
    assert any(epoch.improved and epoch.epochs_without_improvement for epoch in whole.history)
    for snapshot in snapshots:
        resumed, _, _ = run(given, resume_from=read(snapshot))
        assert outcome(resumed) == outcome(whole)
        assert same(resumed.best_weights, whole.best_weights)


def test_a_cut_of_the_learning_rate_survives_an_interruption() -> None:
    still = {"name": "sgd", "lr": 1e-12}
    given = spec(optimizer=still, schedule={"name": "plateau", "plateau_patience": 0}, epochs=5)
    whole, snapshots, _ = run(given)
    assert whole.history[-1].lr < whole.history[1].lr / 5
    for snapshot in snapshots:
        assert outcome(run(given, resume_from=read(snapshot))[0]) == outcome(whole)


def test_a_checkpoint_without_a_later_measure_is_resumed() -> None:
    given = spec(epochs=4)
    whole, snapshots, _ = run(given)
    middle = next(snapshot for snapshot in map(read, snapshots) if (snapshot["epoch"], snapshot["step"]) == (2, 2))
    later_names = list(middle["later_measures"][0])
    for absent in ("gradient_norms", "later_measures"):
        del middle[absent]
    assert not any("gradient_norm" in epoch for epoch in middle["history"]), "release 0.1.0 would refuse it"
    resumed, later, _ = run(given, resume_from=middle)
    first, second, *others = whole.history
    absent_in_first: dict[str, Any] = dict.fromkeys(later_names)
    expected = [replace(first, **absent_in_first), replace(second, gradient_norm=None), *others]
    assert outcome(resumed) == outcome(replace(whole, history=expected))
    assert outcome(run(given, resume_from=read(later[1]))[0]) == outcome(resumed), "resumed twice in that epoch"


def test_a_run_that_diverged_stays_diverged() -> None:
    given = spec(epochs=20, optimizer={"name": "sgd", "lr": 10.0}, regularization={"weight_decay": 10.0})
    whole, snapshots, _ = run(given)
    assert whole.stop_reason == "diverged"
    resumed, more, _ = run(given, resume_from=read(snapshots[-1]))
    assert (resumed.stop_reason, len(resumed.history), len(more)) == ("diverged", len(whole.history), 1)


def test_seconds_before_a_resume_count_towards_max_seconds() -> None:
    given = spec(epochs=100_000, early_stopping=None, max_seconds=1)
    whole, snapshots, _ = run(given)
    assert whole.stop_reason == "max_seconds"
    resumed, _, _ = run(given, resume_from=read(snapshots[-1]))
    assert (resumed.stop_reason, resumed.epochs) == ("max_seconds", whole.epochs)


def test_checkpoint_of_another_spec_or_other_data_is_refused() -> None:
    given = spec()
    _, snapshots, _ = run(given)
    with pytest.raises(CheckpointMismatch):
        run(replace(given, batch_size=32), resume_from=read(snapshots[1]))
    with pytest.raises(CheckpointMismatch):
        run(given, resume_from=read(snapshots[1]) | {"data": "other"})


def test_a_checkpoint_file_holds_tensors_and_plain_data_alone(tmp_path: Path) -> None:
    given = spec(**EVERYTHING["sgd, a cnn, onecycle, RandAugment"])
    last = tmp_path / "last.pt"
    whole = fit(network(given), training_data(given), given, on_checkpoint=lambda s: save_tensors(last, s))
    resumed = fit(network(given), training_data(given), given, resume_from=load_tensors(last))
    assert outcome(resumed) == outcome(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_snapshots_are_taken_at_intervals_and_at_the_end() -> None:
    given = spec()
    taken: list[int] = []
    fit(
        network(given),
        training_data(given),
        given,
        on_checkpoint=lambda s: taken.append(s["epoch"]),
        checkpoint_seconds=3600,
    )
    assert taken == [4]
