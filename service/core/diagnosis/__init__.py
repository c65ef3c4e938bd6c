"""From a loss history to a verdict, its evidence, and advice. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.core.diagnosis.advice import Advice, advise
from service.core.diagnosis.confidence import probability
from service.core.diagnosis.curves import Curve
from service.core.diagnosis.findings import findings
from service.core.diagnosis.measures import finite
from service.core.diagnosis.run_context import RunContext
from service.core.diagnosis.thresholds import DEFAULT, Rules
from service.core.diagnosis.verdicts import Evidence, Finding, Verdict
from service.core.diagnosis.view import RunView
from service.core.diagnosis.words import summary
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.records.plan import UNLIMITED, Limits
from service.core.spec.models import weights_of

__all__ = ["Advice", "Diagnosis", "Evidence", "Note", "Rules", "RunContext", "Verdict", "diagnose"]

LEAST_GUESS = 1e-6  # nats; with a single class, guessing is never wrong


@dataclass(frozen=True)
class Note:
    """A finding in words. `confidence` is the probability that the verdict is right, measured on labelled runs;
    `onset_epoch` counts from 1, None if the finding has no onset.
    """

    verdict: Verdict
    confidence: float
    onset_epoch: int | None
    summary: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Diagnosis(Note):
    """The main verdict with further notes and ranked advice. `is_final` once the run has ended."""

    notes: tuple[Note, ...]
    advice: tuple[Advice, ...]
    is_final: bool


def diagnose(
    history: Sequence[Epoch],
    case: RunContext | None = None,
    facts: Facts | None = None,
    stop_reason: str | None = None,
    limits: Limits = UNLIMITED,
    rules: Rules = DEFAULT,
) -> Diagnosis:
    """Diagnose a run from its epochs, in order; `stop_reason` is None while it runs.

    There is advice only if the case is known. Without facts, the guessing loss is the logarithm of the number of
    classes, or the first validation loss if that is unknown.
    """
    curve = Curve.of(history)
    stopping = case.spec.early_stopping if case else None
    monitor = stopping.monitor if stopping else "val_loss"
    has_weights = case is not None and weights_of(case.spec.model) is not None
    guess = max(LEAST_GUESS, _guess(curve, case, facts))
    view = RunView(curve, facts, guess, stop_reason, rules, monitor, has_weights)
    main, *others = (_note(finding, view) for finding in findings(view))
    verdicts = [note.verdict for note in (main, *others)]
    # More epochs come by themselves; without any, there is nothing that a change could be judged by.
    is_early = main.verdict is Verdict.TOO_SHORT_TO_TELL and (stop_reason is None or not history)
    advice = advise(verdicts, case, limits) if case and not is_early else ()
    return Diagnosis(**vars(main), notes=tuple(others), advice=advice, is_final=stop_reason is not None)


def _guess(curve: Curve, case: RunContext | None, facts: Facts | None) -> float:
    classes = len(case.contents.classes) if case and case.contents else None
    if facts and case and case.spec.regularization.balancing:  # guessing then knows no frequencies
        return max(facts.trivial_loss, math.log(classes or 1))
    if facts:
        return facts.trivial_loss
    return math.log(classes) if classes else next(iter(curve.val), 1.0)


def _note(finding: Finding, view: RunView) -> Note:
    sure = probability(finding, len(view.curve))
    evidence = tuple(replace(each, value=finite(each.value)) for each in finding.evidence)
    return Note(finding.verdict, sure, finding.onset_epoch, summary(finding, view), evidence)
