"""The schedules against those of torch."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.optim import SGD, lr_scheduler

from service.core.spec import Schedule
from workers.training.schedule import Plateau, lr_share


def shares(options: Schedule, steps_per_epoch: int, epochs: int) -> list[float]:
    return [lr_share(options, step, steps_per_epoch, epochs) for step in range(steps_per_epoch * epochs)]


def by_torch(make: Any, steps: int) -> list[float]:
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


@given(st.integers(1, 7), st.integers(1, 9), st.floats(0, 1))
def test_cosine_equals_torchs(steps_per_epoch: int, epochs: int, final_share: float) -> None:
    steps = steps_per_epoch * epochs
    rates = shares(Schedule(name="cosine", final_share=final_share), steps_per_epoch, epochs)
    expected = by_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, steps, eta_min=final_share), steps)
    assert rates == pytest.approx(expected, abs=1e-9)


@given(
    st.integers(1, 7),
    st.integers(1, 9),
    st.floats(0.1, 0.9),
    st.floats(1, 50),
    st.floats(1, 1e4),
    st.sampled_from(["cosine", "linear"]),
)
def test_onecycle_equals_torchs(
    steps_per_epoch: int, epochs: int, rising: float, start: float, final: float, anneal: Any
) -> None:
    steps = steps_per_epoch * epochs
    assume(abs(rising * steps - 1) > 1e-6)  # torch divides by zero for a rise of no step
    options = Schedule(name="onecycle", rising_share=rising, start_divisor=start, final_divisor=final, anneal=anneal)
    expected = by_torch(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            1.0,
            steps,
            pct_start=rising,
            anneal_strategy="cos" if anneal == "cosine" else "linear",
            div_factor=start,
            final_div_factor=final,
            cycle_momentum=False,
        ),
        steps,
    )
    assert shares(options, steps_per_epoch, epochs) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 5), st.floats(0.1, 0.9))
def test_step_equals_torchs(steps_per_epoch: int, epochs: int, step_epochs: int, gamma: float) -> None:
    options = Schedule(name="step", step_epochs=step_epochs, gamma=gamma)
    expected = by_torch(
        lambda o: lr_scheduler.StepLR(o, step_epochs * steps_per_epoch, gamma), steps_per_epoch * epochs
    )
    assert shares(options, steps_per_epoch, epochs) == pytest.approx(expected, rel=1e-9)


def test_onecycle_with_a_rise_shorter_than_a_step() -> None:
    rates = shares(Schedule(name="onecycle", rising_share=0.1), 2, 5)
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)


def test_constant_is_constant() -> None:
    assert set(shares(Schedule(), 3, 4)) == {1.0}


@given(st.sampled_from(["constant", "cosine", "step"]), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_warm_up_rises_linearly_before_the_schedule(name: Any, steps_per_epoch: int, warmup: int, rest: int) -> None:
    rates = shares(Schedule(name=name, warmup_epochs=warmup, step_epochs=2), steps_per_epoch, warmup + rest)
    rise = warmup * steps_per_epoch
    assert rates[:rise] == pytest.approx([(i + 1) / rise for i in range(rise)])
    assert rates[rise:] == shares(Schedule(name=name, step_epochs=2), steps_per_epoch, rest)


losses = st.lists(st.floats(0, 5) | st.just(math.nan), min_size=1, max_size=40)


def torchs_shares(losses: list[float], bad_epochs: int) -> list[float]:
    """The shares of torch's schedule, which cuts the rate by half at this number of bad epochs in a row."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=bad_epochs - 1, threshold=0.0, threshold_mode="abs", eps=0.0
    )
    shares = []
    for loss in losses:
        reference.step(loss)
        shares.append(optimizer.param_groups[0]["lr"])
    return shares


def plateau_shares(plateau: Plateau, losses: list[float], patience: int) -> list[float]:
    """Our shares, as if the run was resumed after every epoch."""
    options, shares = Schedule(name="plateau", plateau_patience=patience, gamma=0.5), []
    for loss in losses:
        resumed = Plateau()
        resumed.load_state_dict(plateau.state_dict())
        resumed.update(options, loss)
        shares.append(resumed.share)
        plateau = resumed
    return shares


@given(losses, st.integers(0, 4))
def test_plateau_cuts_at_its_patience(losses: list[float], patience: int) -> None:
    assert plateau_shares(Plateau(), losses, patience) == torchs_shares(losses, max(1, patience))


@given(losses, st.integers(0, 4))
def test_plateau_of_an_older_release_keeps_its_rule(losses: list[float], patience: int) -> None:
    older = Plateau()
    older.load_state_dict({"share": 1.0, "best": math.inf, "epochs_without_improvement": 0})
    assert plateau_shares(older, losses, patience) == torchs_shares(losses, patience + 1)


def test_only_plateau_cuts() -> None:
    plateau = Plateau()
    for _ in range(20):
        plateau.update(Schedule(), 1.0)
    assert plateau.share == 1.0
