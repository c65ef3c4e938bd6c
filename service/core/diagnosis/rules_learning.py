"""Rules on whether a run learns: not at all, still, or no more although its losses are high."""

import math

from service.core.diagnosis.measures import smoothed, theil_sen
from service.core.diagnosis.trends import falling_chance
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import RunView

CONSTANT_EPOCHS = 4  # with the same accuracy: the model says the same class of each image
MOST_MAJORITY = 0.95  # a share of right images above it is often constant because few are left to gain
NEAR = 1.05  # times the guessing loss: a slow fall from above it is no learning
AT_CHANCE = 0.3  # of a fall that matters: a start is slow
UNMOVED = 0.8  # stuck: training loss is above this share of that of the first epoch


def not_learning(view: RunView) -> Finding | None:
    """The losses are no better than guessing, and do not fall; or the model is stuck at the largest class."""
    curve, limit = view.curve, view.rules.guessing * view.guess
    if found := _stuck(view):
        return found
    lowest, last = min(smoothed(curve.fit, curve.strip)), curve.level(curve.fit)
    if len(curve) >= view.rules.least_epochs and _has_lost_its_little(view, lowest, last):
        return no_better_than_guessing(view, last)
    if lowest < limit or _descends(view):
        return None
    return no_better_than_guessing(view, lowest)


def _has_lost_its_little(view: RunView, lowest: float, last: float) -> bool:
    """Whether training loss came a little below that of guessing, and is near that of guessing again."""
    rules, guess = view.rules, view.guess
    is_little = rules.learnt * guess <= lowest < rules.guessing * guess
    is_lost = rules.guessing * guess <= last <= guess / rules.guessing
    is_most = last - lowest > rules.lost_again * (guess - lowest)
    return view.curve.has_train and view.knows_guessing and is_little and is_lost and is_most


def no_better_than_guessing(view: RunView, loss: float) -> Finding:
    limit = view.rules.guessing * view.guess
    meaning = "training loss, compared with the loss of guessing by the frequencies of the labels"
    evidence = (Evidence("train_loss", loss, limit, meaning), Evidence("guessing", view.guess, None, "guessing loss"))
    return Finding(Verdict.NOT_LEARNING, clarity(1 + 10 * (loss / limit - 1)), None, evidence)


def _descends(view: RunView) -> bool:
    """Whether a loss comes down from that of guessing, steadily and by more than it takes to matter."""
    curve, rules = view.curve, view.rules
    half, is_near = len(curve) // 2, curve.level(curve.val) < NEAR * view.guess
    return any(
        falling_chance(values[half:]) < rules.chance
        and curve.drop(values, half) > rules.worth * view.guess
        and (is_near or curve.fallen(values) >= rules.improves)
        for values in ((curve.val, curve.fit) if curve.is_clean else (curve.val,))
    )


def _stuck(view: RunView) -> Finding | None:
    """The same accuracy in each epoch, with losses that the frequency of one class explains. A run from weights may
    begin at its final accuracy.
    """
    curve, facts = view.curve, view.facts
    known = [right for right in curve.accuracy if right is not None]
    is_constant = curve.has_train and len(known) >= CONSTANT_EPOCHS and len(set(known)) == 1
    if view.has_weights or not is_constant or not 0 < known[0] < MOST_MAJORITY:
        return None
    right, fit = known[0], curve.level(curve.fit)
    entropy = -right * math.log(right) - (1 - right) * math.log(1 - right)
    explained = view.rules.guessing * (view.guess if _is_uneven(view) else entropy)
    if fit < explained or fit < UNMOVED * curve.fit[0]:
        return None
    error, even = 2 * math.sqrt(right * (1 - right) / (view.validation_images or 100)), math.exp(-view.guess)
    if right < even + error or (facts and _is_uneven(view) and abs(right - facts.trivial_accuracy) > error):
        return None
    evidence = (
        Evidence("constant_accuracy", right, None, "validation accuracy, the same in each epoch"),
        Evidence("train_loss", fit, explained, "training loss, compared with the loss of always predicting one class"),
        Evidence("guessing", view.guess, None, "guessing loss"),
    )
    return Finding(Verdict.NOT_LEARNING, clarity(fit / explained), None, evidence)


def _is_uneven(view: RunView) -> bool:
    """Whether the classes are known to be of different sizes."""
    return view.facts is not None and view.facts.trivial_accuracy > math.exp(-view.facts.trivial_loss) + 0.01


def improving(view: RunView) -> Finding | None:
    """Validation loss still falls at the end, by a share of itself and more steadily than chance has it.

    Where it follows training loss down by a small part only, the model begins to memorize, and its fall soon ends.
    """
    curve, rules = view.curve, view.rules
    coming, chance = curve.coming, curve.falling(curve.val)
    is_at_chance = curve.level(curve.fit) >= rules.guessing * view.guess and _descends(view)
    follows = view.least_followed
    if not _may_fall_on(view) or curve.followed < follows:
        return None
    least = rules.gains * view.guess * (AT_CHANCE if is_at_chance else 1)
    if (
        not (coming >= rules.improves or is_at_chance)
        or chance >= rules.likely
        or coming * curve.level(curve.val) <= least
    ):
        return None
    evidence = (
        Evidence(
            "val_fall",
            coming,
            rules.improves,
            "share by which validation loss will probably fall in as many epochs again",
        ),
        Evidence("chance", chance, rules.likely, "probability that chance gives such a steady fall in the second half"),
        Evidence(
            "followed",
            min(1.0, curve.followed),
            follows,
            "fall of validation loss as a share of that of training loss",
        ),
        Evidence(
            "val_slope", theil_sen(curve.val[max(0, curve.third) :]), None, "slope in the last third, nats per epoch"
        ),
    )
    return Finding(Verdict.STILL_IMPROVING, clarity(coming / rules.improves, curve.followed / follows), None, evidence)


def still_learning(view: RunView) -> Finding | None:
    """Training loss is high and still falls, and validation loss is lowest near the end, if without a steady fall."""
    falls, flat = view.curve.fallen(view.curve.fit), _flat(view)
    if not is_high(view) or falls <= flat or not _may_fall_on(view):
        return None
    evidence = Evidence("train_fall", falls, flat, "share by which training loss fell in the last third")
    return Finding(Verdict.STILL_IMPROVING, clarity(falls / flat), None, (evidence,))


def _may_fall_on(view: RunView) -> bool:
    """Whether validation loss is lowest near the end, and has not ended the run by standing still."""
    count, is_exhausted = len(view.curve), view.stop_reason == "early_stopping" and view.monitor == "val_loss"
    return view.curve.turn >= count - 1 - max(2, count // 10) and not is_exhausted


def _flat(view: RunView) -> float:
    """The share by which training loss may change in the last third and still count as flat: less in a short run."""
    return view.rules.flat * len(view.curve) / (len(view.curve) + 10)


def underfitting(view: RunView) -> Finding | None:
    """Training loss has stopped high."""
    falls, flat = view.curve.fallen(view.curve.fit), _flat(view)
    if not -flat <= falls <= flat or not is_high(view):
        return None
    return high_losses(view)


def is_high(view: RunView) -> bool:
    """Whether training loss is a large share of that of guessing, and accuracy does not speak against it."""
    is_known = view.known is not None and view.known > view.rules.known
    return view.curve.has_train and view.curve.level(view.curve.fit) >= view.rules.stuck * view.guess and not is_known


def high_losses(view: RunView) -> Finding:
    curve, rules = view.curve, view.rules
    high, falls = curve.level(curve.fit) / view.guess, curve.fallen(curve.fit)
    evidence = [
        Evidence("train_loss", high, rules.stuck, "training loss as a share of the guessing loss"),
        Evidence("train_fall", falls, _flat(view), "share by which it fell in the last third"),
    ]
    if view.known is not None:
        evidence.append(Evidence("known", view.known, rules.known, "validation accuracy, corrected for chance"))
    return Finding(Verdict.UNDERFITTING, clarity(high / rules.stuck), None, tuple(evidence))
