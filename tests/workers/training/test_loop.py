"""The rules of training, tested on real runs."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from service.core.records.position import Position
from service.core.spec import JobSpec
from tests.workers.training.small import Data, network, spec, trained, training_data
from workers.training.checkpoint import load_tensors, save_tensors
from workers.training.evaluate import evaluate
from workers.training.loop import fit
from workers.training.state import EpochResult


def curve(given: JobSpec) -> list[tuple[float, float | None, float, float]]:
    return [(r.train_loss, r.train_loss_clean, r.val_loss, r.penalty) for r in trained(given)[2]]


CNN = {"arch": "cnn", "channels": [4, 8], "hidden": [16], "norm": "batch"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": CNN, "regularization": {"dropout": 0.3, "l1": 1e-4}},
        {
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
            "regularization": {"weight_decay": 0.01},
        },
        {"optimizer": {"name": "adamw"}, "regularization": {"weight_decay": 0.1, "l1": 1e-3, "l1_mode": "proximal"}},
    ],
)
def test_the_same_seed_gives_the_same_history_to_the_last_bit(changes: dict[str, Any]) -> None:
    given = spec(**changes)
    first = curve(given)
    torch.randn(100)  # other draws from the global generator have no influence
    assert curve(given) == first


def test_another_seed_gives_another_history() -> None:
    assert curve(spec(seed=1)) != curve(spec(seed=2))


def test_training_starts_near_the_loss_of_a_guess() -> None:
    given = spec(model={"arch": "cnn"})
    data = Data(given)
    score = evaluate(network(given), data.validation)
    assert score.loss == pytest.approx(math.log(10), rel=0.1)


@pytest.mark.parametrize("model", [{"arch": "mlp"}, {"arch": "cnn"}, CNN])
def test_one_batch_can_be_memorized(model: dict[str, Any]) -> None:
    given = spec(
        dataset={"id": "digits", "train_limit": 32},
        model=model,
        epochs=150,
        early_stopping=None,
        optimizer={"lr": 3e-3},
    )
    assert trained(given)[2][-1].train_loss < 0.01


def test_train_loss_is_the_mean_per_image_over_the_epoch() -> None:
    """With a tiny learning rate it is the loss of the whole set. The last batch has 8 of 200 images."""
    given = spec(optimizer={"name": "sgd", "lr": 1e-12}, epochs=1)
    data = Data(given)
    ((images, labels),) = data.train.in_order(10_000)
    _, _, (result,) = trained(given)
    assert len(labels) % given.batch_size == 8
    logits = network(given)(images)
    assert result.train_loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert result.train_accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())


def test_each_epoch_uses_every_image_once_in_a_new_order() -> None:
    seen: list[torch.Tensor] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(64, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(images.flatten(1).clone())
            logits: torch.Tensor = self.inner(images.flatten(1))
            return logits

    given = spec(epochs=2)
    fit(Watching(), training_data(given), given)
    rows = torch.cat(seen)
    data = Data(given)
    ((images, _),) = data.train.in_order(10_000)
    first, second = rows[:200], rows[200:]
    assert not torch.equal(first, second)
    for epoch in (first, second):
        assert torch.equal(torch.unique(epoch, dim=0), torch.unique(images.flatten(1), dim=0))
        assert len(epoch) == len(images)


def test_model_trains_in_train_mode_and_is_scored_in_eval_mode() -> None:
    modes: list[bool] = []

    class Watching(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            modes.append(self.training)
            return super().forward(images.flatten(1))

    given = spec(epochs=2, precision="fp32")  # auto would run the network on one image first
    model = Watching(64, 10).eval()
    fit(model, training_data(given), given)
    one_epoch = [True] * math.ceil(200 / 64) + [False, False]
    assert modes == one_epoch * 2


def test_penalties_do_not_enter_the_training_loss() -> None:
    still = {"name": "sgd", "lr": 1e-12}
    plain = trained(spec(optimizer=still, epochs=1))[2][0]
    penalized = trained(spec(optimizer=still, epochs=1, regularization={"l1": 0.1, "weight_decay": 1.0}))[2][0]
    assert penalized.train_loss == pytest.approx(plain.train_loss, rel=1e-6)
    assert penalized.penalty > plain.penalty == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"regularization": {"l1": 0.1}},
        {"optimizer": {"name": "sgd", "lr": 1e-12}, "regularization": {"weight_decay": 5.0}},
        {"regularization": {"dropout": 0.5}},
    ],
)
def test_val_loss_is_cross_entropy_for_any_objective(changes: dict[str, Any]) -> None:
    given = spec(epochs=1, **changes)
    model, _, (result,) = trained(given)
    data = Data(given)
    ((images, labels),) = data.validation.in_order(10_000)
    model.eval()
    with torch.no_grad():
        assert result.val_loss == pytest.approx(F.cross_entropy(model(images), labels).item(), rel=1e-5)


def test_the_penalty_is_reported_beside_the_loss() -> None:
    given = spec(epochs=1, regularization={"l1": 0.01, "weight_decay": 0.1})
    model, _, (result,) = trained(given)
    weights = [p.detach().double() for p in model.parameters() if p.ndim > 1]
    expected = sum((0.01 * w.abs().sum() + 0.05 * w.square().sum()).item() for w in weights)
    assert result.penalty == pytest.approx(expected, rel=1e-5)
    decoupled = spec(epochs=1, optimizer={"name": "adamw"}, regularization={"weight_decay": 0.1})
    assert trained(decoupled)[2][0].penalty == 0.0


def test_only_proximal_l1_makes_exact_zeros() -> None:
    def zeros(mode: str) -> int:
        given = spec(optimizer={"name": "sgd", "lr": 0.1}, regularization={"l1": 0.01, "l1_mode": mode}, epochs=5)
        model = trained(given)[0]
        return sum(int((p == 0).sum()) for p in model.parameters() if p.ndim > 1)

    assert zeros("proximal") > 50
    assert zeros("loss") == 0


def test_clean_loss_scores_training_images_like_validation() -> None:
    given = spec(dataset={"id": "digits"}, epochs=1, regularization={"dropout": 0.5})
    model, _, (result,) = trained(given)
    data = Data(given)
    split, clean = data.prepared.split, data.prepared.clean
    assert len(clean) == len(split.validation)
    assert set(clean.tolist()) <= set(split.train.tolist())
    assert result.train_loss_clean == evaluate(model, data.clean).loss
    assert trained(spec(train_loss_clean=False))[2][0].train_loss_clean is None


def test_switching_the_clean_loss_off_changes_nothing_else() -> None:
    with_it, without = trained(spec())[2], trained(spec(train_loss_clean=False))[2]
    assert [(r.train_loss, r.val_loss) for r in with_it] == [(r.train_loss, r.val_loss) for r in without]


def test_best_weights_reproduce_the_loss_of_the_best_epoch(tmp_path: Path) -> None:
    few, mlp = {"id": "digits", "train_limit": 50}, {"arch": "mlp", "hidden": [64]}
    given = spec(dataset=few, model=mlp, epochs=60, optimizer={"lr": 0.01}, early_stopping={"patience": 10})
    model, fitted, results = trained(given)
    assert fitted.stop_reason == "early_stopping"
    assert fitted.best_epoch == min(results, key=lambda r: r.val_loss).epoch == len(results) - 10
    assert fitted.best_weights is not None
    save_tensors(tmp_path / "best_model.pth", fitted.best_weights)
    loaded = load_tensors(tmp_path / "best_model.pth")
    assert any(not torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items()), "training went on"
    fresh, data = network(given), Data(given)
    fresh.load_state_dict(loaded)
    recomputed = evaluate(fresh, data.validation).loss
    assert recomputed == pytest.approx(results[fitted.best_epoch - 1].val_loss, rel=1e-6)


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_best_weights_are_of_the_best_epoch_also_with_min_delta(monitor: str) -> None:
    stopping = {"monitor": monitor, "min_delta": 0.5, "min_delta_mode": "rel", "patience": 3}
    given = spec(epochs=12, optimizer={"lr": 0.01}, early_stopping=stopping)
    _, fitted, results = trained(given)
    sign = 1 if monitor == "val_loss" else -1
    best = min(results, key=lambda r: sign * getattr(r, monitor))
    assert best.epochs_without_improvement > 0, "the improvement is below min_delta"
    assert fitted.best_epoch == best.epoch
    assert best.improved is True
    assert fitted.best_weights is not None
    fresh = network(given)
    fresh.load_state_dict(fitted.best_weights)
    assert evaluate(fresh, Data(given).validation).loss == pytest.approx(best.val_loss, rel=1e-6)


@pytest.mark.parametrize(
    ("early_stopping", "epochs_run", "reason"),
    [
        ({"patience": 2, "min_delta": 1000.0}, 3, "early_stopping"),
        (None, 5, "max_epochs"),
        ({"stopping_threshold": 100.0}, 1, "target_reached"),
        ({"divergence_threshold": 0.001}, 1, "diverged"),
        ({"monitor": "val_accuracy", "stopping_threshold": 0.01}, 1, "target_reached"),
    ],
)
def test_early_stopping_ends_the_loop(early_stopping: dict[str, Any] | None, epochs_run: int, reason: str) -> None:
    _, fitted, results = trained(spec(epochs=5, early_stopping=early_stopping))
    assert (fitted.stop_reason, fitted.epochs, len(results)) == (reason, epochs_run, epochs_run)


def test_non_finite_loss_ends_the_run_and_keeps_the_best() -> None:
    given = spec(epochs=20)
    model = network(given)

    results: list[EpochResult] = []

    def spoil(result: EpochResult) -> None:
        results.append(result)
        if result.epoch == 2:
            with torch.no_grad():
                next(model.parameters()).fill_(math.nan)

    fitted = fit(model, training_data(given), given, spoil)
    assert (fitted.stop_reason, fitted.epochs, fitted.best_epoch) == ("diverged", 3, 2)
    assert math.isnan(results[-1].train_loss)
    assert results[-1].improved is False
    assert fitted.best_weights is not None
    assert all(torch.isfinite(tensor).all() for tensor in fitted.best_weights.values())


def test_an_epoch_whose_loss_is_not_finite_is_never_the_best() -> None:
    class Sick(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images.flatten(1))
            return logits if self.training else logits * math.nan

    given = spec(early_stopping={"monitor": "val_accuracy"})
    results: list[EpochResult] = []
    fitted = fit(Sick(64, 10), training_data(given), given, results.append)
    assert all(math.isnan(r.val_loss) and math.isfinite(r.val_accuracy) for r in results)
    assert (fitted.best_epoch, fitted.best_weights) == (None, None)


def test_time_limit_waits_only_for_the_first_epoch() -> None:
    class Slow(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training:
                time.sleep(0.4)
            return super().forward(images.flatten(1))

    given = spec(epochs=100, early_stopping=None, max_seconds=1)
    results: list[EpochResult] = []
    started = time.monotonic()
    fitted = fit(Slow(64, 10), training_data(given), given, results.append)
    assert (fitted.stop_reason, fitted.epochs, len(results)) == ("max_seconds", 1, 1)
    assert time.monotonic() - started < 2 * results[0].seconds


def test_time_limit_ends_the_run() -> None:
    _, fitted, results = trained(spec(epochs=100_000, early_stopping=None, max_seconds=1))
    assert fitted.stop_reason == "max_seconds"
    assert len(results) == fitted.epochs >= 1


def test_position_counts_batches_up_to_the_validation() -> None:
    given = spec(epochs=2)
    steps: list[Position | int] = []
    fit(
        network(given),
        training_data(given),
        given,
        on_epoch=lambda result: steps.append(result.epoch),
        on_position=steps.append,
    )
    assert steps[:6] == [*(Position(1, batch, 4) for batch in range(5)), 1]
    assert steps[6:] == [*(Position(2, batch, 4) for batch in range(5)), 2]


def after(calls: int) -> Callable[[], str | None]:
    left = iter(range(calls))
    return lambda: None if next(left, None) is not None else "cancelled"


def test_stop_request_ends_at_the_next_batch_with_the_best_kept() -> None:
    given = spec(epochs=100)
    results: list[EpochResult] = []
    fitted = fit(network(given), training_data(given), given, results.append, should_stop=after(2 * 4 + 1))
    assert (fitted.stop_reason, fitted.epochs, len(results)) == ("cancelled", 2, 2)
    assert fitted.best_weights is not None
    none = fit(network(given), training_data(given), given, should_stop=after(1))
    assert (none.epochs, none.best_epoch, none.best_weights) == (0, None, None)
