"""Applies the rules in order: each looks at a run and returns a finding, or None.

No rule says that further training is useless: test loss can fall again after it has risen (epoch-wise double descent:
Nakkiran et al., "Deep Double Descent", 2020).
"""

from collections.abc import Callable

from service.core.diagnosis.rules_classes import rare_ignored
from service.core.diagnosis.rules_data import leakage, small
from service.core.diagnosis.rules_fit import apart, handicapped, healthy, overfitting, stagnant, train_fall
from service.core.diagnosis.rules_learning import (
    high_losses,
    improving,
    is_high,
    no_better_than_guessing,
    not_learning,
    still_learning,
    underfitting,
)
from service.core.diagnosis.rules_stability import diverged, noisy, too_short, unstable
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import RunView

Rule = Callable[[RunView], Finding | None]

BY_WEIGHT: tuple[Rule, ...] = (
    leakage,
    not_learning,
    unstable,
    overfitting,
    noisy,
    small,
    improving,
    stagnant,
    underfitting,
    handicapped,
)
OF_DATA: tuple[Rule, ...] = (leakage, small)
LEAST_CURVE = 3  # epochs; fewer show the data only
PLAIN_SOON = (Verdict.NOT_LEARNING, Verdict.OVERFITTING, Verdict.OVERCONFIDENT)  # a few epochs can show them
PLAIN = 0.75  # the clarity that these need in a few epochs


def findings(view: RunView) -> tuple[Finding, ...]:
    """All findings, the weightiest first; at least one. What the classes show is never the first one."""
    of_classes = rare_ignored(view)
    return (*_of_curves(view), of_classes) if of_classes else _of_curves(view)


def _of_curves(view: RunView) -> tuple[Finding, ...]:
    """What the losses show, at least one finding. Of a few epochs, what they show so far comes last."""
    if not len(view.curve):
        return (diverged(view) or _no_epochs(),)
    if first := diverged(view):
        return (first,)
    rules = BY_WEIGHT if len(view.curve) >= LEAST_CURVE else OF_DATA
    found = tuple(finding for rule in rules if (finding := rule(view)))
    if short := too_short(view):
        plain = tuple(f for f in found if f.verdict in PLAIN_SOON and f.clarity >= PLAIN)
        return (*plain, short, *(f for f in found if f not in plain))
    return found or (_default(view),)


def _default(view: RunView) -> Finding:
    """The finding when no rule applies: healthy, unless the losses are no better than guessing, rise or stand apart."""
    curve, rules = view.curve, view.rules
    if curve.level(curve.fit) >= rules.guessing * view.guess:
        return no_better_than_guessing(view, curve.level(curve.fit))
    if view.rise > view.noticeable and -train_fall(curve, curve.turn) > rules.notable:
        evidence = Evidence("val_rise", view.rise, view.noticeable, "validation loss above its lowest level")
        return Finding(Verdict.UNSTABLE, clarity(view.rise / view.noticeable), curve.epochs[curve.turn], (evidence,))
    if not curve.has_val:
        meaning = "without validation losses, nothing tells of new images"
        evidence = Evidence("train_loss", curve.level(curve.train), None, meaning)
        return Finding(Verdict.TOO_SHORT_TO_TELL, clarity(1), None, (evidence,))
    if found := apart(view):
        return found
    return still_learning(view) or (high_losses(view) if is_high(view) else healthy(view))


def _no_epochs() -> Finding:
    return Finding(Verdict.TOO_SHORT_TO_TELL, 0.99, None, (Evidence("epochs", 0, 1, "no epoch has ended"),))
