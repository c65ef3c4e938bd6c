"""Rules on how well a model does on images that it has not seen, compared with its training images."""

import math
from itertools import pairwise

from service.core.diagnosis.curves import SHORT, VERY_SHORT, Curve
from service.core.diagnosis.measures import (
    generalization_loss,
    progress_quotient,
    successive_rises,
    theil_sen,
    training_progress,
)
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import RunView

ACCURACY_SE = 0.01  # the standard error to assume where the number of validation images is unknown
LATE_FIT = 0.9  # suspected wrong labels: training accuracy was below this when validation accuracy was highest
PLAIN_RISE, PLAIN_FALL = 0.15, 0.25  # shares of validation and training loss that a few epochs show without a test
LEAST_RISES = 2  # in a row
MOST_LOOKS = 1_000  # epochs at which a measure of a long run is looked at
EARLY = 0.5  # and validation accuracy was highest in this share of the run


def overfitting(view: RunView) -> Finding | None:
    """Validation loss has risen beyond its noise since its minimum while training loss went on falling, or it is above
    that of guessing although the training images are known.

    It is overfitting if accuracy fell too, is far below that of training or no better than guessing, and
    overconfidence if accuracy held.
    """
    curve, rules = view.curve, view.rules
    if not curve.has_val or len(curve) < 2:  # noqa: PLR2004 - nothing has changed yet
        return None
    rise, needed, fall = view.rise, view.noticeable, train_fall(curve, curve.turn)
    is_apart = view.gap / view.guess >= rules.wide_gap and (fall > -rules.flat or view.learnt)  # a floor ends a fall
    is_unseen = not curve.has_train
    ratio = rise / needed
    if rise <= needed or not (fall >= rules.train_fall or is_apart or is_unseen):
        ratio = max(_above_guessing(view), _rise_of_few(view))
        if ratio <= 1:
            return None
    onset = curve.epochs[curve.turn] if view.has_turned else None
    evidence = (*_measured(view, fall), *(accuracy := _accuracy(view)))
    falls = any(each.threshold is not None and each.value > each.threshold for each in accuracy) or not accuracy
    verdict = Verdict.OVERFITTING if falls else Verdict.OVERCONFIDENT
    if (plain := _rise_of_few(view)) > 1:
        return Finding(verdict, clarity(plain), curve.epochs[curve.turn], evidence)
    sure = clarity(ratio, max(1.0, 1 + fall) if is_apart else fall / rules.train_fall)
    return Finding(verdict, sure, onset, evidence)


def _above_guessing(view: RunView) -> float:
    """Validation loss in all of the last epochs over that of guessing, where the training images are known; else 0."""
    curve = view.curve
    if not (view.learnt and view.knows_guessing and curve.has_train):
        return 0.0
    return min(curve.val[-(2 if len(curve) < SHORT else curve.strip) :]) / view.guess


def _rise_of_few(view: RunView) -> float:
    """The rise of validation loss in fewer than VERY_SHORT epochs, over a plain one; 0 if it is not all one way.

    It rises in each of at least two epochs up to the last one, while training loss falls in each.
    """
    curve = view.curve
    rises, falls = curve.val[curve.lowest :], curve.train[curve.lowest :]
    is_one_way = all(b > a for a, b in pairwise(rises)) and all(b < a for a, b in pairwise(falls))
    if len(curve) >= VERY_SHORT or len(rises) <= LEAST_RISES or not is_one_way or not curve.has_train:
        return 0.0
    if falls[-1] > (1 - PLAIN_FALL) * falls[0]:
        return 0.0
    least, noise = PLAIN_RISE * rises[0], view.rules.noise * curve.image_noise
    return (rises[-1] - rises[0]) / max(least, noise, view.rules.wide_gap * view.guess)


def _measured(view: RunView, fall: float) -> list[Evidence]:
    curve, rules = view.curve, view.rules
    slope = theil_sen(curve.val[curve.turn :])
    return [
        Evidence(
            "val_rise",
            view.rise,
            view.noticeable,
            "rise of validation loss above its lowest value, compared with noise, nats",
        ),
        Evidence("val_loss", view.end / view.guess, None, "validation loss as a share of the guessing loss"),
        Evidence("train_fall", fall, rules.train_fall, "share by which training loss has fallen since then"),
        Evidence("val_slope", slope, None, "slope of validation loss since its minimum, nats per epoch"),
        Evidence("generalization_loss", generalization_loss(curve.val), None, "Prechelt's GL, percent"),
        Evidence("training_progress", training_progress(curve.fit), None, "Prechelt's P_5, per mille"),
        Evidence("progress_quotient", progress_quotient(curve.val, curve.fit), None, "Prechelt's PQ"),
        Evidence("successive_rises", successive_rises(curve.val), None, "Prechelt's UP, strips of 5 epochs"),
    ]


def _accuracy(view: RunView) -> list[Evidence]:
    """What is known of accuracy; a value above its threshold means that images are guessed worse, not only surer."""
    curve, rules, turn = view.curve, view.rules, view.curve.turn
    last, then, seen = curve.share(curve.accuracy), curve.share(curve.accuracy, turn), curve.share(curve.train_accuracy)
    found = []
    if last is not None and then is not None:
        error = _accuracy_se(view, then)
        meaning = "fall of accuracy since the minimum of the loss, compared with its standard error"
        found.append(Evidence("accuracy_fall", then - last, rules.accuracy_falls * error, meaning))
        if view.facts and last < view.facts.trivial_accuracy + 3 * error:
            meaning = "accuracy of guessing plus three standard errors, compared with the accuracy at the end"
            found.append(Evidence("at_chance", view.facts.trivial_accuracy + 3 * error, last, meaning))
    if last is not None and seen is not None:
        found.append(Evidence("accuracy_gap", seen - last, rules.accuracy_gap, "training minus validation accuracy"))
    return found


def suspects_labels(view: RunView) -> bool:
    """Whether wrong labels are likely: validation accuracy was highest early and fell, while the training images were
    learnt slowly. Right labels are learnt first: Arpit et al., "A Closer Look at Memorization" (2017).
    """
    curve = view.curve
    looked_at = range(0, len(curve), -(-len(curve) // MOST_LOOKS))
    right = [(share, i) for i in looked_at if (share := curve.share(curve.accuracy, i)) is not None]
    if len(right) < view.rules.jumping_epochs:
        return False
    highest, at = max(right, key=lambda pair: (pair[0], -pair[1]))
    then, seen, last = curve.share(curve.train_accuracy, at), curve.share(curve.train_accuracy), right[-1][0]
    if then is None or seen is None:
        return False
    lost = max(view.rules.label_noise, 2 * _accuracy_se(view, highest))
    return (
        at < EARLY * len(curve) and highest - last > lost and then < LATE_FIT and seen > then + view.rules.label_noise
    )


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
    if not (curve.has_train and curve.has_val):
        return None
    reached = curve.smooth_val[curve.turn] + max(curve.noise, rules.notable * curve.smooth_val[curve.turn])
    since = curve.recent if view.is_left_behind else curve.first_at(reached)
    gap, fall = view.gap / view.guess, train_fall(curve, since)
    is_wide = gap >= rules.wide_gap and view.gap >= rules.own_gap * curve.level(curve.fit)
    if not is_wide or view.rise > view.noticeable:
        return None
    change = curve.level(curve.val) - curve.smooth_val[since]
    evidence = (
        Evidence("train_fall", fall, rules.train_fall, "share by which training loss has fallen since then"),
        Evidence("val_change", change, None, "change of validation loss since then, nats"),
        Evidence("noise", rules.noise * curve.noise, None, "smaller changes of validation loss may be chance, nats"),
        Evidence("gap", gap, rules.wide_gap, "validation loss minus training loss, as a share of the guessing loss"),
    )
    sure = clarity(gap / rules.wide_gap, fall / rules.train_fall)
    return Finding(Verdict.STAGNANT_GENERALIZATION, sure, curve.epochs[since], evidence)


def handicapped(view: RunView) -> Finding | None:
    """Training loss is above validation loss only because dropout, augmentation, mixing or smoothing raise it."""
    curve, rules = view.curve, view.rules
    train, val, fit = curve.level(curve.train), curve.level(curve.val), curve.level(curve.fit)
    times = train / fit if curve.is_clean and fit else train / val if val else 0.0
    if train <= val + rules.noise * (curve.val_se or 0.0) or times < rules.handicap:
        return None
    evidence = [
        Evidence(
            "train_loss", train, val, "training loss with dropout and augmentation, compared with validation loss"
        ),
        Evidence(
            "handicap", times, rules.handicap, "ratio to the loss without dropout, augmentation, mixing and smoothing"
        ),
    ]
    if curve.is_clean:
        evidence.append(
            Evidence(
                "train_loss_clean", fit, None, "clean training loss: training images scored like validation images"
            )
        )
    return Finding(Verdict.TRAIN_ABOVE_VALIDATION, clarity(times / rules.handicap), None, tuple(evidence))


def healthy(view: RunView) -> Finding:
    curve, rules = view.curve, view.rules
    gap, reached = view.gap / view.guess, curve.level(curve.val) / view.guess
    evidence = (
        Evidence("gap", gap, rules.wide_gap, "validation loss minus training loss, as a share of the guessing loss"),
        Evidence("val_loss", reached, rules.guessing, "validation loss as a share of the guessing loss"),
    )
    return Finding(Verdict.HEALTHY, clarity(rules.wide_gap / max(gap, 1e-9)), None, evidence)


def train_fall(curve: Curve, since: int) -> float:
    """The share that training loss has fallen since an index; negative if it rose."""
    before = curve.level(curve.fit, since)
    return 1 - curve.level(curve.fit) / before if before > 0 else 0.0


def _accuracy_se(view: RunView, right: float) -> float:
    images = view.validation_images
    return math.sqrt(max(right * (1 - right), 1 / images) / images) if images else ACCURACY_SE
