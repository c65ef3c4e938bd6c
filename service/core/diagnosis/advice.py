"""The cures advised for each verdict, in order, with the reason. A cure that the spec already has is not advised."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonpointer import resolve_pointer

from service.core.diagnosis.cures import CURES
from service.core.diagnosis.effects import network_of, ordered, reason
from service.core.diagnosis.patches import Patch
from service.core.diagnosis.run_context import RunContext
from service.core.diagnosis.undoing import undoing
from service.core.diagnosis.verdicts import Verdict
from service.core.errors import Invalid
from service.core.records.plan import UNLIMITED, Limits, plan
from service.core.spec import JobSpec, contradictions
from service.core.spec.patch import patched, plain
from service.core.text import counted

MOST = 6  # pieces of advice

REASONS: Mapping[Verdict, str] = {
    Verdict.HEALTHY: "The run is healthy. These changes may still lower the validation loss.",
    Verdict.OVERFITTING: "The model does worse and worse on new images. Give it more data, or less capacity.",
    Verdict.STAGNANT_GENERALIZATION: "Training no longer helps on new images. Give the model more varied data.",
    Verdict.OVERCONFIDENT: "The model is overconfident. Keep its outputs from growing.",
    Verdict.UNDERFITTING: "The model does not fit its training images. Use a larger model, or less regularization.",
    Verdict.NOT_LEARNING: "The model learns nothing. Check the learning rate, the inputs and the labels.",
    Verdict.STILL_IMPROVING: "The loss still falls. Train longer, or with larger steps.",
    Verdict.DIVERGED: "The steps were too large. Make them smaller.",
    Verdict.UNSTABLE: "Both losses rise: the steps are too large. Make them smaller or steadier.",
    Verdict.NOISY_VALIDATION: "The gradients are noisy for steps of this size. Make the steps smaller or steadier.",
    Verdict.SMALL_VALIDATION: "There are too few validation images. Hold out more.",
    Verdict.TRAIN_ABOVE_VALIDATION: "Regularization may be stronger than needed.",
    Verdict.SUSPECTED_LEAKAGE: "The validation loss cannot be trusted. Score images that were surely not trained on.",
    Verdict.RARE_CLASSES_IGNORED: "The model ignores rare classes. Give them more weight.",
    Verdict.TOO_SHORT_TO_TELL: "There is no trend yet. Train longer.",
}
# Ids of cures. Those for runs that overfit are ordered by their effect with the network of the run.
_BY_EFFECT: Mapping[Verdict, str] = {
    Verdict.HEALTHY: "horizontal_flip mixup ema early_stopping",
    Verdict.OVERFITTING: (
        "more_data pretrained batch_norm dropout mixup horizontal_flip trivial_augment random_resized_crop "
        "color_jitter label_smoothing weight_decay decoupled_decay rotation shift smaller_model smaller_kernels "
        "early_stopping collect"
    ),
    Verdict.STAGNANT_GENERALIZATION: (
        "more_data pretrained batch_norm dropout mixup horizontal_flip trivial_augment random_resized_crop "
        "color_jitter label_smoothing weight_decay decoupled_decay rotation shift smaller_kernels early_stopping "
        "collect"
    ),
    Verdict.OVERCONFIDENT: (
        "temperature more_data pretrained batch_norm dropout mixup horizontal_flip trivial_augment random_resized_crop "
        "color_jitter label_smoothing weight_decay decoupled_decay rotation shift lower_lr early_stopping collect"
    ),
    Verdict.UNDERFITTING: (
        "less_regularization less_augmentation larger_model normalize higher_lr deeper_and_normalized batch_norm "
        "decaying_lr longer_training"
    ),
    Verdict.NOT_LEARNING: "usual_lr normalize less_regularization class_weights larger_model batch_norm lower_lr",
    Verdict.STILL_IMPROVING: "longer_training higher_lr more_patience less_regularization",
    Verdict.DIVERGED: "usual_lr lower_lr gradient_clipping warmup other_optimizer normalize batch_norm",
    Verdict.UNSTABLE: (
        "lower_lr warmup gradient_clipping rate_and_schedule decaying_lr other_optimizer normalize batch_norm "
        "larger_batch ema"
    ),
    Verdict.NOISY_VALIDATION: (
        "lower_lr decaying_lr rate_and_schedule ema larger_batch other_optimizer larger_validation"
    ),
    Verdict.SMALL_VALIDATION: "larger_validation more_data held_out_test",
    Verdict.TRAIN_ABOVE_VALIDATION: "less_augmentation less_regularization longer_training larger_model",
    Verdict.SUSPECTED_LEAKAGE: "no_copies held_out_test larger_validation",
    Verdict.RARE_CLASSES_IGNORED: "logit_adjusted class_weights balanced_sampling focal collect",
    Verdict.TOO_SHORT_TO_TELL: "longer_training more_patience",
}
ADVISED: Mapping[Verdict, tuple[str, ...]] = {verdict: tuple(ids.split()) for verdict, ids in _BY_EFFECT.items()}


@dataclass(frozen=True)
class Advice:
    """One cure for a run. `patch` (RFC 6902) changes its effective spec into a valid one. It is empty if the cure
    concerns the data or needs an upload, or if `action` makes it: a resource of the job that is POSTed to.
    """

    id: str
    title: str
    verdict: Verdict
    reason: str
    expected: str
    patch: Patch
    action: str | None = None


def advise(verdicts: list[Verdict], case: RunContext, limits: Limits = UNLIMITED) -> tuple[Advice, ...]:
    """At most MOST pieces of advice, the most promising first: for the main verdict, then for the notes.

    The order of the cures of a verdict follows what they did in measured runs, and in the tenant's own fits. What was
    tried in the family without lowering the validation loss comes last. What would undo a change of the
    family is left out, so that no advice leads back.
    """
    by_id: dict[str, Advice] = {}
    for verdict in verdicts:
        for advice in _for(verdict, case, limits):
            by_id.setdefault(advice.id, advice)
    return tuple(sorted(by_id.values(), key=lambda advice: _did_not_help(advice, case)))[:MOST]


def _did_not_help(advice: Advice, case: RunContext) -> bool:
    """Whether it was tried without lowering the validation loss. For rare classes that loss is not a measure."""
    return advice.verdict is not Verdict.RARE_CLASSES_IGNORED and case.family.changes.get(advice.id, -1.0) >= 0


def _for(verdict: Verdict, case: RunContext, limits: Limits) -> Iterator[Advice]:
    network, channels = network_of(case.spec), case.contents.shape[0] if case.contents else 1
    would_undo = undoing(case.family, case.spec)
    cures = ordered(verdict, ADVISED[verdict], (network,), (channels,), case.tallies)
    for cure in (CURES[name] for name in cures):
        patch = cure.change(case)
        if patch is None or would_undo(patch):
            continue
        if not patch or _is_possible(cured(case.spec, patch), case, limits):
            known = (reason(verdict, cure.id, network), _in_fits(cure.id, case))
            said = (REASONS[verdict], *known, _now(case.spec, patch), _tried(cure.id, case))
            expected = cure.measured(case) or cure.expected
            yield Advice(cure.id, cure.title, verdict, " ".join(filter(None, said)), expected, patch, cure.action)


def _now(spec: JobSpec, patch: Patch) -> str:
    """The current values of the options that the patch changes, as a sentence."""
    data = plain(spec)
    values = [f"{step['path'][1:].replace('/', '.')} is {_word(resolve_pointer(data, step['path']))}" for step in patch]
    return f"Now {', '.join(values)}." if values else ""


def _in_fits(cure: str, case: RunContext) -> str:
    """What the cure did in fits, as a sentence."""
    tally = case.tallies.get(cure)
    if tally is None:
        return ""
    return f"In your fits on such images, it helped in {tally.better} of {counted(tally.trials, 'trial')}."


def _tried(cure: str, case: RunContext) -> str:
    """What the cure did in the family, as a sentence."""
    change = case.family.changes.get(cure)
    if change is None:
        return ""
    return f"A fork tried it: the best validation loss {'fell' if change < 0 else 'rose'} by {abs(change):.3f}."


def _word(value: Any) -> str:
    """A value as JSON has it."""
    return json.dumps(value)


def cured(spec: JobSpec, patch: Patch) -> JobSpec:
    """The spec that a cure's patch makes of a spec."""
    return JobSpec.from_dict(patched(plain(spec), patch))


def _is_possible(spec: JobSpec, case: RunContext, limits: Limits) -> bool:
    """Whether the values are valid together, fit the images and the limits, and change the spec."""
    if any(contradictions(spec)):
        return False
    try:
        if case.contents:
            plan(spec, case.contents, limits)
    except Invalid:
        return False
    return spec != case.spec
