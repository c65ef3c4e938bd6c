"""The rules: each looks at a curve and says what it finds, or nothing. Their order is that of their weight.

That training further is useless is never said: test loss can fall again after it has risen (epoch-wise double descent:
Nakkiran et al., "Deep Double Descent", 2020).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from service.core.diagnosis.curves import Curve, level, share
from service.core.diagnosis.measures import (
    generalization_loss,
    progress_quotient,
    smoothed,
    successive_rises,
    theil_sen,
    training_progress,
)
from service.core.diagnosis.thresholds import Rules
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, confidence
from service.core.records.facts import Facts

LEAST_AFTER = 3  # epochs after the lowest loss, before a rise or a loss of what was learnt is one
ACCURACY_SE = 0.01  # where the number of validation images is not known


@dataclass(frozen=True)
class View:
    """What the rules look at. `guess` is the loss of guessing, in nats; `stop_reason` is None while the run goes on,
    and `monitor` what early stopping watches.
    """

    curve: Curve
    facts: Facts | None
    guess: float
    stop_reason: str | None
    rules: Rules
    monitor: str = "val_loss"

    @property
    def validation_images(self) -> int | None:
        return self.facts.images.get("validation") if self.facts else None

    @property
    def known(self) -> float:
        """The share of the validation images that are right at the end, beyond what guessing would have right."""
        guessed = self.facts.trivial_accuracy if self.facts else 0.0
        return (share(self.curve.accuracy) - guessed) / max(1e-9, 1 - guessed)

    @property
    def rise(self) -> float:
        """By how much validation loss is above its lowest level at the end, in nats; zero where that was just reached,
        since what came before is none of the end.
        """
        return self.end - self.curve.smooth_val[self.curve.turn] if self.has_turned else 0.0

    @property
    def has_turned(self) -> bool:
        """Whether enough epochs have passed since the lowest level to tell what came after it."""
        return len(self.curve) - 1 - self.curve.turn >= LEAST_AFTER

    @property
    def end(self) -> float:
        """Validation loss at the end, in nats."""
        return level(self.curve.val[self.curve.turn + 1 :] if self.has_turned else self.curve.val)

    @property
    def noticeable(self) -> float:
        """What a rise must be above: its noise and the luck of the lowest level, and worth a word."""
        curve, rules = self.curve, self.rules
        lowest = curve.smooth_val[curve.turn]
        return max(rules.noise * curve.noise + curve.luck, rules.notable * lowest, rules.worth * self.guess)

    @property
    def gap(self) -> float:
        """By how much validation loss is above training loss at the end, in nats."""
        return level(self.curve.val) - level(self.curve.fit)


def diverged(view: View) -> Finding | None:
    """A loss that is not finite, a stop for that reason, losses that exploded, or learning that was lost again."""
    curve = view.curve
    if curve.broken_at is not None:
        meaning = "the epoch whose loss was not a finite number"
        return Finding(
            Verdict.DIVERGED, 0.99, curve.broken_at, (Evidence("not_finite", curve.broken_at, None, meaning),)
        )
    if view.stop_reason == "diverged" and len(curve):
        evidence = Evidence("val_loss_at_end", curve.val[-1], None, "worse than divergence_threshold allows")
        return Finding(Verdict.DIVERGED, 0.99, curve.epochs[-1], (evidence,))
    if len(curve) < 2:  # noqa: PLR2004 - nothing has changed yet
        return None
    return _exploded(view) or _lost_again(view)


def _exploded(view: View) -> Finding | None:
    curve, rules, guess = view.curve, view.rules, view.guess
    highest, last, limit = max(curve.train), level(curve.fit), rules.explosion * guess
    recovers = last <= rules.learnt * guess or (last < guess and curve.fallen(curve.fit) >= rules.improves)
    if highest <= limit or recovers or len(curve) < rules.least_epochs:
        return None
    at = next(i for i, loss in enumerate(curve.train) if loss > limit)
    evidence = (
        Evidence("highest_train_loss", highest, limit, "training loss was many times what guessing scores"),
        Evidence("train_loss_at_end", last, rules.learnt * guess, "and it has not come down from there"),
    )
    return Finding(Verdict.DIVERGED, confidence(highest / limit), curve.epochs[at], evidence)


def _lost_again(view: View) -> Finding | None:
    curve, rules, guess = view.curve, view.rules, view.guess
    lowest = min(range(len(curve)), key=curve.fit.__getitem__)
    if len(curve) - 1 - lowest < LEAST_AFTER:
        return None
    least, last = curve.fit[lowest], level(curve.fit[lowest + 1 :])
    lost = (last - least) / (guess - least) if least < guess else 0.0
    if least >= rules.learnt * guess or lost < rules.lost_again:
        return None
    onset = next((i for i in range(lowest, len(curve)) if curve.fit[i] > (least + last) / 2), lowest)
    evidence = (
        Evidence("lowest_train_loss", least, rules.learnt * guess, "training loss had come down"),
        Evidence("lost", lost, rules.lost_again, "share of that which was lost again"),
    )
    return Finding(Verdict.DIVERGED, confidence(lost / rules.lost_again), curve.epochs[onset], evidence)


def too_short(view: View) -> Finding | None:
    count, least = len(view.curve), view.rules.least_epochs
    if count >= least:
        return None
    return Finding(
        Verdict.TOO_SHORT_TO_TELL, 0.99, None, (Evidence("epochs", count, least, "fewer epochs show no trend"),)
    )


def leakage(view: View) -> Finding | None:
    """Copies on both sides of the split, or validation images that are easier than the training images themselves."""
    curve, rules, facts = view.curve, view.rules, view.facts
    if facts and facts.images.get("validation"):
        copied = facts.copies_across / facts.images["validation"]
        if copied >= rules.copies:
            meaning = "share of the validation images that have a copy among the training images"
            evidence = (Evidence("copies_across", copied, rules.copies, meaning),)
            return Finding(Verdict.SUSPECTED_LEAKAGE, confidence(copied / rules.copies), None, evidence)
    if not curve.is_clean or not curve.val_se:
        return None
    below = -view.gap / math.hypot(curve.val_se, curve.jumps)
    if below < rules.easier or -view.gap < rules.notable * level(curve.fit):
        return None
    meaning = "by how many times its noise validation loss is below the training loss that is scored in the same way"
    return Finding(
        Verdict.SUSPECTED_LEAKAGE, confidence(below / rules.easier), None,
        (Evidence("validation_easier", below, rules.easier, meaning),),
    )  # fmt: skip


def not_learning(view: View) -> Finding | None:
    curve, limit = view.curve, view.rules.guessing * view.guess
    lowest = min(smoothed(curve.fit))
    if lowest < limit or curve.fallen(curve.fit) >= view.rules.improves:
        return None
    return _no_better_than_guessing(view, lowest)


def _no_better_than_guessing(view: View, lowest: float) -> Finding:
    limit = view.rules.guessing * view.guess
    meaning = "the lowest training loss, against what guessing by the labels' frequencies scores"
    return Finding(
        Verdict.NOT_LEARNING, confidence(1 + 10 * (lowest / limit - 1)), None,
        (Evidence("train_loss", lowest, limit, meaning), Evidence("guessing", view.guess, None, "loss of guessing")),
    )  # fmt: skip


def overfitting(view: View) -> Finding | None:
    """Validation loss has risen beyond its noise since its turn while training loss went on falling.

    It is overfitting where accuracy has fallen too, or is not above guessing, and overconfidence where accuracy holds.
    """
    curve, rules = view.curve, view.rules
    turn = curve.turn
    rise, needed, fall = view.rise, view.noticeable, _train_fall(curve, turn)
    is_apart = view.gap / view.guess >= rules.wide_gap and fall > -rules.flat  # at its floor, it cannot fall on
    if rise <= needed or not (fall >= rules.train_fall or is_apart):
        return None
    evidence = (
        Evidence("val_rise", rise, needed, "validation loss above its lowest level, against its noise and luck"),
        Evidence("train_fall", fall, rules.train_fall, "share of training loss that was lost since then"),
        Evidence("val_slope", theil_sen(curve.val[turn:]), None, "of validation loss since its turn, nats an epoch"),
        Evidence("generalization_loss", generalization_loss(curve.val), None, "Prechelt's GL, percent"),
        Evidence("training_progress", training_progress(curve.fit), None, "Prechelt's P_5, per mille"),
        Evidence("progress_quotient", _finite(progress_quotient(curve.val, curve.fit)), None, "Prechelt's PQ"),
        Evidence("successive_rises", successive_rises(curve.val), None, "Prechelt's UP, strips of 5 epochs"),
    )
    lost, error = share(curve.accuracy, turn) - share(curve.accuracy), _accuracy_se(view, turn)
    meaning = "accuracy lost since the turn, against its standard error"
    accuracy_fall = Evidence("accuracy_fall", lost, rules.accuracy_falls * error, meaning)
    at_chance = view.facts is not None and share(curve.accuracy) < view.facts.trivial_accuracy + 3 * error
    falls = lost > rules.accuracy_falls * error or at_chance
    verdict = Verdict.OVERFITTING if falls else Verdict.OVERCONFIDENT
    return Finding(
        verdict, confidence(rise / needed, fall / rules.train_fall), curve.epochs[turn], (*evidence, accuracy_fall)
    )


def noisy(view: View) -> Finding | None:
    curve, rules = view.curve, view.rules
    relative = curve.jumps / level(curve.val, curve.third) if level(curve.val, curve.third) else 0.0
    if (
        relative < rules.jumps
        or curve.jumps < rules.worth * view.guess
        or len(curve) - curve.half < rules.jumping_epochs
    ):
        return None
    meaning = "validation loss from one epoch to the next, as a share of it"
    return Finding(
        Verdict.NOISY_VALIDATION, confidence(relative / rules.jumps), None,
        (Evidence("jumps", relative, rules.jumps, meaning),),
    )  # fmt: skip


def small(view: View) -> Finding | None:
    images, few = view.validation_images, view.rules.few_images
    if not images or images >= few:
        return None
    evidence = [Evidence("validation_images", images, few, "fewer say little, whatever they say")]
    if view.curve.val_se is not None:
        evidence.append(Evidence("val_loss_se", view.curve.val_se, None, "standard error of validation loss, nats"))
    return Finding(Verdict.SMALL_VALIDATION, confidence(few / images), None, tuple(evidence))


def improving(view: View) -> Finding | None:
    curve, rules = view.curve, view.rules
    fallen = curve.fallen(curve.val)
    fall = curve.fall(curve.val)
    beyond = fall > max(rules.noise * curve.jumps, rules.worth * view.guess)
    at_end = curve.turn >= len(curve) - 1 - max(2, len(curve) // 10)
    is_exhausted = view.stop_reason == "early_stopping" and view.monitor == "val_loss"
    if fallen < rules.improves or not beyond or not at_end or is_exhausted:
        return None
    evidence = (
        Evidence("val_fall", fallen, rules.improves, "share of validation loss that the last third took off"),
        Evidence("val_slope", theil_sen(curve.val[curve.third :]), None, "in the last third, nats an epoch"),
    )
    return Finding(Verdict.STILL_IMPROVING, confidence(fallen / rules.improves), None, evidence)


def stagnant(view: View) -> Finding | None:
    """Validation loss has been flat since some epoch while training loss, well below it, went on falling."""
    found = _apart(view)
    falls = (
        found is not None and next(e.value for e in found.evidence if e.name == "train_fall") >= view.rules.train_fall
    )
    is_long = found is not None and view.curve.epochs[-1] - (found.onset_epoch or 0) >= view.rules.least_epochs
    return found if falls and is_long else None


def _apart(view: View) -> Finding | None:
    """Validation loss stands well above training loss."""
    curve, rules = view.curve, view.rules
    reached = curve.smooth_val[curve.turn] + max(curve.noise, rules.notable * curve.smooth_val[curve.turn])
    since = next(i for i, loss in enumerate(curve.smooth_val) if loss <= reached)
    gap, fall = view.gap / view.guess, _train_fall(curve, since)
    if gap < rules.wide_gap or view.rise > view.noticeable:
        return None
    evidence = (
        Evidence("train_fall", fall, rules.train_fall, "share of training loss that was lost since then"),
        Evidence("val_change", level(curve.val) - curve.smooth_val[since], None, "validation loss since then, nats"),
        Evidence("noise", rules.noise * curve.noise, None, "smaller changes of validation loss may be chance, nats"),
        Evidence("gap", gap, rules.wide_gap, "validation loss above training loss, as a share of guessing's loss"),
    )
    return Finding(
        Verdict.STAGNANT_GENERALIZATION, confidence(gap / rules.wide_gap, fall / rules.train_fall),
        curve.epochs[since], evidence,
    )  # fmt: skip


def underfitting(view: View) -> Finding | None:
    curve, rules = view.curve, view.rules
    high, falls = level(curve.fit) / view.guess, curve.fallen(curve.fit)
    if high < rules.stuck or not -rules.flat <= falls <= rules.flat or view.known > rules.known:
        return None
    evidence = (
        Evidence("train_loss", high, rules.stuck, "training loss as a share of guessing's loss"),
        Evidence("train_fall", falls, rules.flat, "share of it that the last third took off"),
        Evidence("known", view.known, rules.known, "share of validation images right, beyond what guessing has right"),
    )
    return Finding(Verdict.UNDERFITTING, confidence(high / rules.stuck), None, evidence)


def handicapped(view: View) -> Finding | None:
    """Dropout, augmentation, mixing and smoothing raise the loss that is measured while training, not the clean one."""
    curve, rules = view.curve, view.rules
    train, val = level(curve.train), level(curve.val)
    times = train / level(curve.fit) if curve.is_clean and level(curve.fit) else train / val if val else 0.0
    if train <= val + rules.noise * (curve.val_se or 0.0) or times < rules.handicap:
        return None
    evidence = [
        Evidence("train_loss", train, val, "as weights move, against validation loss"),
        Evidence("handicap", times, rules.handicap, "how many times the loss without handicaps that is"),
    ]
    if curve.is_clean:
        meaning = "training images scored as validation images are"
        evidence.append(Evidence("train_loss_clean", level(curve.fit), None, meaning))
    return Finding(Verdict.TRAIN_ABOVE_VALIDATION, confidence(times / rules.handicap), None, tuple(evidence))


def healthy(view: View) -> Finding:
    curve, rules = view.curve, view.rules
    gap, reached = view.gap / view.guess, level(curve.val) / view.guess
    evidence = (
        Evidence("gap", gap, rules.wide_gap, "validation loss above training loss, as a share of guessing's loss"),
        Evidence("val_loss", reached, rules.guessing, "validation loss as a share of guessing's loss"),
    )
    return Finding(Verdict.HEALTHY, confidence(rules.wide_gap / max(gap, 1e-9)), None, evidence)


IN_ORDER: tuple[Callable[[View], Finding | None], ...] = (
    leakage, not_learning, overfitting, noisy, small, improving, stagnant, underfitting, handicapped,
)  # fmt: skip


def findings(view: View) -> tuple[Finding, ...]:
    """What the curve shows, the weightiest first; at least one."""
    if first := diverged(view) or too_short(view):
        return (first,)
    found = tuple(finding for rule in IN_ORDER if (finding := rule(view)))
    return found or (_rest(view),)


def _rest(view: View) -> Finding:
    """What no rule has anything to say of is healthy, unless it got worse, its losses are apart, or no better than
    guessing.
    """
    curve, rules = view.curve, view.rules
    if level(curve.fit) >= rules.guessing * view.guess:
        return _no_better_than_guessing(view, level(curve.fit))
    if view.rise > view.noticeable:
        evidence = Evidence("val_rise", view.rise, view.noticeable, "validation loss above its lowest level")
        return Finding(Verdict.DIVERGED, confidence(view.rise / view.noticeable), curve.epochs[curve.turn], (evidence,))
    return _apart(view) or healthy(view)


def _train_fall(curve: Curve, since: int) -> float:
    before = level(curve.fit, since)
    return 1 - level(curve.fit) / before if before > 0 else 0.0


def _accuracy_se(view: View, at: int) -> float:
    images, right = view.validation_images, share(view.curve.accuracy, at)
    return math.sqrt(max(right * (1 - right), 1 / images) / images) if images else ACCURACY_SE


def _finite(value: float) -> float:
    """JSON has no infinity."""
    return min(value, 1e9)
