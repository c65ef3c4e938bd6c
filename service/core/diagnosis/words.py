"""A finding in sentences for people: the observation, its meaning, and what would contradict it."""

from typing import Any

from service.core.diagnosis.rules_fit import suspects_labels
from service.core.diagnosis.sentences import (
    BROKEN,
    CANCELLED_BEFORE,
    DIVERGED,
    ENDED_BEFORE,
    FALLING,
    LABELS,
    LAGGING,
    MEANS,
    NO_VALIDATION,
    NOTHING,
    SEEN,
    STUCK,
)
from service.core.diagnosis.verdicts import Finding, Verdict
from service.core.diagnosis.view import RunView
from service.core.records.plan import Z
from service.core.text import counted

NO_HELP = "does not improve its results on new images"
MOST_MORE = 2  # digits, beyond the usual ones


def summary(finding: Finding, view: RunView) -> str:
    """The observation and its meaning, as text."""
    if not len(view.curve):
        return BROKEN if finding.verdict is Verdict.DIVERGED else _without_epochs(view.stop_reason)
    values = _values(view, finding.onset_epoch)
    text = f"{SEEN[finding.verdict]} {MEANS[finding.verdict]}"
    for name, by_evidence in (("{diverged}", DIVERGED), ("{falling}", FALLING)):
        text = text.replace(name, by_evidence.get(finding.evidence[0].name, ""))
    if finding.verdict is Verdict.TOO_SHORT_TO_TELL and not view.curve.has_val:
        text = NO_VALIDATION
    if any(evidence.name == "constant_accuracy" for evidence in finding.evidence):
        text = STUCK
    if finding.verdict is Verdict.OVERFITTING and suspects_labels(view):
        text += LABELS
    if view.curve.is_lagging and finding.verdict is not Verdict.DIVERGED:
        text += LAGGING
    return text.format(**values)


def _without_epochs(stop_reason: str | None) -> str:
    if stop_reason is None:
        return NOTHING
    return CANCELLED_BEFORE if stop_reason == "cancelled" else ENDED_BEFORE


def _values(view: RunView, onset: int | None) -> dict[str, Any]:
    """The values that the sentences name: losses in nats, accuracies as shares, epochs counted from 1."""
    curve, fit = view.curve, view.curve.level(view.curve.fit)
    at = curve.epochs.index(onset) if onset in curve.epochs else 0
    numbers = {
        "onset": onset,
        "last": curve.epochs[-1],
        "after": counted(curve.epochs[-1], "epoch"),
        "kept": curve.kept or curve.epochs[curve.turn],
        "count": counted(len(curve), "epoch"),
        "least": view.rules.least_epochs,
        "guess": view.guess,
        "train": curve.level(curve.train),
        "train_moves": moved(curve.level(curve.train, at), curve.level(curve.train)),
        "clean": curve.level(curve.clean) if curve.is_clean else fit,
        "fit": fit,
        "fit_moves": moved(curve.level(curve.fit, at), fit),
        "lowest_fit": min(curve.fit),
        "val": view.end,
        "right": curve.share(curve.accuracy) or 0.0,
        "lowest": curve.val[curve.lowest],
        "highest": max(curve.train),
        "lowest_at": curve.epochs[curve.lowest],
        "jumps": curve.jumps,
        "images": counted(view.validation_images or 0, "validation image"),
        "loss_name": "Validation loss" if curve.has_val else "Training loss",
        "interval": f" plus or minus {Z * curve.val_se:.3f} (95 %)" if curve.val_se else "",
        "clean_is": f". The clean training loss is {fit:.3f}" if curve.is_clean else "",
        "leak": _leak(view, fit),
        "memorizes": _memorizes(view, at),
        "helps": "hardly improves its results on new images" if view.is_left_behind else NO_HELP,
    }
    return numbers | _moves(view, onset, at) | _rare(view)


def _rare(view: RunView) -> dict[str, Any]:
    """The recall of rare classes, if any class is rare."""
    rare = view.facts.rare if view.facts else None
    if rare is None:
        return {}
    worst = rare.classes[0]
    return {
        "rare_right": rare.right,
        "rare_images": rare.images,
        "other_right": rare.other_right / rare.other_images,
        "worst": f"{worst.label!r} with {worst.right} of {worst.images}",
    }


def _moves(view: RunView, onset: int | None, at: int) -> dict[str, str]:
    """What the curves did since an epoch, in words; nothing of a measure that is not there."""
    curve, right = view.curve, view.curve.share(view.curve.accuracy)
    return {
        "stood": _stood(view, onset, at),
        "val_moved": _val_moved(view, onset, at),
        "train_moved": (
            f" while training loss {moved(curve.level(curve.fit, at), curve.level(curve.fit))}"
            if curve.has_train
            else ""
        ),
        "accuracy_moved": _accuracy_moved(view, at),
        "and_right": f", with {right:.1%} of the validation images right" if right is not None else "",
        "so_far": _so_far(view),
    }


def _stood(view: RunView, onset: int | None, at: int) -> str:
    curve, val = view.curve, view.end
    if view.is_left_behind:
        return f"Since epoch {onset} validation loss {moved(curve.smooth_val[at], val)} only,"
    if view.rise <= view.rules.notable * curve.level(curve.val):
        return f"Validation loss has been at about {val:.3f} since epoch {onset}"
    on = f" on {counted(view.validation_images, 'validation image')}" if view.validation_images else ""
    return (
        f"Validation loss was lowest at epoch {curve.epochs[curve.lowest]}, {curve.val[curve.lowest]:.3f}, and is "
        f"about {val:.3f} now. The change is within its noise{on},"
    )


def _val_moved(view: RunView, onset: int | None, at: int) -> str:
    val, val_then = view.end, view.curve.smooth_val[at]
    is_risen = onset is not None and val > val_then
    said = (
        f"Since epoch {onset}, validation loss {moved(val_then, val)}" if is_risen else f"Validation loss is {val:.3f}"
    )
    return f"{said}, more than the loss of guessing ({view.guess:.3f})," if val > view.guess else said


def _accuracy_moved(view: RunView, at: int) -> str:
    curve = view.curve
    right, right_then = curve.share(curve.accuracy), curve.share(curve.accuracy, at)
    if right is None or right_then is None:
        return " (accuracy is unknown)"
    said = f" and accuracy {moved(right_then, right, '%', 1)}" if at else f" with {right:.1%} right"
    seen = curve.share(curve.train_accuracy)
    is_apart = seen is not None and seen - right > view.rules.accuracy_gap
    return f"{said} ({seen:.1%} of the training images)" if is_apart else said


def _so_far(view: RunView) -> str:
    curve = view.curve
    if len(curve) < 2:  # noqa: PLR2004 - nothing has changed yet
        return ""
    return f". So far {'validation' if curve.has_val else 'training'} loss {moved(curve.val[0], curve.val[-1])}"


def moved(then: float, now: float, kind: str = "f", digits: int = 3) -> str:
    """A change in words, with as many digits as tell the two numbers apart; if MOST_MORE more do not, that it stood.

    `kind` is "f" for losses or "%" for shares.
    """
    for more in range(MOST_MORE + 1):
        before, after = (f"{value:.{digits + more}{kind}}" for value in (then, now))
        if before != after:
            return f"{'fell' if now < then else 'rose'} from {before} to {after}"
    return f"stayed at {now:.{digits}{kind}}"


def _memorizes(view: RunView, at: int) -> str:
    """That training images are memorized is said only where their loss fell, and accuracy or clean loss shows it."""
    curve = view.curve
    falls = curve.level(curve.fit) < curve.level(curve.fit, at)
    seen, right = curve.share(curve.train_accuracy), curve.share(curve.accuracy)
    shows = curve.is_clean or (seen is not None and right is not None and seen > right)
    if falls and shows and curve.has_train:
        return "The model memorizes its training images"
    return (
        "The model is worse on new images than on its training images"
        if curve.has_train
        else "The model gets worse on new images"
    )


def _leak(view: RunView, fit: float) -> str:
    copies = view.facts.copies_across if view.facts else 0
    if copies:
        have = "has" if copies == 1 else "have"
        return f"{copies} of {view.validation_images} validation images {have} a copy among the training images"
    return f"Validation loss is far below the clean training loss ({fit:.3f})"
