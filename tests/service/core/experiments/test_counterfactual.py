"""Replayed curves compared with their recorded runs, with one stopper per setting, and with real trainings."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.experiments.counterfactual import Run, Setting, monitored, recorded, replay
from service.core.records.epoch import Epoch
from service.core.records.job import StopReason
from service.core.spec import EarlyStopping, JobSpec
from service.core.spec.early_stopping import Stopper
from tests.workers.training.small import spec as small_spec
from tests.workers.training.small import trained

LOSSES = [0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 2.0]
losses, accuracies = st.sampled_from([*LOSSES, math.nan, math.inf]), st.sampled_from([0.1, 0.5, 0.8, 0.9])
curves = st.lists(st.tuples(losses, accuracies), min_size=1, max_size=25)
options = st.builds(
    EarlyStopping,
    monitor=st.sampled_from(["val_loss", "val_accuracy"]),
    mode=st.none() | st.sampled_from(["min", "max"]),
    patience=st.integers(1, 5),
    cooldown=st.integers(0, 3),
    min_delta=st.sampled_from([0.0, 0.05, 0.1, 0.5]),
    min_delta_mode=st.sampled_from(["abs", "rel"]),
    start_epoch=st.integers(1, 6),
    baseline=st.none() | st.sampled_from([0.1, 0.3, 0.6]),
    stopping_threshold=st.none() | st.sampled_from([0.0, 0.1]),
    divergence_threshold=st.none() | st.sampled_from([0.9, 1.5]),
)


def spec(stopping: EarlyStopping | None = None, epochs: int = 1000, **changes: Any) -> JobSpec:
    given = JobSpec.from_dict({"dataset": {"id": "digits"}, "epochs": epochs, **changes})
    return replace(given, early_stopping=stopping)


def epoch(number: int, val_loss: float, *, improved: bool = False, **changes: Any) -> Epoch:
    values = {
        "epoch": number,
        "train_loss": 0.5,
        "train_loss_clean": None,
        "val_loss": val_loss,
        "train_accuracy": 0.9,
        "val_accuracy": 0.8,
        "penalty": 0.0,
        "lr": 1e-3,
        "seconds": 2.0,
        "images_per_second": 1.0,
        "improved": improved,
        "epochs_without_improvement": 0,
        "val_loss_se": 0.01,
    }
    return Epoch.measured(values | changes)


def run(stopping: EarlyStopping | None, curve: Sequence[tuple[float, float]]) -> tuple[list[Epoch], str | None]:
    """The epochs that the training loop records of a curve of (val_loss, val_accuracy), and the stop reason."""
    stopper, history = Stopper(stopping), []
    for number, (loss, accuracy) in enumerate(curve, start=1):
        shown = loss if stopper.monitor == "val_loss" else accuracy
        improved = stopper.update(number, shown if math.isfinite(loss) else math.nan)
        history.append(epoch(number, loss, improved=improved, val_accuracy=accuracy))
        if stopper.state.stopped:
            break
    return history, stopper.state.stopped


def curve_of(*losses: float) -> list[Epoch]:
    """A history whose epochs improve where they are the lowest so far."""
    return [
        epoch(n, loss, improved=loss < min(losses[: n - 1], default=math.inf)) for n, loss in enumerate(losses, start=1)
    ]


def only(settings: tuple[Setting, ...]) -> Setting:
    (setting,) = settings
    return setting


@given(options, curves)
def test_replay_of_a_job_s_own_setting_repeats_its_run(own: EarlyStopping, curve: list[tuple[float, float]]) -> None:
    history, stopped = run(own, curve)
    setting = only(replay(history, spec(own), [own.patience], [own.min_delta]))
    actual = recorded(history)
    assert setting.stop_epoch == (actual.stop_epoch if stopped else None)
    assert setting.stop_reason == stopped
    assert setting.best_epoch == actual.best_epoch
    assert setting.best_val_loss == actual.best_val_loss
    nothing = None if actual.best_epoch is None else 0
    assert (setting.loss_given_up, setting.loss_given_up_se) == (nothing, nothing)
    assert not setting.is_beyond_noise
    assert (setting.epochs_saved, setting.seconds_saved) == (0, 0)


@given(options, curves, st.sets(st.integers(1, 30), min_size=1), st.sets(st.sampled_from(LOSSES), min_size=1))
def test_all_settings_together_are_each_one_s_own_stopper(
    own: EarlyStopping, curve: list[tuple[float, float]], patiences: set[int], min_deltas: set[float]
) -> None:
    history, _ = run(None, curve)
    settings = replay(history, spec(own), patiences, min_deltas)
    assert [(s.patience, s.min_delta) for s in settings] == [
        (p, d) for p in sorted(patiences) for d in sorted(min_deltas)
    ]
    for setting in settings:
        stopper, stop = Stopper(replace(own, patience=setting.patience, min_delta=setting.min_delta)), None
        for past in history:
            stopper.update(past.epoch, monitored(past, own.monitor))
            if stopper.state.stopped:
                stop = past.epoch
                break
        assert (setting.stop_epoch, setting.best_epoch) == (stop, stopper.state.best_epoch)
        assert setting.stop_reason == stopper.state.stopped


def test_a_real_run_with_less_patience_matches_the_replay() -> None:
    def history(patience: int) -> list[Epoch]:
        given = small_spec(
            optimizer={"lr": 0.05}, epochs=30, early_stopping={"patience": patience}, train_loss_clean=False
        )
        return [Epoch.measured(vars(result)) for result in trained(given)[2]]

    patient, hasty = history(8), recorded(history(1))
    setting = only(replay(patient, spec(EarlyStopping(patience=8)), [1], [0]))
    assert hasty.stop_epoch < patient[-1].epoch
    assert (setting.stop_epoch, setting.best_epoch) == (hasty.stop_epoch, hasty.best_epoch)
    assert setting.best_val_loss == hasty.best_val_loss


def test_loss_and_savings_are_relative_to_the_recorded_run() -> None:
    history = curve_of(1.0, 0.8, 0.9, 0.5, 0.6, 0.7)
    setting = only(replay(history, spec(EarlyStopping(patience=2)), [1], [0]))
    assert (setting.stop_epoch, setting.stop_reason, setting.best_epoch) == (3, "early_stopping", 2)
    assert (setting.best_val_loss, setting.val_accuracy) == (0.8, 0.8)
    assert setting.loss_given_up == pytest.approx(0.3)
    assert setting.loss_given_up_se == pytest.approx(0.01 * math.sqrt(2))
    assert setting.is_beyond_noise is True
    assert (setting.epochs_saved, setting.seconds_saved) == (3, 6.0)
    assert recorded(history, StopReason.EARLY_STOPPING) == Run(6, StopReason.EARLY_STOPPING, 4, 0.5, 12.0)


def test_a_loss_within_its_noise_or_of_unknown_noise_is_marked() -> None:
    noisy = [replace(past, val_loss_se=0.2) for past in curve_of(1.0, 0.8, 0.9, 0.5)]
    assert only(replay(noisy, spec(), [1], [0])).is_beyond_noise is False
    silent = [replace(past, val_loss_se=None) for past in noisy]
    setting = only(replay(silent, spec(), [1], [0]))
    assert (setting.loss_given_up_se, setting.is_beyond_noise) == (None, None)
    assert setting.loss_given_up == pytest.approx(0.3)


def test_keeping_a_better_epoch_gives_up_a_negative_loss() -> None:
    history = [epoch(1, 1.0, improved=True), epoch(2, 0.9), epoch(3, 0.85)]  # as release 0.1.0 kept it with min_delta
    setting = only(replay(history, spec(EarlyStopping(min_delta=0.2)), [10], [0]))
    assert setting.best_epoch == 3
    assert setting.loss_given_up == pytest.approx(-0.15)
    assert setting.is_beyond_noise is False


@pytest.mark.parametrize(
    ("epochs", "reason", "train_loss", "beyond"),
    [
        (100, StopReason.EARLY_STOPPING, 0.5, True),
        (100, StopReason.CANCELLED, 0.5, True),
        (100, StopReason.WORKER_LOST, 0.5, True),
        (100, None, 0.5, True),
        (4, StopReason.MAX_EPOCHS, 0.5, False),
        (4, StopReason.EARLY_STOPPING, 0.5, False),
        (100, StopReason.MAX_SECONDS, 0.5, False),
        (100, StopReason.DIVERGED, math.nan, False),
    ],
)
def test_more_patience_is_beyond_the_record_of_an_unfinished_run(
    epochs: int, reason: StopReason | None, train_loss: float, beyond: bool
) -> None:
    history = [*curve_of(1.0, 0.8, 0.9), epoch(4, 0.9, train_loss=train_loss)]
    setting = only(replay(history, spec(EarlyStopping(patience=2), epochs), [50], [0], reason))
    assert (setting.stop_epoch, setting.stop_reason, setting.beyond_record) == (None, None, beyond)
    assert (setting.best_epoch, setting.epochs_saved, setting.seconds_saved) == (2, 0, 0)


def test_a_setting_that_stops_is_never_beyond_the_record() -> None:
    assert not only(replay(curve_of(1.0, 0.8, 0.9), spec(), [1], [0])).beyond_record


def test_replay_without_early_stopping_uses_the_defaults() -> None:
    history = curve_of(1.0, 0.8, 0.9, 0.5)
    assert replay(history, spec(None), [1, 2], [0, 0.1]) == replay(history, spec(EarlyStopping()), [2, 1], [0.1, 0])


def test_replay_without_finite_losses_keeps_no_epoch() -> None:
    history, _ = run(EarlyStopping(), [(math.nan, 0.5), (math.inf, 0.5)])
    setting = only(replay(history, spec(), [1], [0]))
    assert (setting.stop_epoch, setting.best_epoch, setting.loss_given_up, setting.is_beyond_noise) == (
        1,
        None,
        None,
        None,
    )
    assert recorded(history).best_epoch is None


def test_an_epoch_without_finite_training_loss_is_never_best() -> None:
    history = [*curve_of(1.0, 0.8), epoch(3, 0.1, train_loss=math.nan)]
    assert only(replay(history, spec(), [5], [0], StopReason.DIVERGED)).best_epoch == 2
