"""Applies the rules in order: each looks at a run and returns a finding, or None.

No rule says that further training is useless: test loss can fall again after it has risen (epoch-wise double descent:
Nakkiran et al., "Deep Double Descent", 2020).
"""

from collections.abc import Callable

from service.core.diagnosis.curves import level
from service.core.diagnosis.rules_data import leakage, small
from service.core.diagnosis.rules_fit import (
    apart,
    handicapped,
    healthy,
    improving,
    no_better_than_guessing,
    not_learning,
    overfitting,
    stagnant,
    underfitting,
)
from service.core.diagnosis.rules_stability import diverged, noisy, too_short
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, confidence
from service.core.diagnosis.view import RunView

Rule = Callable[[RunView], Finding | None]

BY_WEIGHT: tuple[Rule, ...] = (
    leakage,
    not_learning,
    overfitting,
    noisy,
    small,
    improving,
    stagnant,
    underfitting,
    handicapped,
)


def findings(view: RunView) -> tuple[Finding, ...]:
    """All findings, the weightiest first; at least one."""
    if first := diverged(view) or too_short(view):
        return (first,)
    return tuple(finding for rule in BY_WEIGHT if (finding := rule(view))) or (_default(view),)


def _default(view: RunView) -> Finding:
    """The finding when no rule applies: healthy, unless the losses are no better than guessing, rise or stand apart."""
    curve, rules = view.curve, view.rules
    if level(curve.fit) >= rules.guessing * view.guess:
        return no_better_than_guessing(view, level(curve.fit))
    if view.rise > view.noticeable:
        evidence = Evidence("val_rise", view.rise, view.noticeable, "validation loss above its lowest level")
        return Finding(Verdict.DIVERGED, confidence(view.rise / view.noticeable), curve.epochs[curve.turn], (evidence,))
    return apart(view) or healthy(view)
