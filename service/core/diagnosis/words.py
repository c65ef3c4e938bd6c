"""A finding in sentences for people: what was seen, what it means, and what would speak against it."""

from collections.abc import Mapping
from typing import Any

from service.core.diagnosis.rules_fit import suspects_labels
from service.core.diagnosis.verdicts import Finding, Verdict
from service.core.diagnosis.view import RunView
from service.core.records.plan import Z
from service.core.text import counted

NOTHING = "No epoch has ended yet, so there is no diagnosis."
BROKEN = "The losses were not finite numbers from the start. The steps are far too large."
NO_VALIDATION = (
    "Training loss is {fit:.3f} after {last} epochs. Without validation losses, nothing tells whether the model "
    "generalizes. A validation loss for each epoch would."
)
LAGGING = (
    " Scored as validation images are, training images have {clean:.3f}, far above {train:.3f} in training: the "
    "running statistics of normalization layers lag behind, and validation loss suffers from that too."
)
LABELS = (
    " Wrong labels are likely: validation accuracy was highest early and fell, while the training images were learnt "
    "slowly, one by one."
)

SEEN: Mapping[Verdict, str] = {
    Verdict.HEALTHY: "Validation loss came down to {val:.3f} and stays close to training loss ({fit:.3f}){and_right}.",
    Verdict.OVERFITTING: "{val_moved}{train_moved}{accuracy_moved}.",
    Verdict.OVERCONFIDENT: "{val_moved}{train_moved}{accuracy_moved}.",
    Verdict.STAGNANT_GENERALIZATION: "{stood} while training loss went from {fit_then:.3f} to {fit:.3f}.",
    Verdict.UNDERFITTING: (
        "Training loss has stopped at {fit:.3f}, where guessing scores {guess:.3f}, and validation loss at {val:.3f}."
    ),
    Verdict.NOT_LEARNING: (
        "After {last} epochs training loss is {fit:.3f}, no better than guessing by the labels' frequencies "
        "({guess:.3f})."
    ),
    Verdict.STILL_IMPROVING: "{loss_name} was still falling at epoch {last}, where it was {val:.3f}.",
    Verdict.DIVERGED: "{diverged}.",
    Verdict.UNSTABLE: (
        "Since epoch {onset} training loss rose from {train_then:.3f} to {train:.3f}, and validation loss is {val:.3f} "
        "after {lowest:.3f} at epoch {lowest_at}."
    ),
    Verdict.NOISY_VALIDATION: "Validation loss jumps by about {jumps:.3f} from epoch to epoch, around {val:.3f}.",
    Verdict.SMALL_VALIDATION: "Validation loss is {val:.3f}{interval} on only {images}.",
    Verdict.TRAIN_ABOVE_VALIDATION: (
        "Training loss ({train:.3f}) is above validation loss ({val:.3f}) because it is measured with dropout, "
        "augmentation, mixing or smoothing, and while weights still change{clean_is}."
    ),
    Verdict.SUSPECTED_LEAKAGE: "{leak}.",
    Verdict.RARE_CLASSES_IGNORED: (
        "The model gets {rare_right} of {rare_images} validation images of rare classes right, and {other_right:.1%} "
        "of the others. Worst is {worst}."
    ),
    Verdict.TOO_SHORT_TO_TELL: "No trend shows in {count}{so_far}.",
}
# By the evidence that comes first.
DIVERGED: Mapping[str, str] = {
    "not_finite": "From epoch {onset} on the losses are not finite numbers",
    "val_loss_at_end": "Validation loss is {val:.3g} at the end, worse than divergence_threshold allows",
    "train_loss_at_end": (
        "From epoch {onset} on the losses exploded: training loss ends at {fit:.3g}, where guessing scores {guess:.3f}"
    ),
    "highest_train_loss": (
        "Training loss was {highest:.3g} at its highest, and has not come well below guessing ({guess:.3f}) since: it "
        "ends at {fit:.3f}"
    ),
    "lowest_train_loss": (
        "From epoch {onset} on earlier progress was lost: training loss came down to {lowest_fit:.3f} and is {fit:.3f} "
        "at the end"
    ),
}
MEANS: Mapping[Verdict, str] = {
    Verdict.HEALTHY: "The model generalizes to new images. A rise or a widening gap in further epochs would tell more.",
    Verdict.OVERFITTING: (
        "{memorizes}; the model kept is that of epoch {kept}. More epochs in which validation loss falls again would "
        "speak against it."
    ),
    Verdict.OVERCONFIDENT: (
        "The model is right as often as before but more certain, also when it is wrong. A temperature, which leaves "
        "every guess as it is, would lower the loss; if it does not, images are guessed worse."
    ),
    Verdict.STAGNANT_GENERALIZATION: (
        "{memorizes}: further training does not improve its results on new ones. A fall of validation loss by more "
        "than its noise in further epochs would speak against it."
    ),
    Verdict.UNDERFITTING: (
        "The model does not fit its training images: it is too small, regularized too much, or its learning rate is "
        "wrong. If a larger model or another learning rate stops at the same loss, the images tell no more."
    ),
    Verdict.NOT_LEARNING: (
        "The model learns nothing: the learning rate, the inputs or the labels are wrong. A steady fall of training "
        "loss below that of guessing would speak against it."
    ),
    Verdict.STILL_IMPROVING: (
        "Longer training is likely to lower it further. A level that holds over as many epochs again would end that."
    ),
    Verdict.DIVERGED: (
        "The steps are too large to stay near a minimum; the model kept is that of epoch {kept}. If a tenth of the "
        "learning rate ends in the same way, look at the inputs."
    ),
    Verdict.UNSTABLE: (
        "The model gets worse on the images that it trains on as well, which no overfitting does: the steps are too "
        "large. If a lower learning rate changes nothing, look for wrong inputs or labels."
    ),
    Verdict.NOISY_VALIDATION: (
        "The best epoch was partly luck, and early stopping may act on noise. If a lower learning rate does not calm "
        "it, there are too few validation images."
    ),
    Verdict.SMALL_VALIDATION: "Smaller changes may be chance. More validation images would settle it.",
    Verdict.TRAIN_ABOVE_VALIDATION: (
        "This is expected: compare train_loss_clean with val_loss. A gap that stays without these handicaps would need "
        "another explanation."
    ),
    Verdict.SUSPECTED_LEAKAGE: (
        "Validation loss ({val:.3f}) may reflect memorized or easier images rather than new ones. A test part that was "
        "surely not trained on would settle it."
    ),
    Verdict.RARE_CLASSES_IGNORED: (
        "The mean over all images hides this. More images of these classes are the surest help; training can also give "
        "them more weight. An equal recall on more validation images would speak against it."
    ),
    Verdict.TOO_SHORT_TO_TELL: "At least {least} are needed.",
}
STUCK = (
    "Each epoch gets {right:.1%} of the validation images right, and training loss ({fit:.3f}) is what the frequency "
    "of one class explains. The model says the largest class of every image. An accuracy that moves, or the recall of "
    "each class, would speak against it."
)


def summary(finding: Finding, view: RunView) -> str:
    """The observation and its meaning, as text."""
    if not len(view.curve):
        return NOTHING if finding.verdict is not Verdict.DIVERGED else BROKEN
    values = _values(view, finding.onset_epoch)
    text = f"{SEEN[finding.verdict]} {MEANS[finding.verdict]}"
    text = text.replace("{diverged}", DIVERGED.get(finding.evidence[0].name, ""))
    if finding.verdict is Verdict.TOO_SHORT_TO_TELL and not view.curve.has_val:
        text = NO_VALIDATION
    if any(evidence.name == "constant_accuracy" for evidence in finding.evidence):
        text = STUCK
    if finding.verdict is Verdict.OVERFITTING and suspects_labels(view):
        text += LABELS
    if view.curve.is_lagging and finding.verdict is not Verdict.DIVERGED:
        text += LAGGING
    return text.format(**values)


def _values(view: RunView, onset: int | None) -> dict[str, Any]:
    """The values that the sentences name: losses in nats, accuracies as shares, epochs counted from 1."""
    curve, lowest, fit = view.curve, min(view.curve.val), view.curve.level(view.curve.fit)
    at = curve.epochs.index(onset) if onset in curve.epochs else 0
    numbers = {
        "onset": onset,
        "last": curve.epochs[-1],
        "kept": curve.kept or curve.epochs[curve.turn],
        "count": counted(len(curve), "epoch"),
        "least": view.rules.least_epochs,
        "guess": view.guess,
        "train": curve.level(curve.train),
        "train_then": curve.level(curve.train, at),
        "clean": curve.level(curve.clean) if curve.is_clean else fit,
        "fit": fit,
        "fit_then": curve.level(curve.fit, at),
        "val": view.end,
        "val_then": curve.smooth_val[at],
        "right": curve.share(curve.accuracy) or 0.0,
        "lowest": lowest,
        "highest": max(curve.train),
        "lowest_fit": min(curve.fit),
        "lowest_at": curve.epochs[curve.val.index(lowest)],
        "jumps": curve.jumps,
        "images": counted(view.validation_images or 0, "validation image"),
        "loss_name": "Validation loss" if curve.has_val else "Training loss",
        "interval": f" plus or minus {Z * curve.val_se:.3f} (95 %)" if curve.val_se else "",
        "clean_is": f"; scored as validation images are, training images have {fit:.3f}" if curve.is_clean else "",
        "leak": _leak(view, fit),
        "memorizes": _memorizes(view, at),
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
    curve = view.curve
    val, val_then, fit, fit_then = view.end, curve.smooth_val[at], curve.level(curve.fit), curve.level(curve.fit, at)
    right, right_then = curve.share(curve.accuracy), curve.share(curve.accuracy, at)
    on = f" on {counted(view.validation_images, 'validation image')}" if view.validation_images else ""
    lowest = min(curve.val)
    lowest_at = curve.epochs[curve.val.index(lowest)]
    if view.rise > view.rules.notable * curve.level(curve.val):
        stood = (
            f"Validation loss was lowest at epoch {lowest_at}, {lowest:.3f}, and is about {val:.3f} now, a change "
            f"within its noise{on},"
        )
    else:
        stood = f"Validation loss has stood at about {val:.3f} since epoch {onset}"
    if onset is not None and val > val_then:
        val_moved = f"Since epoch {onset} validation loss rose from {val_then:.3f} to {val:.3f}"
    else:
        val_moved = f"Validation loss is {val:.3f}"
    if val > view.guess:
        val_moved += f", above that of guessing ({view.guess:.3f}),"
    train_moved = ""
    if curve.has_train:
        moved = f"fell from {fit_then:.3f} to {fit:.3f}" if fit < fit_then else f"is {fit:.3f}"
        train_moved = f" while training loss {moved}"
    accuracy_moved = " (no accuracy is known)"
    if right is not None and right_then is not None:
        accuracy_moved = (
            f" and accuracy went from {right_then:.1%} to {right:.1%}" if at else f" with {right:.1%} right"
        )
    seen = curve.share(curve.train_accuracy)
    if right is not None and seen is not None and seen - right > view.rules.accuracy_gap:
        accuracy_moved += f" ({seen:.1%} of the training images)"
    return {
        "stood": stood,
        "val_moved": val_moved,
        "train_moved": train_moved,
        "accuracy_moved": accuracy_moved,
        "and_right": f", with {right:.1%} of the validation images right" if right is not None else "",
        "so_far": _so_far(view),
    }


def _so_far(view: RunView) -> str:
    curve = view.curve
    if len(curve) < 2:  # noqa: PLR2004 - nothing has changed yet
        return ""
    steps = [f"{'fell' if curve.val[-1] < curve.val[0] else 'rose'} from {curve.val[0]:.3f} to {curve.val[-1]:.3f}"]
    return f"; so far {'validation' if curve.has_val else 'training'} loss {steps[0]}"


def _memorizes(view: RunView, at: int) -> str:
    """That training images are memorized is said only where their loss fell, and accuracy or clean loss shows it."""
    curve = view.curve
    falls = curve.level(curve.fit) < curve.level(curve.fit, at)
    seen, right = curve.share(curve.train_accuracy), curve.share(curve.accuracy)
    shows = curve.is_clean or (seen is not None and right is not None and seen > right)
    if falls and shows and curve.has_train:
        return "The model memorizes its training images"
    return (
        "The model does worse on new images than on its training images"
        if curve.has_train
        else "The model gets worse on new images"
    )


def _leak(view: RunView, fit: float) -> str:
    copies = view.facts.copies_across if view.facts else 0
    if copies:
        return f"{copies} of {view.validation_images} validation images have a copy among the training images"
    return f"Validation images score better than training images that are scored in the same way ({fit:.3f})"
