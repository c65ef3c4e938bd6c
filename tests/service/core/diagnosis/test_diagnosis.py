"""The rules compared with the labels of golden curves, on runs held out of the calibration."""

import json
import random
import time
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.diagnosis import Rules, RunContext, Verdict, diagnose
from service.core.diagnosis.measures import (
    generalization_loss,
    jitter,
    progress_quotient,
    smoothed,
    successive_rises,
    theil_sen,
    training_progress,
)
from service.core.records.builtin_datasets import DIGITS
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.spec import JobSpec
from tests.golden import synthetic
from tests.golden.scoring import Golden, called_overfitting, load, scores

EPOCH = Epoch(
    epoch=1,
    train_loss=1.0,
    train_loss_clean=1.0,
    val_loss=1.0,
    train_accuracy=0.8,
    val_accuracy=0.8,
    penalty=0.0,
    lr=1e-3,
    seconds=1.0,
    images_per_second=1.0,
    improved=False,
    epochs_without_improvement=0,
)


@pytest.fixture(scope="module")
def golden() -> list[Golden]:
    return load()


def epochs(train: list[float], val: list[float], accuracy: float = 0.8, se: float | None = None) -> list[Epoch]:
    return [
        replace(
            EPOCH,
            epoch=number,
            train_loss=train_loss,
            train_loss_clean=train_loss,
            val_loss=val_loss,
            train_accuracy=accuracy,
            val_accuracy=accuracy,
            val_loss_se=se,
            val_change_se=se,
        )
        for number, (train_loss, val_loss) in enumerate(zip(train, val, strict=True), start=1)
    ]


def test_runs_that_were_held_out_get_the_verdict_of_their_label(golden: list[Golden]) -> None:
    held_out = [run for run in golden if run.is_held_out]
    by_verdict = {score.verdict: score for score in scores(held_out, Rules())}
    assert set(by_verdict) == set(Verdict) - {Verdict.RARE_CLASSES_IGNORED}
    assert sum(score.f1 for score in by_verdict.values()) / len(by_verdict) > 0.9
    assert all(score.precision >= 0.8 and score.recall >= 0.8 for score in by_verdict.values()), by_verdict


def test_at_least_sixty_of_the_histories_are_real_runs(golden: list[Golden]) -> None:
    assert len([run for run in golden if not run.name.startswith("synthetic")]) >= 60


def test_pure_noise_is_hardly_ever_called_overfitting() -> None:
    assert called_overfitting(Rules(), 400) < 0.05


@pytest.mark.parametrize("kind", ["overfitting", "overconfident"])
def test_the_onset_is_where_validation_loss_turned(kind: str) -> None:
    for seed in range(10):
        history, facts = synthetic.history(kind, seed)
        diagnosis = diagnose(history, facts=facts, stop_reason="max_epochs")
        lowest = min(history, key=lambda e: e.val_loss or 9.0)
        assert diagnosis.onset_epoch is not None
        assert abs(diagnosis.onset_epoch - lowest.epoch) <= max(5, len(history) // 8)


def test_a_rise_within_the_noise_of_the_images_is_no_rise() -> None:
    train = [1.0 * 0.9**i for i in range(40)]
    val = [1.0 - 0.02 * i if i < 20 else 0.6 + 0.005 * (i - 20) for i in range(40)]
    assert diagnose(epochs(train, val, se=0.01)).verdict == Verdict.OVERCONFIDENT
    assert diagnose(epochs(train, val, se=0.1)).verdict == Verdict.STAGNANT_GENERALIZATION


def test_an_epoch_without_finite_losses_is_divergence() -> None:
    history = epochs([1.0, 0.9, 0.8], [1.0, 0.9, 0.8])
    broken = Epoch(**vars(history[-1]) | {"epoch": 4, "train_loss": None, "val_loss": None, "flag": "nan"})
    diagnosis = diagnose([*history, broken], stop_reason="diverged")
    assert (diagnosis.verdict, diagnosis.onset_epoch) == (Verdict.DIVERGED, 4)


def test_a_flat_noisy_validation_loss_is_no_rise_in_a_long_run() -> None:
    wrong = 0
    for seed in range(60):
        r = random.Random(seed)
        val = [0.5 * (1 + r.gauss(0, 0.05)) for _ in range(300)]
        diagnosis = diagnose(epochs([0.98**i for i in range(300)], val, se=0.005))
        wrong += diagnosis.verdict in (Verdict.OVERFITTING, Verdict.OVERCONFIDENT)
    assert wrong <= 3


def test_losses_that_are_far_apart_are_never_healthy() -> None:
    at_its_floor = diagnose(epochs([2.3, 1.0, 0.06] + [0.05] * 17, [2.3, 1.8] + [1.5] * 18))
    assert at_its_floor.verdict == Verdict.STAGNANT_GENERALIZATION
    assert "1.500 since epoch 3" in at_its_floor.summary
    rising = diagnose(epochs([0.05] * 40, [0.6 + 0.02 * i for i in range(40)]))
    assert rising.verdict in (Verdict.OVERFITTING, Verdict.OVERCONFIDENT)


def test_only_lasting_loss_of_progress_is_divergence() -> None:
    history = epochs([2.21, 2.0, 1.5, 0.96], [2.22, 2.0, 1.53, 0.99])
    for reason in (None, "max_epochs"):
        assert diagnose(history, stop_reason=reason).verdict == Verdict.TOO_SHORT_TO_TELL
    jumped = epochs([2.2, 1.5, 0.9, 0.6, 0.4, 1.9], [2.2, 1.6, 1.0, 0.8, 0.7, 2.0])
    assert diagnose(jumped).verdict != Verdict.DIVERGED, "a single step back is no divergence"
    lost = epochs([2.2, 1.5, 0.9, 0.6, 0.4, 1.9, 2.0, 1.9, 2.1], [2.2, 1.6, 1.0, 0.8, 0.7, 2.0, 2.1, 2.0, 2.1])
    assert diagnose(lost).verdict == Verdict.DIVERGED


def test_a_run_is_not_called_diverged_on_its_way_down(golden: list[Golden]) -> None:
    for run in golden:
        if run.name.startswith("full_"):
            for so_far in range(2, len(run.history)):
                diagnosis = diagnose(run.history[:so_far], facts=run.facts)
                assert diagnosis.verdict != Verdict.DIVERGED, (run.name, run.seed, so_far)


@pytest.mark.parametrize(
    "val",
    [
        [1.999, 1.564, 1.233, 1.112, 1.006, 0.903, 0.901, 0.868, 0.862, 0.87, 0.867, 1.669],
        [1.446, 0.961, 0.645, 0.481, 0.368, 0.303, 0.272, 0.255, 0.236, 0.233, 0.215, 0.359],
    ],
)
def test_one_bad_epoch_at_the_end_is_no_turn(val: list[float]) -> None:
    train = [0.85 * val[-2] + 2 * 0.6**i for i in range(len(val))]
    assert diagnose(epochs(train, val)).verdict not in (Verdict.DIVERGED, Verdict.OVERFITTING, Verdict.OVERCONFIDENT)


def test_a_rise_within_the_noise_is_called_a_rise_not_flat() -> None:
    facts = Facts({"train": 144, "validation": 48}, 1.386, 0.25)
    val = [1.35, 1.25, 1.1, 1.05, 1.02, 1.0, 1.05, 1.1, 1.15, 1.2, 1.22, 1.22, 1.25, 1.22, 1.24]
    noisy = [replace(e, val_loss_se=0.2, val_change_se=0.2) for e in epochs([1.3 - 0.07 * i for i in range(15)], val)]
    diagnosis = diagnose(noisy, facts=facts)
    assert diagnosis.verdict == Verdict.STAGNANT_GENERALIZATION
    assert "was lowest at epoch 6, 1.000, and is about 1.220 now" in diagnosis.summary
    assert "within its noise on 48 validation images" in diagnosis.summary


def test_a_run_that_has_just_begun_needs_no_advice() -> None:
    case = RunContext(JobSpec.from_dict({"dataset": {"id": "digits"}}), DIGITS)
    assert diagnose([], case).advice == ()
    assert diagnose(epochs([2.0], [2.0]), case, stop_reason="max_epochs").advice


def test_a_rise_is_not_called_flat_in_a_note_as_well() -> None:
    history, facts = synthetic.history("overfitting", 3)
    diagnosis = diagnose(history, facts=facts)
    assert Verdict.STAGNANT_GENERALIZATION not in [note.verdict for note in diagnosis.notes]


def test_a_handicapped_training_loss_alone_is_no_underfitting() -> None:
    history = epochs([0.9] * 30, [2.0 - 0.1 * i if i < 18 else 0.2 for i in range(30)], accuracy=0.98)
    blind = [replace(e, train_loss_clean=None) for e in history]
    case = RunContext(
        JobSpec.from_dict({"dataset": {"id": "digits"}, "regularization": {"label_smoothing": 0.1}}), DIGITS
    )
    diagnosis = diagnose(blind, case, stop_reason="max_epochs")
    verdicts = [diagnosis.verdict, *(note.verdict for note in diagnosis.notes)]
    assert Verdict.UNDERFITTING not in verdicts
    assert diagnosis.verdict == Verdict.TRAIN_ABOVE_VALIDATION
    assert "The clean training loss is" not in diagnosis.summary


def test_a_model_at_the_best_possible_accuracy_is_healthy() -> None:
    facts = Facts({"train": 900, "validation": 300}, 0.69, 0.5)
    history = epochs([0.4] * 5 + [0.11] * 30, [0.4] * 5 + [0.12] * 30, accuracy=0.97)
    assert diagnose(history, facts=facts).verdict == Verdict.HEALTHY


@pytest.mark.parametrize(
    "balancing", [{"class_weights": "balanced"}, {"sampling": "balanced"}, {"loss": "logit_adjusted"}]
)
def test_a_balanced_run_is_compared_with_a_uniform_guess(balancing: dict[str, str]) -> None:
    facts = Facts({"train": 900, "validation": 300}, 0.2, 0.95)
    history = epochs([0.69 - 0.003 * i for i in range(20)], [0.69 - 0.003 * i for i in range(20)], accuracy=0.9)
    two = replace(DIGITS, classes=("a", "b"), samples_per_class=(950, 50))
    plain, balanced = (
        RunContext(JobSpec.from_dict({"dataset": {"id": "x"}, "regularization": options}), two)
        for options in ({}, balancing)
    )
    assert diagnose(history, plain, facts).verdict == Verdict.NOT_LEARNING
    assert diagnose(history, balanced, facts).verdict != Verdict.NOT_LEARNING


@pytest.mark.parametrize("breaks", [(5, 6), (6, 6), (3, 3), (1, 2), (4, None)])
def test_the_onset_is_the_first_epoch_of_the_losses_that_broke(breaks: tuple[int, int | None]) -> None:
    """`breaks` are the first epochs without a finite val_loss and train_loss."""
    val, train = breaks
    history, facts = synthetic.history("healthy", 2)
    last = train or 7
    broken = [
        replace(
            e,
            val_loss=None if e.epoch >= val else e.val_loss,
            train_loss=None if e.epoch == train else e.train_loss,
            flag="nan" if e.epoch >= val else None,
        )
        for e in history[:last]
    ]
    found = diagnose(broken, facts=facts, stop_reason="diverged")
    assert (found.verdict, found.onset_epoch) == (Verdict.DIVERGED, val)
    assert [evidence.value for evidence in found.evidence] == [val]


def test_one_validation_loss_that_is_not_finite_is_forgiven() -> None:
    history, facts = synthetic.history("healthy", 2)
    once = [replace(e, val_loss=None, flag="inf") if e.epoch == 3 else e for e in history]
    assert diagnose(once, facts=facts, stop_reason="max_epochs").verdict == Verdict.HEALTHY
    alone = replace(history[0], train_loss=None, val_loss=None, flag="nan")
    assert "not finite numbers from the start" in diagnose([alone], facts=facts, stop_reason="diverged").summary


def test_a_run_that_was_stopped_as_diverged_is_called_so() -> None:
    history = epochs([0.9] * 8, [0.9] * 7 + [5.0])
    assert diagnose(history, stop_reason="diverged").verdict == Verdict.DIVERGED


def test_a_falling_loss_is_improving_after_a_stop_by_accuracy() -> None:
    falling = [2.0 - 0.05 * i for i in range(30)]
    history = epochs([v * 0.95 for v in falling], falling)
    watching = {"dataset": {"id": "digits"}, "early_stopping": {"monitor": "val_accuracy"}}
    case = RunContext(JobSpec.from_dict(watching), DIGITS)
    assert diagnose(history, case, stop_reason="early_stopping").verdict == Verdict.STILL_IMPROVING


def test_a_summary_leaves_out_unknown_values() -> None:
    one = diagnose(epochs([1.0], [1.0]), stop_reason="max_epochs")
    assert "after 1 epoch." in one.summary
    facts = Facts({"train": 100, "validation": 20}, 2.3, 0.1)
    few = diagnose(epochs([0.4] * 10, [0.4] * 10), facts=facts)
    assert (few.verdict, "plus or minus" in few.summary, "20 validation images" in few.summary) == (
        "small_validation",
        False,
        True,
    )
    easier, facts = synthetic.history("easier", 1)
    assert "copy" not in diagnose(easier, facts=facts).summary


TINY = epochs([0.0] * 6, [0.0, 0.0, 0.0, 1.0, 2e-311, 0.0], accuracy=0.0)


@pytest.mark.parametrize("history", [[], epochs([1.0], [1.0]), epochs([0.0] * 30, [0.0] * 30), TINY])
def test_there_is_a_verdict_for_every_history(history: list[Epoch]) -> None:
    diagnosis = diagnose(history)
    assert diagnosis.summary
    json.dumps(asdict(diagnosis), allow_nan=False)


losses = st.none() | st.floats(0, 1e30) | st.sampled_from([0.0, 1.0, 1e-30])


@given(st.lists(st.tuples(losses, losses, st.floats(0, 1)), max_size=60), st.booleans())
def test_any_history_is_diagnosed_with_finite_numbers(
    rows: list[tuple[float | None, float | None, float]], is_over: bool
) -> None:
    plain = epochs([1.0] * len(rows), [1.0] * len(rows))
    odd = [
        replace(e, train_loss=t, train_loss_clean=t, val_loss=v, val_accuracy=a, val_loss_se=a)
        for e, (t, v, a) in zip(plain, rows, strict=True)
    ]
    diagnosis = diagnose(odd, stop_reason="max_epochs" if is_over else None)
    json.dumps(asdict(diagnosis), allow_nan=False)
    assert 0 < diagnosis.confidence <= 1
    assert diagnosis.is_final is is_over


def test_ten_thousand_epochs_are_diagnosed_in_little_time() -> None:
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
