"""Rules on how stable a run is: whether it diverged, how far its loss jumps, whether it is long enough to judge."""

from service.core.diagnosis.curves import level
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, confidence
from service.core.diagnosis.view import LEAST_AFTER, RunView


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
    return _exploded(view) or _lost_again(view)


def _exploded(view: RunView) -> Finding | None:
    curve, rules, guess = view.curve, view.rules, view.guess
    highest, last, limit = max(curve.train), level(curve.fit), rules.explosion * guess
    recovers = last <= rules.learnt * guess or (last < guess and curve.fallen(curve.fit) >= rules.improves)
    if highest <= limit or recovers or len(curve) < rules.least_epochs:
        return None
    at = next(i for i, loss in enumerate(curve.train) if loss > limit)
    evidence = (
        Evidence("highest_train_loss", highest, limit, "training loss was many times the guessing loss"),
        Evidence("train_loss_at_end", last, rules.learnt * guess, "training loss has not recovered"),
    )
    return Finding(Verdict.DIVERGED, confidence(highest / limit), curve.epochs[at], evidence)


def _lost_again(view: RunView) -> Finding | None:
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
        Evidence("lost", lost, rules.lost_again, "share of that progress that was lost again"),
    )
    return Finding(Verdict.DIVERGED, confidence(lost / rules.lost_again), curve.epochs[onset], evidence)


def too_short(view: RunView) -> Finding | None:
    count, least = len(view.curve), view.rules.least_epochs
    if count >= least:
        return None
    return Finding(
        Verdict.TOO_SHORT_TO_TELL, 0.99, None, (Evidence("epochs", count, least, "fewer epochs show no trend"),)
    )


def noisy(view: RunView) -> Finding | None:
    curve, rules = view.curve, view.rules
    relative = curve.jumps / level(curve.val, curve.third) if level(curve.val, curve.third) else 0.0
    if (
        relative < rules.jumps
        or curve.jumps < rules.worth * view.guess
        or len(curve) - curve.half < rules.jumping_epochs
    ):
        return None
    meaning = "change of validation loss from epoch to epoch, as a share of it"
    evidence = (Evidence("jumps", relative, rules.jumps, meaning),)
    return Finding(Verdict.NOISY_VALIDATION, confidence(relative / rules.jumps), None, evidence)
