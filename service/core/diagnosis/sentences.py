"""The sentences of summaries: what was seen, what it means, and what would speak against it.

Names in braces are those of words.py.
"""

from collections.abc import Mapping

from service.core.diagnosis.verdicts import Verdict

NOTHING = "No epoch has ended yet, so there is no diagnosis."
BROKEN = "The losses were not finite numbers from the start. The steps are far too large."
NO_VALIDATION = (
    "Training loss is {fit:.3f} after {after}. Without validation losses, nothing tells whether the model "
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
    Verdict.STAGNANT_GENERALIZATION: "{stood} while training loss {fit_moves}.",
    Verdict.UNDERFITTING: (
        "Training loss has stopped at {fit:.3f}, where guessing scores {guess:.3f}, and validation loss at {val:.3f}."
    ),
    Verdict.NOT_LEARNING: (
        "After {after} training loss is {fit:.3f}, no better than guessing by the labels' frequencies ({guess:.3f})."
    ),
    Verdict.STILL_IMPROVING: "{loss_name} was still falling at epoch {last}, where it was {val:.3f}.",
    Verdict.DIVERGED: "{diverged}.",
    Verdict.UNSTABLE: (
        "Since epoch {onset} training loss {train_moves}, and validation loss is {val:.3f} after "
        "{lowest:.3f} at epoch {lowest_at}."
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
