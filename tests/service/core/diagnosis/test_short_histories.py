"""Histories of a few epochs, of which the end, the noise and what is missing decide. All are small and made up."""

import math

import pytest

from service.core.diagnosis import RunContext, Verdict, diagnose
from service.core.records.facts import Facts
from service.core.spec import JobSpec
from tests.service.core.diagnosis.made import diagnosed, history

OVERFITTED = (Verdict.OVERFITTING, Verdict.OVERCONFIDENT)
FALLING = [0.9 * 0.8**i for i in range(10)]


def test_an_explosion_in_the_last_two_epochs_is_divergence() -> None:
    exploded = history([*FALLING, 1e6, 1e6], [*FALLING, 1e6, 1e6])
    assert diagnosed(exploded, 2).verdict == Verdict.DIVERGED
    assert diagnosed(exploded, 2).onset_epoch == 11
    assert diagnosed(history([0.35, 0.22, 0.17, 0.16, 1e18], [5.1, 3.3, 3.2, 3.0, 2e7]), 2).verdict == Verdict.DIVERGED


def test_a_collapse_in_the_last_two_epochs_is_divergence() -> None:
    assert diagnosed(history([*FALLING, 0.68, 0.7], [*FALLING, 0.68, 0.7]), 2).verdict == Verdict.DIVERGED
    assert diagnosed(history([*FALLING, 0.68], [*FALLING, 0.68]), 2).verdict != Verdict.DIVERGED


def test_a_steady_rise_in_seven_epochs_is_overfitting() -> None:
    val, right = [0.68, 0.678, 0.68, 0.69, 0.708, 0.73, 0.756], [0.58, 0.58, 0.575, 0.565, 0.56, 0.555, 0.545]
    found = diagnosed(history([0.68, 0.67, 0.66, 0.64, 0.62, 0.59, 0.55], val, right), 2, 10_000)
    assert found.verdict == Verdict.OVERFITTING


def test_constant_accuracy_of_runs_from_weights_is_no_one_class() -> None:
    flat, facts = history([0.9] * 8, [0.95] * 8, 0.65), Facts({"validation": 1000}, math.log(5), 0.2)
    for weights, is_stuck in ((None, True), ("job_1", False)):
        spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "model": {"arch": "cnn", "weights": weights}}).filled(1)
        found = diagnose(flat, RunContext(spec), facts, "max_epochs")
        assert (found.verdict == Verdict.NOT_LEARNING) == is_stuck


def test_a_fall_over_three_epochs_has_not_stopped() -> None:
    losses = [0.75, 0.74, 0.72, 0.71, 0.69, 0.66, 0.6]
    assert diagnosed(history(losses, losses, [0.5, 0.5, 0.52, 0.55, 0.6, 0.62, 0.7]), 2).verdict == (
        Verdict.STILL_IMPROVING
    )


def test_a_fall_that_training_loss_leaves_behind_soon_ends() -> None:
    """Validation loss falls by 0.03 an epoch in both."""
    val = [1.1 - 0.03 * i for i in range(10)]
    memorizing = diagnosed(history([1.1 - 0.1 * i for i in range(10)], val, 0.6), 3)
    assert memorizing.verdict == Verdict.STAGNANT_GENERALIZATION
    assert "Since epoch 3 validation loss fell from 1.040 to 0.860 only, while training loss fell" in memorizing.summary
    less_so = diagnosed(history([1.1 - 0.07 * i for i in range(10)], val, 0.6), 3)
    assert less_so.verdict == Verdict.STILL_IMPROVING
    in_step = diagnosed(history([1.1 - 0.04 * i for i in range(10)], val, 0.6), 3)
    assert in_step.verdict == Verdict.STILL_IMPROVING


def test_two_last_epochs_above_guessing_are_overfitting() -> None:
    train, val = [1.8, 1.76, 1.68, 1.5, 1.06, 0.34, 0.03, 0.01], [1.8, 1.79, 1.77, 1.75, 1.7, 1.72, 1.95, 2.6]
    found = diagnosed(history(train, val, 0.4, seen=0.99), 6)
    assert found.verdict == Verdict.OVERFITTING
    jumped = diagnosed(history(train, [*val[:5], 2.6, 1.72, 1.71], 0.4, seen=0.99), 6)
    assert jumped.verdict != Verdict.OVERFITTING


def test_a_dip_at_the_end_does_not_hide_a_loss_above_guessing() -> None:
    val = [3.5, 3.9, 3.9, 3.7, 3.5, 3.6, 3.9, 3.6, 3.4]
    found = diagnosed(history(0.035, val, 0.67, seen=0.99), 20)
    assert found.verdict == Verdict.OVERFITTING
    assert "more than the loss of guessing (2.996)" in found.summary
    assert "fell" not in found.summary


def test_jumps_are_named_from_six_epochs_on() -> None:
    val = [0.6, 2.2, 0.2, 1.6, 0.15, 2.7]
    for count in (6, 5):
        found = diagnosed(history([0.6, 0.5, 0.4, 0.3, 0.25, 0.3][:count], val[:count], 0.7), 2)
        assert (found.verdict == Verdict.NOISY_VALIDATION) == (count >= 6)


def test_a_high_training_loss_that_falls_is_improving() -> None:
    train, val = [2.2, 2.0, 1.9, 1.9, 1.7, 1.7, 1.5, 1.45], [1.7, 1.65, 1.8, 1.65, 1.75, 1.7, 1.6, 1.62]
    right = [0.2, 0.25, 0.3, 0.3, 0.35, 0.35, 0.4, 0.4]
    found = diagnosed(history(train, val, right), 10)
    assert (found.verdict, found.evidence[0].name) == (Verdict.STILL_IMPROVING, "train_fall")
    stood = diagnosed(history([*train[:4], *[1.7] * 4], val, right), 10)
    assert stood.verdict == Verdict.UNDERFITTING
    facts = Facts({"validation": 1000}, math.log(10), 0.1)
    stopped = diagnose(history(train, val, right), facts=facts, stop_reason="early_stopping")
    assert stopped.verdict == Verdict.UNDERFITTING


def test_a_little_that_is_lost_again_is_not_learnt() -> None:
    train = [2.3, 2.25, 2.2, 2.05, 2.0, 2.05, 2.2, 2.29, 2.3, 2.3, 2.3]
    found = diagnosed(history(train, [loss + 0.02 for loss in train], [0.1, 0.12, 0.2, 0.24] + [0.1] * 7), 10)
    assert found.verdict == Verdict.NOT_LEARNING
    falling = [2.9, 2.8, 2.7, 2.62, 2.55, 2.48, 2.43, 2.39, 2.36, 2.335]
    assert diagnosed(history(falling, falling, 0.12), 10).verdict == Verdict.STILL_IMPROVING
    unmeasured = history(None, [0.69, 0.64, 0.58, 0.56, 0.55, 0.56, 0.59, 0.63, 0.67, 0.7])
    assert diagnosed(unmeasured, 2).verdict == Verdict.OVERFITTING
    exploding = [2.3, 2.1, 1.9, 1.8, 1.75, 1.8, 2.0, 2.4, 2.9, 3.4, 3.8]
    risen = history(exploding, [loss + 0.03 for loss in exploding], [0.1 + 0.05 * i for i in range(5)] + [0.15] * 6)
    assert diagnosed(risen, 10).verdict == Verdict.UNSTABLE


def test_nothing_is_memorized_where_training_loss_rises() -> None:
    train = [0.13, 0.15, 0.13, 0.19, 0.2, 0.3, 0.25, 0.28, 0.3]
    found = diagnosed(history(train, [1.2, 1.1, 1.2, 1.1, 1.2, 1.2, 1.1, 1.2, 1.15], 0.8, seen=0.97), 20)
    assert "memorizes" not in found.summary
    assert Verdict.STAGNANT_GENERALIZATION not in [found.verdict, *(note.verdict for note in found.notes)] or (
        "is worse on new images" in found.summary
    )


def test_one_bad_first_epoch_is_no_explosion() -> None:
    slow = history([8.8, 1.7, 1.12, *(1.1 - 0.004 * i for i in range(10))], [8.4, 1.6, 1.2, *[1.15] * 10], 0.35)
    assert diagnosed(slow, 3, 100).verdict == Verdict.NOT_LEARNING
    train, clean = [6.4, 4.3, 2.4, 1.6, 1.35, 1.3, 1.28, 1.26, 1.24, 1.23, 1.22], [2.7, 2.2, 1.8, 1.5, *[1.3] * 7]
    learnt = history(train, [loss + 0.1 for loss in clean], 0.4, clean=clean)
    assert diagnosed(learnt, 4).verdict != Verdict.DIVERGED


def test_losses_far_above_guessing_are_not_too_short() -> None:
    assert diagnosed(history([31.0, 44.0, 38.0, 35.0], [40.0, 33.0, 45.0, 36.0]), 2).verdict == Verdict.DIVERGED


def test_a_slow_steady_fall_from_chance_is_improving() -> None:
    losses = [2.6, 2.45, 2.37, 2.33, 2.31, 2.295, 2.285, 2.275, 2.266, 2.257, 2.249, 2.24]
    found = diagnosed(history(losses, losses, [0.09] * 4 + [0.1 + 0.02 * i for i in range(8)]), 10)
    assert found.verdict == Verdict.STILL_IMPROVING


def test_both_losses_rising_is_unstable() -> None:
    train = [1.6, 1.25, 1.14, 1.09, 1.12, 1.15, 1.18, 1.21, 1.24]
    val = [1.2, 1.0, 1.1, 0.95, 1.02, 1.05, 1.06, 1.08, 1.11]
    found = diagnosed(history(train, val, [0.57, 0.65, 0.59, 0.66, 0.62, 0.6, 0.6, 0.59, 0.58], seen=0.6), 10)
    assert (found.verdict, found.onset_epoch) == (Verdict.UNSTABLE, 4)
    assert "steps are too large" in found.summary


def test_a_wobble_at_the_floor_is_not_unstable() -> None:
    train = [1.0 * 0.6**i for i in range(10)] + [0.006, 0.008, 0.01, 0.013, 0.016, 0.02]
    val = [1.0, 0.7, 0.55, *(0.5 + 0.04 * i for i in range(13))]
    assert diagnosed(history(train, val, 0.8, seen=1.0), 10).verdict in OVERFITTED


def test_the_same_accuracy_in_each_epoch_is_a_stuck_model() -> None:
    train, val = [0.51, 0.503, 0.497, 0.494, 0.49, 0.489], [0.61, 0.59, 0.57, 0.55, 0.54, 0.525]
    found = diagnosed(history(train, val, 0.793), 2, 100)
    assert found.verdict == Verdict.NOT_LEARNING
    assert "79.3%" in found.summary
    moving = [0.74, 0.76, 0.78, 0.793, 0.8, 0.81]
    assert diagnosed(history(train, val, moving), 2, 100).verdict != Verdict.NOT_LEARNING


def test_the_end_of_five_epochs_shows_overfitting() -> None:
    found = diagnosed(
        history(
            [1.8, 1.8, 1.15, 0.85, 0.6],
            [1.4, 1.95, 1.45, 1.7, 2.75],
            0.4,
            seen=[0.26, 0.3, 0.5, 0.7, 0.8],
            clean=[1.4, 1.8, 1.2, 1.3, 1.6],
        ),
        4,
        50,
    )
    assert found.verdict in OVERFITTED
    assert "running statistics of normalization layers are out of date" in found.summary


def test_a_small_rise_beyond_its_paired_error_is_overconfident() -> None:
    val = [2.0 * 0.75**i + 0.08 for i in range(11)] + [0.168 + 0.0016 * i for i in range(21)]
    train = [2.0 * 0.7**i + 0.0005 for i in range(32)]
    epochs = history(train, val, 0.954, seen=1.0, clean=train, se=0.007)
    assert diagnosed(epochs, 10, 2500).verdict == Verdict.OVERCONFIDENT


def test_three_epochs_say_what_shows_so_far() -> None:
    found = diagnosed(history([2.2, 1.5, 0.9], [2.2, 1.6, 1.0], [0.3, 0.5, 0.7]), 10)
    assert found.verdict == Verdict.TOO_SHORT_TO_TELL
    assert "validation loss fell from 2.200 to 1.000" in found.summary


def test_wrong_labels_are_suspected_where_accuracy_falls_early() -> None:
    right = [0.5, 0.65, 0.72, 0.75, *(0.745 - 0.004 * i for i in range(26))]
    seen = [0.3 + 0.55 * (1 - math.exp(-i / 12)) for i in range(30)]
    train = [2.0 * 0.95**i for i in range(30)]
    val = [2.0, 1.5, 1.2, 1.1, *(1.1 + 0.03 * i for i in range(26))]
    assert "Wrong labels are likely" in diagnosed(history(train, val, right, seen), 10).summary
    assert "Wrong labels" not in diagnosed(history(train, val, 0.75, [0.99] * 30), 10).summary


@pytest.mark.parametrize("missing", ["train", "accuracy", "both"])
def test_a_rise_is_seen_without_other_measures(missing: str) -> None:
    val = [1.0, 0.8, 0.7, 0.65, 0.6, 0.6, *(0.62 + 0.05 * i for i in range(14))]
    train = None if missing in ("train", "both") else [2.0 * 0.75**i for i in range(20)]
    right = None if missing in ("accuracy", "both") else [0.8 - 0.01 * i for i in range(20)]
    found = diagnosed(history(train, val, right), 10)
    assert found.verdict in OVERFITTED
    assert "0.0%" not in found.summary
    assert ("accuracy is unknown" in found.summary) == (right is None)
    assert ("while training loss" in found.summary) == (train is not None)


def test_nothing_is_said_of_new_images_without_validation() -> None:
    found = diagnosed(history([2.0 * 0.8**i + 0.1 for i in range(12)] + [0.1] * 20), 10)
    verdicts = [found.verdict, *(note.verdict for note in found.notes)]
    assert not {*OVERFITTED, Verdict.HEALTHY, Verdict.STAGNANT_GENERALIZATION} & set(verdicts)
    assert "Without validation losses" in found.summary
    assert diagnosed(history([2.3, 2.31, 2.3, 2.29, 2.3, 2.31, 2.3, 2.3]), 10).verdict == Verdict.NOT_LEARNING


def test_validation_in_every_fifth_epoch_is_no_divergence() -> None:
    train = [2.0 * 0.93**i for i in range(50)]
    val = [2.1 * 0.93**i if i % 5 == 4 else None for i in range(50)]
    assert diagnosed(history(train, val, 0.7), 10).verdict == Verdict.STILL_IMPROVING


def test_losses_that_are_not_finite_in_between_are_forgiven() -> None:
    losses = [2.0 * 0.8**i + 0.1 for i in range(20)]
    broken = [math.nan if i == 7 else loss for i, loss in enumerate(losses)]
    assert diagnosed(history(broken, losses, 0.9), 10).verdict != Verdict.DIVERGED
    ended = history([*losses, math.nan], [*losses, math.nan], 0.9)
    assert diagnosed(ended, 10).onset_epoch == 21


def test_a_plain_rise_in_four_epochs_is_overfitting() -> None:
    found = diagnosed(history([0.5, 0.3, 0.18, 0.1], [0.45, 0.5, 0.58, 0.7], [0.8, 0.8, 0.79, 0.78], seen=0.95), 2)
    assert found.verdict in OVERFITTED
    assert "rose from 0.450" in found.summary
    assert found.confidence <= 0.8
    wavering = diagnosed(history([0.5, 0.3, 0.18, 0.1], [0.45, 0.5, 0.44, 0.47], 0.8, seen=0.85), 2)
    assert wavering.verdict == Verdict.TOO_SHORT_TO_TELL


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_epochs_say_nothing_of_the_curves(count: int) -> None:
    found = diagnosed(history([2.35, 2.33][:count], [2.36, 2.34][:count], 0.1), 10)
    assert (found.verdict, found.notes) == (Verdict.TOO_SHORT_TO_TELL, ())
    few = diagnosed(history([2.35, 2.33][:count], [2.36, 2.34][:count], 0.1), 10, 20)
    assert [note.verdict for note in few.notes] == [Verdict.SMALL_VALIDATION]


def test_numbers_that_differ_do_not_print_alike() -> None:
    assert "validation loss fell from 1.0004 to 1.0003" in diagnosed(history([1.2, 1.1], [1.0004, 1.0003]), 10).summary
    assert "validation loss stayed at 1.000" in diagnosed(history([1.2, 1.1], [1.0, 1.0000001]), 10).summary


def test_accuracy_that_holds_is_said_to_hold() -> None:
    val = [1.0, 0.7, 0.5, 0.4, *(0.4 + 0.02 * i for i in range(12))]
    train = [0.9 * 0.7**i for i in range(16)]
    assert "and accuracy stayed at 90.0%" in diagnosed(history(train, val, 0.9, seen=0.99), 10).summary
