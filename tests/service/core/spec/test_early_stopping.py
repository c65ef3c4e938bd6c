"""The stopper against a brute-force oracle and against tables made by hand."""

import math
import operator
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.spec import EarlyStopping
from service.core.spec.early_stopping import Stopper

values = st.lists(
    st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 2.0, math.nan, math.inf, -math.inf]), min_size=1, max_size=25
)
options = st.builds(
    EarlyStopping,
    monitor=st.sampled_from(["val_loss", "val_accuracy"]),
    patience=st.integers(1, 5),
    cooldown=st.integers(0, 3),
    min_delta=st.sampled_from([0.0, 0.05, 0.1, 0.5]),
    min_delta_mode=st.sampled_from(["abs", "rel"]),
    start_epoch=st.integers(1, 6),
    baseline=st.none() | st.sampled_from([0.1, 0.3, 0.6]),
)


def oracle(o: EarlyStopping, curve: list[float]) -> tuple[int | None, int | None]:
    """(stop epoch, best epoch) by the definitions, computed from the whole curve without a state.

    The best epoch is the first one with the best finite value, whatever the other options are.
    """
    better = operator.lt if o.monitor == "val_loss" else operator.gt
    towards = -1 if o.monitor == "val_loss" else 1
    sign = -towards

    def beats(value: float, reference: float) -> bool:
        delta = o.min_delta * (abs(reference) if o.min_delta_mode == "rel" else 1)
        return bool(better(value, reference + towards * delta))

    @cache
    def improves(epoch: int) -> bool:
        value = curve[epoch - 1]
        earlier = [e for e in range(1, epoch) if improves(e)]
        return math.isfinite(value) and (not earlier or beats(value, curve[earlier[-1] - 1]))

    def resets(epoch: int) -> bool:
        return improves(epoch) and (o.baseline is None or beats(curve[epoch - 1], o.baseline))

    def wasted(epoch: int) -> int:
        last = max((e for e in range(1, epoch + 1) if resets(e)), default=0)
        after_cooldown = last + 1 + (o.cooldown if last else 0)
        return sum(e >= o.start_epoch for e in range(after_cooldown, epoch + 1))

    stop = next((e for e in range(1, len(curve) + 1) if wasted(e) >= o.patience), None)
    finite = [e for e in range(1, (stop or len(curve)) + 1) if math.isfinite(curve[e - 1])]
    return stop, min(finite, key=lambda e: sign * curve[e - 1], default=None)


def play(o: EarlyStopping | None, curve: list[float]) -> tuple[int | None, Stopper]:
    stopper = Stopper(o)
    for epoch, value in enumerate(curve, start=1):
        stopper.update(epoch, value)
        if stopper.state.stopped:
            return epoch, stopper
    return None, stopper


@given(options, values)
def test_it_stops_where_the_oracle_does_and_keeps_the_same_best(o: EarlyStopping, curve: list[float]) -> None:
    stopped, stopper = play(o, curve)
    assert (stopped, stopper.state.best_epoch) == oracle(o, curve)


@given(options, values, st.integers(0, 24))
def test_resuming_from_its_state_at_any_epoch_changes_nothing(o: EarlyStopping, curve: list[float], cut: int) -> None:
    _, whole = play(o, curve)
    _, first = play(o, curve[:cut])
    second = Stopper(o)
    second.load_state_dict(first.state_dict(), first.state.best)
    for epoch, value in enumerate(curve[cut:], start=cut + 1):
        second.update(epoch, value)
    assert second.state == whole.state


@pytest.mark.parametrize(
    ("given_options", "curve", "stop_epoch", "reason"),
    [
        ({"patience": 1}, [1.0, 1.0], 2, "early_stopping"),
        ({"patience": 2}, [1.0, 0.9, 0.9, 0.95], 4, "early_stopping"),
        ({"patience": 2}, [1.0, 1.1, 0.9, 1.0, 1.1], 5, "early_stopping"),
        ({"patience": 2, "min_delta": 1000.0}, [3.0, 2.0, 1.0], 3, "early_stopping"),
        ({"patience": 2, "min_delta": 0.1, "min_delta_mode": "rel"}, [1.0, 0.95, 0.91], 3, "early_stopping"),
        ({"patience": 3, "min_delta": 0.05}, [1.0, 0.98, 0.96, 0.94, 0.93, 0.97, 0.92], 7, "early_stopping"),
        ({"patience": 1, "start_epoch": 4}, [1.0, 2.0, 2.0, 2.0], 4, "early_stopping"),
        ({"patience": 2, "baseline": 0.5}, [1.0, 0.9], 2, "early_stopping"),
        ({"patience": 2, "baseline": 0.5}, [1.0, 0.4, 0.4, 0.4], 4, "early_stopping"),
        ({"patience": 2}, [math.nan, math.nan], 2, "early_stopping"),
        ({"patience": 2, "cooldown": 3}, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 6, "early_stopping"),
        ({"patience": 1, "cooldown": 1}, [1.0, 1.0, 0.9, 1.0, 1.0], 5, "early_stopping"),
        ({"patience": 1, "cooldown": 9}, [math.nan], 1, "early_stopping"),
        ({"patience": 3, "cooldown": 9, "baseline": 0.5}, [1.0, 0.9, 0.8], 3, "early_stopping"),
        ({"patience": 9, "stopping_threshold": 0.5}, [1.0, 0.5], 2, "target_reached"),
        ({"patience": 9, "divergence_threshold": 5.0}, [1.0, 5.0, 5.1], 3, "diverged"),
        ({"monitor": "val_accuracy", "patience": 1}, [0.5, 0.6, 0.6], 3, "early_stopping"),
        ({"monitor": "val_accuracy", "stopping_threshold": 0.9}, [0.5, 0.9], 2, "target_reached"),
        ({"monitor": "val_accuracy", "divergence_threshold": 0.2}, [0.5, 0.1], 2, "diverged"),
    ],
)
def test_known_curves_stop_at_their_epoch(
    given_options: dict[str, Any], curve: list[float], stop_epoch: int, reason: str
) -> None:
    stopped, stopper = play(EarlyStopping(**given_options), curve)
    assert (stopped, stopper.state.stopped) == (stop_epoch, reason)


def test_an_equal_value_is_no_improvement() -> None:
    stopper = Stopper(EarlyStopping())
    assert stopper.update(1, 0.5) is True
    assert stopper.update(2, 0.5) is False


def test_without_options_it_never_stops_and_still_knows_the_best() -> None:
    stopped, stopper = play(None, [1.0, 0.5] + [2.0] * 500)
    assert (stopped, stopper.state.best_epoch) == (None, 2)


def test_a_stopped_run_stays_stopped() -> None:
    _, stopper = play(EarlyStopping(patience=1), [1.0, 1.0])
    state = stopper.state_dict()
    assert stopper.update(3, 0.0) is False
    assert stopper.state_dict() == state


def test_min_delta_decides_on_patience_and_not_on_the_best() -> None:
    stopper = Stopper(EarlyStopping(patience=3, min_delta=0.2))
    assert [stopper.update(epoch, value) for epoch, value in enumerate([1.0, 0.9, 0.95, 0.85], 1)] == [
        True,
        True,
        False,
        True,
    ]
    assert (stopper.state.best_epoch, stopper.state.stopped) == (4, "early_stopping")


def test_state_is_compatible_with_release_0_1_0() -> None:
    old = {"best": 0.5, "best_epoch": 2, "epochs_without_improvement": 1, "stopped": None}
    for options in (EarlyStopping(), EarlyStopping(cooldown=3), EarlyStopping(min_delta=0.1)):
        stopper = Stopper(options)
        stopper.load_state_dict(old, 0.5)
        state = stopper.state
        assert (state.best, state.reference, state.cooldown_left) == (0.5, 0.5, 0)
    _, stopper = play(EarlyStopping(), [1.0, 0.5, 0.6])
    assert stopper.state_dict() == old
    _, stopper = play(EarlyStopping(min_delta=0.2), [1.0, 0.5, 0.4])
    assert stopper.state_dict() == old | {"best_epoch": 3}  # that release goes on from the reference


def test_better_values_keep_the_best_after_an_older_release() -> None:
    stopper = Stopper(EarlyStopping(min_delta=0.2))
    stopper.load_state_dict({"best": 0.5, "best_epoch": 3, "epochs_without_improvement": 1, "stopped": None}, best=0.4)
    assert [stopper.update(epoch, value) for epoch, value in ((4, 0.45), (5, 0.39))] == [False, True]


# Each option with what it needs, and a curve on which setting it changes the decision.
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any], list[float]]] = {
    "monitor": ({}, {"monitor": "val_accuracy"}, [0.5, 0.6]),
    "mode": ({}, {"mode": "max"}, [0.5, 0.6]),
    "patience": ({}, {"patience": 1}, [1.0, 1.0]),
    "cooldown": ({"patience": 1}, {"cooldown": 1}, [1.0, 1.0]),
    "min_delta": ({"patience": 1}, {"min_delta": 0.2}, [1.0, 0.9]),
    "min_delta_mode": ({"patience": 1, "min_delta": 0.2}, {"min_delta_mode": "rel"}, [10.0, 9.0]),
    "start_epoch": ({"patience": 1}, {"start_epoch": 3}, [1.0, 1.0]),
    "baseline": ({"patience": 1}, {"baseline": 0.5}, [1.0, 0.9]),
    "stopping_threshold": ({}, {"stopping_threshold": 0.5}, [0.4]),
    "divergence_threshold": ({}, {"divergence_threshold": 2.0}, [3.0]),
}


@pytest.mark.parametrize("name", [f.name for f in fields(EarlyStopping)])
def test_every_option_changes_the_decision(name: str) -> None:
    needed, options, curve = EFFECTS[name]
    assert options.keys() == {name}

    def decision(given: EarlyStopping) -> tuple[int | None, int | None, str | None]:
        stopped, stopper = play(given, curve)
        return stopped, stopper.state.best_epoch, stopper.state.stopped

    assert decision(EarlyStopping(**needed, **options)) != decision(EarlyStopping(**needed))
