"""Which cures are advised for a verdict, in which order, and why. What the spec does already is never advised."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonpointer import resolve_pointer

from service.core.diagnosis.cures import CURES
from service.core.diagnosis.patches import Patch, RunContext
from service.core.diagnosis.verdicts import Verdict
from service.core.errors import Invalid
from service.core.records.plan import UNLIMITED, Limits, plan
from service.core.spec import JobSpec, contradictions
from service.core.spec.patch import patched, plain

MOST = 6  # pieces of advice; nobody tries more

# The order is that of the effect which the cures had on real runs: tests/golden/cures.md.
REASONS: Mapping[Verdict, str] = {
    Verdict.HEALTHY: "Nothing has to be cured; these may still lower the validation loss.",
    Verdict.OVERFITTING: "The model memorizes: give it more to learn from, or less to memorize with.",
    Verdict.STAGNANT_GENERALIZATION: "Training no longer helps new images: give the model more to learn from.",
    Verdict.OVERCONFIDENT: "The model is too certain: keep it from making its outputs ever larger.",
    Verdict.UNDERFITTING: "The model does not learn what is there: give it more room, or hold it back less.",
    Verdict.NOT_LEARNING: "Nothing is learnt: mend what keeps the weights from moving in the right direction.",
    Verdict.STILL_IMPROVING: "Validation loss still falls: give it more time, or go faster.",
    Verdict.DIVERGED: "The steps were too large: make them smaller.",
    Verdict.NOISY_VALIDATION: "The steps are large beside the gradient's noise: make them steadier.",
    Verdict.SMALL_VALIDATION: "Too few images are validated on: hold out more of them.",
    Verdict.TRAIN_ABOVE_VALIDATION: "The model is held back more than it would have to be: there may be room.",
    Verdict.SUSPECTED_LEAKAGE: "The validation loss cannot be trusted: score images that were surely never seen.",
    Verdict.TOO_SHORT_TO_TELL: "There is no trend yet: train for longer.",
}
ADVISED: Mapping[Verdict, tuple[str, ...]] = {
    Verdict.HEALTHY: ("horizontal_flip", "mixup", "ema", "early_stopping"),
    Verdict.OVERFITTING: (
        "more_data", "horizontal_flip", "trivial_augment", "dropout", "mixup", "label_smoothing", "batch_norm",
        "weight_decay", "rotation", "shift", "smaller_model", "smaller_kernels", "early_stopping", "collect",
    ),
    Verdict.STAGNANT_GENERALIZATION: (
        "more_data", "horizontal_flip", "trivial_augment", "batch_norm", "dropout", "mixup", "label_smoothing",
        "weight_decay", "rotation", "shift", "smaller_kernels", "early_stopping", "collect",
    ),
    Verdict.OVERCONFIDENT: (
        "more_data", "horizontal_flip", "trivial_augment", "batch_norm", "mixup", "dropout", "label_smoothing",
        "weight_decay", "rotation", "shift", "lower_lr", "early_stopping", "collect",
    ),
    Verdict.UNDERFITTING: (
        "less_regularization", "less_augmentation", "larger_model", "normalize", "higher_lr", "batch_norm",
        "decaying_lr", "longer_training",
    ),
    Verdict.NOT_LEARNING: ("usual_lr", "normalize", "less_regularization", "larger_model", "batch_norm", "lower_lr"),
    Verdict.STILL_IMPROVING: ("longer_training", "higher_lr", "more_patience", "less_regularization"),
    Verdict.DIVERGED: ("usual_lr", "lower_lr", "gradient_clipping", "normalize", "batch_norm"),
    Verdict.NOISY_VALIDATION: ("lower_lr", "decaying_lr", "ema", "larger_batch", "larger_validation"),
    Verdict.SMALL_VALIDATION: ("larger_validation", "more_data", "held_out_test"),
    Verdict.TRAIN_ABOVE_VALIDATION: ("less_augmentation", "less_regularization", "longer_training", "larger_model"),
    Verdict.SUSPECTED_LEAKAGE: ("no_copies", "held_out_test", "larger_validation"),
    Verdict.TOO_SHORT_TO_TELL: ("longer_training", "more_patience"),
}  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """One cure for a run: `patch` (RFC 6902) changes its effective spec into a valid one; an empty patch is about the
    data, and nothing that a spec could say.
    """

    id: str
    title: str
    verdict: Verdict
    reason: str
    expected: str
    patch: Patch


def advise(verdicts: list[Verdict], case: RunContext, limits: Limits = UNLIMITED) -> tuple[Advice, ...]:
    """At most MOST pieces, the most promising first: of the main verdict, then of the notes."""
    found: dict[str, Advice] = {}
    for verdict in verdicts:
        for advice in _for(verdict, case, limits):
            found.setdefault(advice.id, advice)
    return tuple(found.values())[:MOST]


def _for(verdict: Verdict, case: RunContext, limits: Limits) -> Iterator[Advice]:
    for cure in (CURES[cure_id] for cure_id in ADVISED[verdict]):
        patch = cure.change(case)
        if patch is not None and (not patch or _is_possible(cured(case.spec, patch), case, limits)):
            reason = f"{REASONS[verdict]} {_now(case.spec, patch)}".rstrip()
            yield Advice(cure.id, cure.title, verdict, reason, cure.expected, patch)


def _now(spec: JobSpec, patch: Patch) -> str:
    """What the spec says at present where the patch will change it."""
    data = plain(spec)
    said = [f"{step['path'][1:].replace('/', '.')} is {_word(resolve_pointer(data, step['path']))}" for step in patch]
    return f"Now {', '.join(said)}." if said else ""


def _word(value: Any) -> str:
    """A value as JSON has it."""
    return json.dumps(value)


def cured(spec: JobSpec, patch: Patch) -> JobSpec:
    """The spec that a cure's patch makes of a spec."""
    return JobSpec.from_dict(patched(plain(spec), patch))


def _is_possible(spec: JobSpec, case: RunContext, limits: Limits) -> bool:
    """Whether what valid values say together is valid too, and fits the images and the limits."""
    if any(contradictions(spec)):
        return False
    try:
        if case.contents:
            plan(spec, case.contents, limits)
    except Invalid:
        return False
    return spec != case.spec
