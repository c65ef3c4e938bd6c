"""The standard errors of the validation loss, against a computation from the losses of all images."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.workers.training.small import Data, network, spec, training_data
from workers.training.checkpoint import Weights
from workers.training.evaluate import evaluate
from workers.training.loop import fit
from workers.training.state import EpochResult

EPOCHS = 12


def losses(model: nn.Module, weights: Weights, data: Data) -> torch.Tensor:
    model.load_state_dict(weights)
    model.eval()
    batches = data.validation
    with torch.no_grad():
        every = [F.cross_entropy(model(images), labels, reduction="none") for images, labels in batches.in_order(7)]
    return torch.cat(every).double()


def test_epoch_reports_standard_errors_of_loss_and_of_its_change() -> None:
    given = spec(epochs=EPOCHS, optimizer={"lr": 0.1}, early_stopping=None)
    model, results, kept = network(given), list[EpochResult](), list[Weights]()
    data = Data(given)

    def keep(result: EpochResult) -> None:
        results.append(result)
        kept.append({name: value.clone() for name, value in model.state_dict().items()})

    fit(model, training_data(given), given, keep)
    every = [losses(network(given), weights, data) for weights in kept]
    best: torch.Tensor | None = None
    for result, each in zip(results, every, strict=True):
        assert result.val_loss_se == pytest.approx(float(each.std()) / math.sqrt(len(each)), rel=1e-4)
        if best is None:
            assert result.val_change_se is None
        else:
            change = each - best
            assert result.val_change_se == pytest.approx(float(change.std()) / math.sqrt(len(change)), rel=1e-4)
        if result.improved:
            best = each
    assert any(not result.improved for result in results)


def test_a_single_image_has_no_standard_error() -> None:
    given = spec()
    data = Data(given)
    one = data.prepared.on(torch.device("cpu"))(data.prepared.split.validation[:1])
    assert evaluate(network(given), one).loss_se is None
    assert evaluate(network(given), data.validation).loss_se is not None


def test_energy_of_an_epoch_is_the_meters_difference() -> None:
    given, read, results = spec(epochs=2), iter([10.0, 25.0, 100.0, 140.0]), list[EpochResult]()
    fit(network(given), training_data(given), given, results.append, joules=lambda: next(read))
    assert [result.joules for result in results] == [15.0, 40.0]
