"""Lookahead against a loop over the published update, and what a run keeps."""

import pytest
import torch
from torch import nn

from service.core.spec import contradictions
from tests.workers.training.small import spec, trained
from workers.training.regularization.lookahead import Lookahead

ALL_STEPS = 12


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@torch.no_grad()
def move(model: nn.Module, random: torch.Generator) -> None:
    """Move the weights and the running statistics as training would."""
    model(torch.randn(5, 3, generator=random))
    for p in model.parameters():
        p.add_(torch.randn(p.shape, generator=random))


@pytest.mark.parametrize(("interval", "alpha", "power"), [(1, 0.5, 0.0), (5, 0.5, 0.0), (3, 0.2, 3.0)])
def test_slow_weights_move_by_a_share_and_the_weights_return(interval: int, alpha: float, power: float) -> None:
    model, random = network(), torch.Generator().manual_seed(1)
    slow = {name: value.double() for name, value in model.state_dict().items()}
    lookahead = Lookahead(model, interval, alpha, power, ALL_STEPS)
    for step in range(1, ALL_STEPS + 1):
        move(model, random)
        moved = {name: value.clone() for name, value in model.state_dict().items()}
        lookahead.update(model)
        due = step % interval == 0
        if due:
            share = 1 - (1 - alpha) * (step / ALL_STEPS) ** power
            slow = {name: slow[name] + share * (moved[name].double() - slow[name]) for name in slow}
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                expected = slow[name] if due else moved[name].double()
                torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
                shadow = lookahead.shadow.state_dict()[name].double()
                torch.testing.assert_close(shadow, slow[name], rtol=1e-5, atol=1e-6)
            else:
                assert value == moved[name]
    assert lookahead.steps == ALL_STEPS


def test_an_alpha_of_one_changes_nothing() -> None:
    model, random = network(), torch.Generator().manual_seed(1)
    lookahead = Lookahead(model, 1, 1.0, 0.0, ALL_STEPS)
    move(model, random)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lookahead.update(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_slow_weights_are_kept() -> None:
    odd = {"id": "digits", "train_limit": 180}  # three steps, of which the last one is left out
    model, fitted, _ = trained(spec(epochs=1, regularization={"lookahead_steps": 2}, dataset=odd))
    assert fitted.best_weights is not None
    assert any(not torch.equal(fitted.best_weights[name], value) for name, value in model.state_dict().items())


def test_slow_weights_move_in_each_epoch() -> None:
    _, _, history = trained(spec(epochs=3, batch_size=64, regularization={"lookahead_steps": 50}))
    assert len({result.val_loss for result in history}) == len(history)


def test_lookahead_excludes_a_moving_average() -> None:
    (fault,) = contradictions(spec(regularization={"ema_decay": 0.9, "lookahead_steps": 5}))
    assert fault.pointer == "/regularization/lookahead_steps"
