"""Rules on how stable a run is: whether it diverged, or its losses rise or jump, and whether it is long enough."""

import math
from itertools import pairwise
from statistics import median

from service.core.diagnosis.curves import SHORT
from service.core.diagnosis.measures import smoothed
from service.core.diagnosis.trends import rising_chance
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import LEAST_AFTER, RunView

WILD = 25.0  # times the guessing loss, or the limit of an explosion: beyond all measure
FALLING_TO = 0.6  # high losses that fall to this share of their first epochs and never rise are on their way down
OUTWEIGHS = 4.0  # times the jumps: a steady fall that makes them unimportant
TOGETHER = 0.5  # of the rise of validation loss: training loss rises with it, not by a wobble at its floor
LEAST_GUESS = math.log(2)  # of an explosion: losses are near it where one class has nearly all images, and no more
DEAD = 0.99  # of the guessing loss: after an explosion, nothing is left


def diverged(view: RunView) -> Finding | None:
    """A loss that is not finite, a stop by divergence_threshold, exploded losses, or progress that was lost again."""
    curve = view.curve
    if curve.broken_at is not None:
        meaning = "the first epoch whose loss was not a finite number"
        return Finding(
            Verdict.DIVERGED, 0.99, curve.broken_at, (Evidence("not_finite", curve.broken_at, None, meaning),)
        )
    if view.stop_reason == "diverged" and len(curve):
        evidence = Evidence("val_loss_at_end", curve.val[-1], None, "worse than divergence_threshold allows")
        return Finding(Verdict.DIVERGED, 0.99, curve.epochs[-1], (evidence,))
    if len(curve) < 2:  # noqa: PLR2004 - nothing has changed yet
        return None
    return _exploded(view) or _dead(view) or _lost_again(view)


def _exploded(view: RunView) -> Finding | None:
    """Losses many times that of guessing at the end: in the last two epochs, or beyond all measure in the last one."""
    curve, limit = view.curve, view.rules.explosion * max(view.guess, LEAST_GUESS)
    last = max(min(curve.fit[-2:]), curve.fit[-1] / WILD)
    if last <= limit or _comes_down(curve.fit):
        return None
    at = max((i for i, loss in enumerate(curve.fit) if loss <= limit), default=-1) + 1
    evidence = (
        Evidence("train_loss_at_end", curve.fit[-1], limit, "training loss is many times the guessing loss"),
        Evidence("guessing", view.guess, None, "guessing loss"),
    )
    return Finding(Verdict.DIVERGED, clarity(last / limit), curve.epochs[at], evidence)


def _comes_down(losses: tuple[float, ...]) -> bool:
    return losses[-1] < FALLING_TO * losses[0] and all(later < earlier for earlier, later in pairwise(losses))


def _dead(view: RunView) -> Finding | None:
    """Training loss was many times that of guessing, and is not better than guessing since. After an explosion beyond
    all measure, it has to come well below guessing.
    """
    curve, rules, guess = view.curve, view.rules, view.guess
    highest, last, limit = max(curve.train), curve.level(curve.fit), rules.explosion * max(guess, LEAST_GUESS)
    left = DEAD * guess if highest <= WILD * guess else rules.learnt * guess
    if highest <= limit or last < left or len(curve) < rules.least_epochs:
        return None
    at = next(i for i, loss in enumerate(curve.train) if loss > limit)
    evidence = (
        Evidence("highest_train_loss", highest, limit, "training loss was many times the guessing loss"),
        Evidence("train_loss_at_end", last, left, "training loss has not fallen below this since"),
    )
    return Finding(Verdict.DIVERGED, clarity(highest / limit), curve.epochs[at], evidence)


def _lost_again(view: RunView) -> Finding | None:
    """Training loss had come down, and a large share of that is lost: at least in the last two epochs."""
    curve, rules, guess = view.curve, view.rules, view.guess
    lowest = min(range(len(curve)), key=curve.fit.__getitem__)
    after = len(curve) - 1 - lowest
    if not curve.has_train or after < 2:  # noqa: PLR2004 - a single step back is no divergence
        return None
    least = curve.fit[lowest]
    last = curve.level(curve.fit[lowest + 1 :]) if after >= LEAST_AFTER else min(curve.fit[-2:])
    lost = (last - least) / (guess - least) if least < guess else 0.0
    if least >= rules.learnt * guess or lost < rules.lost_again:
        return None
    onset = next((i for i in range(lowest, len(curve)) if curve.fit[i] > (least + last) / 2), lowest)
    evidence = (
        Evidence("lowest_train_loss", least, rules.learnt * guess, "training loss had fallen below this"),
        Evidence("lost", lost, rules.lost_again, "share of this progress that was lost again"),
    )
    return Finding(Verdict.DIVERGED, clarity(lost / rules.lost_again), curve.epochs[onset], evidence)


def unstable(view: RunView) -> Finding | None:
    """Both losses have risen, steadily and together, since training loss was lowest."""
    curve, rules = view.curve, view.rules
    if not (curve.has_train and curve.has_val):
        return None
    smooth = smoothed(curve.train, curve.strip if len(curve) >= SHORT else 1)  # it is a mean over the epoch already
    turn = min(range(len(curve)), key=smooth.__getitem__)
    end = median(curve.train[-2:]) if len(curve) < SHORT else curve.level(curve.train)
    rise, chance = end - smooth[turn], rising_chance(curve.train[turn:])
    if len(curve) - 1 - turn < LEAST_AFTER or chance >= rules.chance or rise < rules.worth * view.guess:
        return None
    apart = rules.wide_gap * view.guess
    is_apart = view.learnt and view.gap >= apart and rise < min(TOGETHER * view.rise, apart)
    share = rise / max(smooth[turn], 1e-9)
    needed = max(rules.noise * curve.noise, rules.notable * curve.smooth_val[curve.turn])
    val_rises = rising_chance(curve.val[min(turn, curve.turn) :]) < rules.chance and view.rise > 0
    if is_apart or share < rules.notable or not (view.rise > needed or val_rises):
        return None
    evidence = (
        Evidence("train_rise", share, rules.notable, "share by which training loss has risen since its minimum"),
        Evidence(
            "val_rise", view.rise, needed, "rise of validation loss above its lowest value, compared with noise, nats"
        ),
        Evidence("chance", chance, rules.chance, "probability that chance gives such a steady rise of training loss"),
    )
    return Finding(Verdict.UNSTABLE, clarity(share / rules.notable), curve.epochs[turn], evidence)


def too_short(view: RunView) -> Finding | None:
    count, least = len(view.curve), view.rules.least_epochs
    if count >= least:
        return None
    return Finding(
        Verdict.TOO_SHORT_TO_TELL, 0.99, None, (Evidence("epochs", count, least, "fewer epochs show no trend"),)
    )


def noisy(view: RunView) -> Finding | None:
    """Validation loss jumps from epoch to epoch; the fewer epochs, the larger the jumps must be."""
    curve, rules = view.curve, view.rules
    middle = curve.level(curve.val, max(0, curve.third))
    relative = curve.jumps / middle if middle else 0.0
    needed = rules.jumps * (1 + 10 / max(1, len(curve))) / 1.25
    falls = curve.drop(curve.val, curve.recent) > OUTWEIGHS * curve.jumps and curve.falling(curve.val) < rules.chance
    if falls or relative < needed or curve.jumps < rules.worth * view.guess or len(curve) < rules.jumping_epochs:
        return None
    meaning = "change of validation loss from epoch to epoch, as a share of it"
    evidence = (Evidence("jumps", relative, needed, meaning),)
    return Finding(Verdict.NOISY_VALIDATION, clarity(relative / needed), None, evidence)
