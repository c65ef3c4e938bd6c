"""Golden curves: the rules against labels, on runs that were held out of the calibration."""

import json
import random
import time
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.diagnosis import Rules, Verdict, diagnose
from service.core.diagnosis.measures import (
    generalization_loss,
    jitter,
    progress_quotient,
    smoothed,
    successive_rises,
    theil_sen,
    training_progress,
)
from service.core.history import Epoch
from tests.golden import synthetic
from tests.golden.scoring import Golden, called_overfitting, load, scores


@pytest.fixture(scope="module")
def golden() -> list[Golden]:
    return load()


def epochs(train: list[float], val: list[float], accuracy: float = 0.8, se: float | None = None) -> list[Epoch]:
    return [
        Epoch(
            epoch=i, train_loss=t, train_loss_clean=t, val_loss=v, train_accuracy=accuracy, val_accuracy=accuracy,
            penalty=0.0, lr=1e-3, seconds=1.0, images_per_second=1.0, improved=False, epochs_without_improvement=0,
            val_loss_se=se, val_change_se=se,
        )
        for i, (t, v) in enumerate(zip(train, val, strict=True), 1)
    ]  # fmt: skip


def test_runs_that_were_held_out_get_the_verdict_of_their_label(golden: list[Golden]) -> None:
    held_out = [run for run in golden if run.is_held_out]
    found = {score.verdict: score for score in scores(held_out, Rules())}
    assert set(found) == set(Verdict)
    assert sum(score.f1 for score in found.values()) / len(found) > 0.9
    assert all(score.precision >= 0.8 and score.recall >= 0.8 for score in found.values()), found


def test_at_least_sixty_of_the_histories_are_real_runs(golden: list[Golden]) -> None:
    assert len([run for run in golden if not run.name.startswith("synthetic")]) >= 60


def test_pure_noise_is_hardly_ever_called_overfitting() -> None:
    assert called_overfitting(Rules(), 400) < 0.05


@pytest.mark.parametrize("kind", ["overfitting", "overconfident"])
def test_the_onset_is_where_validation_loss_turned(kind: str) -> None:
    for seed in range(10):
        history, facts = synthetic.history(kind, seed)
        found = diagnose(history, facts=facts, stop_reason="max_epochs")
        lowest = min(history, key=lambda e: e.val_loss or 9.0)
        assert found.onset_epoch is not None
        assert abs(found.onset_epoch - lowest.epoch) <= max(5, len(history) // 8)


def test_a_rise_within_the_noise_of_the_images_is_no_rise() -> None:
    train = [1.0 * 0.9**i for i in range(40)]
    val = [1.0 - 0.02 * i if i < 20 else 0.6 + 0.005 * (i - 20) for i in range(40)]
    assert diagnose(epochs(train, val, se=0.01)).verdict == Verdict.OVERCONFIDENT
    assert diagnose(epochs(train, val, se=0.1)).verdict == Verdict.STAGNANT_GENERALIZATION


def test_an_epoch_without_finite_losses_is_divergence() -> None:
    history = epochs([1.0, 0.9, 0.8], [1.0, 0.9, 0.8])
    broken = Epoch(**vars(history[-1]) | {"epoch": 4, "train_loss": None, "val_loss": None, "flag": "nan"})
    found = diagnose([*history, broken], stop_reason="diverged")
    assert (found.verdict, found.onset_epoch) == (Verdict.DIVERGED, 4)


@pytest.mark.parametrize("history", [[], epochs([1.0], [1.0]), epochs([0.0] * 30, [0.0] * 30)])
def test_there_is_a_verdict_for_every_history(history: list[Epoch]) -> None:
    assert diagnose(history).summary


losses = st.none() | st.floats(0, 1e30) | st.sampled_from([0.0, 1.0, 1e-30])


@given(st.lists(st.tuples(losses, losses, st.floats(0, 1)), max_size=60), st.booleans())
def test_no_history_is_too_odd(rows: list[tuple[float | None, float | None, float]], is_over: bool) -> None:
    plain = epochs([1.0] * len(rows), [1.0] * len(rows))
    odd = [
        replace(e, train_loss=t, train_loss_clean=t, val_loss=v, val_accuracy=a, val_loss_se=a)
        for e, (t, v, a) in zip(plain, rows, strict=True)
    ]
    found = diagnose(odd, stop_reason="max_epochs" if is_over else None)
    json.dumps(asdict(found), allow_nan=False)
    assert 0.5 <= found.confidence <= 1
    assert found.is_final is is_over


def test_a_history_of_ten_thousand_epochs_is_diagnosed_in_little_time() -> None:
    r = random.Random(1)
    long = epochs(
        [2.0 * 0.999**i + 1e-3 for i in range(10_000)],
        [0.5 + 1.5 * 0.99**i + 1e-5 * i + r.gauss(0, 0.01) for i in range(10_000)],
    )
    diagnose(long)
    spent = []
    for _ in range(5):
        started = time.process_time()
        diagnose(long)
        spent.append(time.process_time() - started)
    started = time.process_time()
    for _ in range(10):
        sorted(r.random() for _ in range(10_000))
    assert min(spent) < 5 * (time.process_time() - started)  # a ratio to work of the same machine: about 50 ms


def test_measures_are_those_of_prechelt() -> None:
    assert generalization_loss([2.0, 1.0, 1.5]) == pytest.approx(50)
    assert training_progress([9.0, 2.0, 1.0, 1.0, 1.0, 1.0]) == pytest.approx(200)
    assert progress_quotient([2.0, 1.0, 1.5], [2.0, 1.0, 1.0, 1.0, 1.0]) == pytest.approx(50 / 200)
    assert successive_rises([5.0, 4, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) == 2
    assert successive_rises([3.0, 2.0, 1.0]) == 0


def test_the_slope_is_blind_to_a_third_of_wild_values() -> None:
    values = [0.5 * i for i in range(90)]
    wild = [v if i % 3 else 1000.0 for i, v in enumerate(values)]
    assert theil_sen(values) == pytest.approx(0.5)
    assert theil_sen(wild[:60]) == pytest.approx(0.5, abs=0.1)


def test_jitter_is_the_standard_deviation_of_noise_about_a_line() -> None:
    r = random.Random(2)
    noisy = [0.3 * i + r.gauss(0, 0.2) for i in range(4_000)]
    assert jitter(noisy) == pytest.approx(0.2, rel=0.1)
    assert jitter([0.3 * i for i in range(50)]) == pytest.approx(0, abs=1e-9)


def test_smoothing_takes_the_median_of_neighbours() -> None:
    assert smoothed([1.0, 9.0, 1.0, 1.0, 1.0, 1.0]) == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
