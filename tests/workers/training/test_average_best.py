"""Averaging the best epochs: a greedy soup, kept only if it scores better."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from service.core.records.facts import Average
from service.core.spec import JobSpec
from tests.workers.training.small import Data, network, spec, trained
from workers.training.average_best import average_best
from workers.training.checkpoint import Weights
from workers.training.evaluate import Scorer
from workers.training.loop import TrainingResult

CNN = {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch"}
NOISY = {"model": CNN, "optimizer": {"lr": 0.03}, "epochs": 12, "early_stopping": None, "batch_size": 16}


def averaged(given: JobSpec) -> tuple[TrainingResult, TrainingResult, Average]:
    """The result of the run, that with the average, and what was tried."""
    _, fitted, _ = trained(given)
    return fitted, *average_best(network(given), fitted, given, Scorer(Data(given).validation, 256), 10)


def score(given: JobSpec, weights: Weights) -> tuple[float, float]:
    """(loss, accuracy) on the validation images, computed without our scorer."""
    model = network(given)
    model.load_state_dict(weights)
    model.eval()
    with torch.no_grad():
        parts = [(model(images), labels) for images, labels in Data(given).validation.in_order(100)]
    logits, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()


def soup(given: JobSpec, candidates: list[tuple[int, Weights]], measure: int, sign: int) -> tuple[list[int], Weights]:
    """The greedy soup of Wortsman et al., written for its own sake: (epochs, weights)."""
    chosen = candidates[:1]
    weights = candidates[0][1]
    for candidate in candidates[1:]:
        tried: dict[str, Tensor] = {}
        for name, value in weights.items():
            stacked = torch.stack([part[name] for _, part in [*chosen, candidate]])
            tried[name] = stacked.mean(0) if value.is_floating_point() else value
        if sign * score(given, tried)[measure] < sign * score(given, weights)[measure]:
            chosen, weights = [*chosen, candidate], tried
    return [epoch for epoch, _ in chosen], weights


@pytest.mark.parametrize(("monitor", "measure", "sign"), [("val_loss", 0, 1), ("val_accuracy", 1, -1)])
def test_the_average_is_the_greedy_soup(monitor: str, measure: int, sign: int) -> None:
    given = spec(**NOISY | {"regularization": {"average_best": 4}, "early_stopping": {"monitor": monitor}})
    fitted, result, average = averaged(given)
    in_order = sorted(fitted.history, key=lambda epoch: (sign * getattr(epoch, monitor), epoch.epoch))
    assert average.tried == tuple(epoch.epoch for epoch in in_order[:4])
    epochs, weights = soup(given, [(one.epoch, one.weights) for one in fitted.candidates], measure, sign)
    assert list(average.epochs) == epochs
    assert average.is_kept, "some average scores better in this run"
    assert result.best_weights is not None
    assert all(torch.allclose(result.best_weights[name], weights[name], atol=1e-6) for name in weights)
    loss, accuracy = score(given, result.best_weights)
    assert average.val_loss == pytest.approx(loss, rel=1e-5)
    assert average.val_accuracy == pytest.approx(accuracy)
    assert sign * (loss, accuracy)[measure] < sign * getattr(in_order[0], monitor)
    assert result.best_logits is not None
    assert result.best_logits.argmax(1).eq(Data(given).validation.labels).double().mean().item() == accuracy


def test_the_mode_of_early_stopping_says_what_is_better() -> None:
    given = spec(**NOISY | {"regularization": {"average_best": 4}, "early_stopping": {"mode": "max", "patience": 12}})
    fitted, _, average = averaged(given)
    highest = max(epoch.val_loss for epoch in fitted.history)
    assert fitted.candidates[0].value == highest
    assert average.val_loss >= highest


def test_the_best_epoch_is_kept_where_no_average_is_better() -> None:
    given = spec(regularization={"average_best": 3}, optimizer={"lr": 0.003}, epochs=4)
    fitted, result, average = averaged(given)
    best = min(fitted.history, key=lambda epoch: epoch.val_loss)
    assert not average.is_kept, "each epoch of this run is far better than the one before"
    assert (average.tried, average.epochs) == ((4, 3, 2), (4,))
    assert (average.val_loss, average.val_accuracy) == (best.val_loss, best.val_accuracy)
    assert result is fitted


def test_epochs_share_the_weights_of_frozen_layers() -> None:
    frozen: dict[str, Any] = {"model": {**CNN, "freeze": "backbone"}, "regularization": {"average_best": 3}}
    _, fitted, _ = trained(spec(**frozen, epochs=4))
    first, *others = (candidate.weights for candidate in fitted.candidates)
    kernels = next(iter(first))
    head = list(first)[-1]
    assert len(others) == 2
    assert all(other[kernels] is first[kernels] and not torch.equal(other[head], first[head]) for other in others)
