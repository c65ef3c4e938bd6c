"""A finding as two sentences for people."""

from collections.abc import Mapping
from typing import Any

from service.core.diagnosis.curves import level, share
from service.core.diagnosis.verdicts import Finding, Verdict
from service.core.diagnosis.view import RunView
from service.core.records.plan import Z
from service.core.text import counted

NOTHING = "No epoch has ended yet, so there is no diagnosis."
STOOD = "Validation loss has stood at about {val:.3f} since epoch {onset}"
WANDERED = (
    "Validation loss was lowest at epoch {lowest_at}, {lowest:.3f}, and is about {val:.3f} now, a change within its "
    "noise{on},"
)
BROKEN = "The losses were not finite numbers from the start. The steps are far too large."

SENTENCES: Mapping[Verdict, str] = {
    Verdict.HEALTHY: (
        "Validation loss came down to {val:.3f} and stays close to training loss ({fit:.3f}), with {right:.1%} of the "
        "validation images right. The model generalizes to new images."
    ),
    Verdict.OVERFITTING: (
        "Since epoch {onset} training loss fell from {fit_then:.3f} to {fit:.3f} while validation loss rose from "
        "{val_then:.3f} to {val:.3f} and accuracy went from {right_then:.1%} to {right:.1%}. "
        "The model memorizes its training images; the model kept is that of epoch {kept}."
    ),
    Verdict.OVERCONFIDENT: (
        "Since epoch {onset} validation loss rose from {val_then:.3f} to {val:.3f} while training loss fell from "
        "{fit_then:.3f} to {fit:.3f} and accuracy held ({right_then:.1%}, then {right:.1%}). "
        "The model is right as often as before but more certain, also when it is wrong."
    ),
    Verdict.STAGNANT_GENERALIZATION: (
        "{stood} while training loss went from {fit_then:.3f} to {fit:.3f}. The model memorizes its training images: "
        "further training does not improve its results on new ones."
    ),
    Verdict.UNDERFITTING: (
        "Training loss has stopped at {fit:.3f}, where guessing scores {guess:.3f}, and validation loss at {val:.3f}. "
        "The model does not fit its training images: it is too small, regularized too much, or its "
        "learning rate is wrong."
    ),
    Verdict.NOT_LEARNING: (
        "After {last} epochs training loss is {fit:.3f}, no better than guessing by the labels' frequencies "
        "({guess:.3f}). The model learns nothing: the learning rate, the inputs or the labels are wrong."
    ),
    Verdict.STILL_IMPROVING: (
        "Validation loss was still falling at epoch {last}, where it was {val:.3f}. "
        "Longer training is likely to lower it further."
    ),
    Verdict.DIVERGED: (
        "From epoch {onset} on the losses exploded, or earlier progress was lost. "
        "The steps are too large to stay near a minimum; the model kept is that of epoch {kept}."
    ),
    Verdict.NOISY_VALIDATION: (
        "Validation loss jumps by about {jumps:.3f} from one epoch to the next, around {val:.3f}. "
        "The best epoch was partly luck, and early stopping may act on noise."
    ),
    Verdict.SMALL_VALIDATION: (
        "Validation loss is {val:.3f}{interval} on only {images}. Smaller changes may be chance."
    ),
    Verdict.TRAIN_ABOVE_VALIDATION: (
        "Training loss ({train:.3f}) is above validation loss ({val:.3f}) because it is measured with dropout, "
        "augmentation, mixing or smoothing, and while weights still change{clean}. This is expected: compare "
        "train_loss_clean with val_loss."
    ),
    Verdict.SUSPECTED_LEAKAGE: (
        "{leak}. Validation loss ({val:.3f}) may reflect memorized or easier images rather than new ones."
    ),
    Verdict.TOO_SHORT_TO_TELL: "No trend shows in {count}. At least {least} are needed.",
}


def summary(finding: Finding, view: RunView) -> str:
    """The observation and its meaning, as text."""
    curve = view.curve
    if not len(curve):
        return NOTHING if finding.verdict is not Verdict.DIVERGED else BROKEN
    stood = WANDERED if view.rise > view.rules.notable * level(curve.val) else STOOD
    return SENTENCES[finding.verdict].replace("{stood}", stood).format(**_values(view, finding.onset_epoch))


def _values(view: RunView, onset: int | None) -> dict[str, Any]:
    """The values that the sentences name: losses in nats, accuracies as shares, epochs counted from 1."""
    curve, lowest, fit = view.curve, min(view.curve.val), level(view.curve.fit)
    at = curve.epochs.index(onset) if onset in curve.epochs else 0
    images = counted(view.validation_images or 0, "validation image")
    return {
        "onset": onset,
        "last": curve.epochs[-1],
        "kept": curve.kept or curve.epochs[curve.turn],
        "count": counted(len(curve), "epoch"),
        "least": view.rules.least_epochs,
        "guess": view.guess,
        "train": level(curve.train),
        "fit": fit,
        "fit_then": level(curve.fit, at),
        "val": view.end,
        "val_then": curve.smooth_val[at],
        "right": share(curve.accuracy),
        "right_then": share(curve.accuracy, at),
        "lowest": lowest,
        "lowest_at": curve.epochs[curve.val.index(lowest)],
        "jumps": curve.jumps,
        "images": images,
        "on": f" on {images}" if view.validation_images else "",
        "interval": f" plus or minus {Z * curve.val_se:.3f} (95 %)" if curve.val_se else "",
        "clean": f"; scored as validation images are, training images have {fit:.3f}" if curve.is_clean else "",
        "leak": _leak(view, fit),
    }


def _leak(view: RunView, fit: float) -> str:
    copies = view.facts.copies_across if view.facts else 0
    if copies:
        return f"{copies} of {view.validation_images} validation images have a copy among the training images"
    return f"Validation images score better than training images that are scored in the same way ({fit:.3f})"
