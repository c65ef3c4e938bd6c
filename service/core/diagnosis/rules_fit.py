"""Rules on how well a model fits: its training images, and images that it has not seen."""

import math

from service.core.diagnosis.curves import Curve, level, share
from service.core.diagnosis.measures import (
    generalization_loss,
    progress_quotient,
    smoothed,
    successive_rises,
    theil_sen,
    training_progress,
)
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, confidence
from service.core.diagnosis.view import RunView

ACCURACY_SE = 0.01  # the standard error to assume where the number of validation images is unknown


def not_learning(view: RunView) -> Finding | None:
    curve, limit = view.curve, view.rules.guessing * view.guess
    lowest = min(smoothed(curve.fit))
    if lowest < limit or curve.fallen(curve.fit) >= view.rules.improves:
        return None
    return no_better_than_guessing(view, lowest)


def no_better_than_guessing(view: RunView, lowest: float) -> Finding:
    limit = view.rules.guessing * view.guess
    meaning = "lowest training loss, against the loss of guessing by the labels' frequencies"
    evidence = (Evidence("train_loss", lowest, limit, meaning), Evidence("guessing", view.guess, None, "guessing loss"))
    return Finding(Verdict.NOT_LEARNING, confidence(1 + 10 * (lowest / limit - 1)), None, evidence)


def overfitting(view: RunView) -> Finding | None:
    """Validation loss has risen beyond its noise since its minimum while training loss went on falling.

    It is overfitting if accuracy fell too or is no better than guessing, and overconfidence if accuracy held.
    """
    curve, rules = view.curve, view.rules
    turn = curve.turn
    rise, needed, fall = view.rise, view.noticeable, _train_fall(curve, turn)
    isapart = view.gap / view.guess >= rules.wide_gap and fall > -rules.flat  # at its floor, it cannot fall on
    if rise <= needed or not (fall >= rules.train_fall or isapart):
        return None
    evidence = (
        Evidence("val_rise", rise, needed, "validation loss above its lowest level, against noise"),
        Evidence("train_fall", fall, rules.train_fall, "share that training loss has fallen since then"),
        Evidence(
            "val_slope", theil_sen(curve.val[turn:]), None, "slope of validation loss since its minimum, nats an epoch"
        ),
        Evidence("generalization_loss", generalization_loss(curve.val), None, "Prechelt's GL, percent"),
        Evidence("training_progress", training_progress(curve.fit), None, "Prechelt's P_5, per mille"),
        Evidence("progress_quotient", _finite(progress_quotient(curve.val, curve.fit)), None, "Prechelt's PQ"),
        Evidence("successive_rises", successive_rises(curve.val), None, "Prechelt's UP, strips of 5 epochs"),
    )
    lost, error = share(curve.accuracy, turn) - share(curve.accuracy), _accuracy_se(view, turn)
    meaning = "accuracy lost since the minimum, against its standard error"
    accuracy_fall = Evidence("accuracy_fall", lost, rules.accuracy_falls * error, meaning)
    at_chance = view.facts is not None and share(curve.accuracy) < view.facts.trivial_accuracy + 3 * error
    falls = lost > rules.accuracy_falls * error or at_chance
    verdict = Verdict.OVERFITTING if falls else Verdict.OVERCONFIDENT
    return Finding(
        verdict, confidence(rise / needed, fall / rules.train_fall), curve.epochs[turn], (*evidence, accuracy_fall)
    )


def improving(view: RunView) -> Finding | None:
    curve, rules = view.curve, view.rules
    fallen = curve.fallen(curve.val)
    fall = curve.fall(curve.val)
    beyond = fall > max(rules.noise * curve.jumps, rules.worth * view.guess)
    at_end = curve.turn >= len(curve) - 1 - max(2, len(curve) // 10)
    is_exhausted = view.stop_reason == "early_stopping" and view.monitor == "val_loss"
    if fallen < rules.improves or not beyond or not at_end or is_exhausted:
        return None
    evidence = (
        Evidence("val_fall", fallen, rules.improves, "share that validation loss fell in the last third"),
        Evidence("val_slope", theil_sen(curve.val[curve.third :]), None, "slope in the last third, nats an epoch"),
    )
    return Finding(Verdict.STILL_IMPROVING, confidence(fallen / rules.improves), None, evidence)


def stagnant(view: RunView) -> Finding | None:
    """Validation loss has been flat for at least `least_epochs` while training loss, well below it, went on falling."""
    finding = apart(view)
    if finding is None:
        return None
    fall = next(evidence.value for evidence in finding.evidence if evidence.name == "train_fall")
    is_long = view.curve.epochs[-1] - (finding.onset_epoch or 0) >= view.rules.least_epochs
    return finding if fall >= view.rules.train_fall and is_long else None


def apart(view: RunView) -> Finding | None:
    """Validation loss is well above training loss and does not rise noticeably."""
    curve, rules = view.curve, view.rules
    reached = curve.smooth_val[curve.turn] + max(curve.noise, rules.notable * curve.smooth_val[curve.turn])
    since = next(i for i, loss in enumerate(curve.smooth_val) if loss <= reached)
    gap, fall = view.gap / view.guess, _train_fall(curve, since)
    if gap < rules.wide_gap or view.rise > view.noticeable:
        return None
    evidence = (
        Evidence("train_fall", fall, rules.train_fall, "share that training loss has fallen since then"),
        Evidence(
            "val_change", level(curve.val) - curve.smooth_val[since], None, "change of validation loss since then, nats"
        ),
        Evidence("noise", rules.noise * curve.noise, None, "smaller changes of validation loss may be chance, nats"),
        Evidence("gap", gap, rules.wide_gap, "validation loss minus training loss, as a share of the guessing loss"),
    )
    sure = confidence(gap / rules.wide_gap, fall / rules.train_fall)
    return Finding(Verdict.STAGNANT_GENERALIZATION, sure, curve.epochs[since], evidence)


def underfitting(view: RunView) -> Finding | None:
    curve, rules = view.curve, view.rules
    high, falls = level(curve.fit) / view.guess, curve.fallen(curve.fit)
    if high < rules.stuck or not -rules.flat <= falls <= rules.flat or view.known > rules.known:
        return None
    evidence = (
        Evidence("train_loss", high, rules.stuck, "training loss as a share of the guessing loss"),
        Evidence("train_fall", falls, rules.flat, "share that it fell in the last third"),
        Evidence("known", view.known, rules.known, "validation accuracy, corrected for chance"),
    )
    return Finding(Verdict.UNDERFITTING, confidence(high / rules.stuck), None, evidence)


def handicapped(view: RunView) -> Finding | None:
    """Training loss is above validation loss only because dropout, augmentation, mixing or smoothing raise it."""
    curve, rules = view.curve, view.rules
    train, val = level(curve.train), level(curve.val)
    times = train / level(curve.fit) if curve.is_clean and level(curve.fit) else train / val if val else 0.0
    if train <= val + rules.noise * (curve.val_se or 0.0) or times < rules.handicap:
        return None
    evidence = [
        Evidence("train_loss", train, val, "measured during training, against validation loss"),
        Evidence(
            "handicap", times, rules.handicap, "ratio to the loss without dropout, augmentation, mixing and smoothing"
        ),
    ]
    if curve.is_clean:
        meaning = "training images scored as validation images are"
        evidence.append(Evidence("train_loss_clean", level(curve.fit), None, meaning))
    return Finding(Verdict.TRAIN_ABOVE_VALIDATION, confidence(times / rules.handicap), None, tuple(evidence))


def healthy(view: RunView) -> Finding:
    curve, rules = view.curve, view.rules
    gap, reached = view.gap / view.guess, level(curve.val) / view.guess
    evidence = (
        Evidence("gap", gap, rules.wide_gap, "validation loss minus training loss, as a share of the guessing loss"),
        Evidence("val_loss", reached, rules.guessing, "validation loss as a share of the guessing loss"),
    )
    return Finding(Verdict.HEALTHY, confidence(rules.wide_gap / max(gap, 1e-9)), None, evidence)


def _train_fall(curve: Curve, since: int) -> float:
    before = level(curve.fit, since)
    return 1 - level(curve.fit) / before if before > 0 else 0.0


def _accuracy_se(view: RunView, at: int) -> float:
    images, right = view.validation_images, share(view.curve.accuracy, at)
    return math.sqrt(max(right * (1 - right), 1 / images) / images) if images else ACCURACY_SE


def _finite(value: float) -> float:
    """JSON has no infinity."""
    return min(value, 1e9)
