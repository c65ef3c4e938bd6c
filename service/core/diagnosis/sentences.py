"""The sentences of summaries: the observation, its meaning, and what would contradict it.

Names in braces are those of words.py.
"""

from collections.abc import Mapping

from service.core.diagnosis.verdicts import Verdict

NOTHING = "No epoch has ended yet, so there is no diagnosis."
ENDED_BEFORE = "The run ended before its first epoch was complete. It has no curve, so there is no diagnosis."
CANCELLED_BEFORE = "It was cancelled before its first epoch was complete. It has no curve, so there is no diagnosis."
BROKEN = "The losses were not finite numbers from the start. The steps are far too large."
NO_VALIDATION = (
    "Training loss is {fit:.3f} after {after}. Without validation losses, it is unknown whether the model "
    "generalizes. Log a validation loss for each epoch."
)
LAGGING = (
    " The clean training loss is {clean:.3f}, far above the training loss of {train:.3f}. The running statistics of "
    "normalization layers are out of date, and this also raises validation loss."
)
LABELS = (
    " Wrong labels are likely: validation accuracy was highest early and then fell, while the training images were "
    "learnt slowly, one by one."
)

SEEN: Mapping[Verdict, str] = {
    Verdict.HEALTHY: "Validation loss came down to {val:.3f} and stays close to training loss ({fit:.3f}){and_right}.",
    Verdict.OVERFITTING: "{val_moved}{train_moved}{accuracy_moved}.",
    Verdict.OVERCONFIDENT: "{val_moved}{train_moved}{accuracy_moved}.",
    Verdict.STAGNANT_GENERALIZATION: "{stood} while training loss {fit_moves}.",
    Verdict.UNDERFITTING: (
        "At the end, training loss is {fit:.3f} and validation loss is {val:.3f}. The loss of guessing is {guess:.3f}."
    ),
    Verdict.NOT_LEARNING: (
        "After {after}, training loss is {fit:.3f}, no better than guessing by the frequencies of the labels "
        "({guess:.3f})."
    ),
    Verdict.STILL_IMPROVING: "{falling}.",
    Verdict.DIVERGED: "{diverged}.",
    Verdict.UNSTABLE: (
        "Since epoch {onset}, training loss {train_moves}. Validation loss was lowest at epoch {lowest_at}, "
        "{lowest:.3f}, and is {val:.3f} now."
    ),
    Verdict.NOISY_VALIDATION: "Validation loss jumps by about {jumps:.3f} from epoch to epoch, around {val:.3f}.",
    Verdict.SMALL_VALIDATION: "Validation loss is {val:.3f}{interval} on only {images}.",
    Verdict.TRAIN_ABOVE_VALIDATION: (
        "Training loss ({train:.3f}) is above validation loss ({val:.3f}) because it is measured with dropout, "
        "augmentation, mixing or smoothing, and while the weights still change{clean_is}."
    ),
    Verdict.SUSPECTED_LEAKAGE: "{leak}.",
    Verdict.RARE_CLASSES_IGNORED: (
        "The model classifies {rare_right} of {rare_images} validation images of rare classes correctly, and "
        "{other_right:.1%} of the others. The worst class is {worst}."
    ),
    Verdict.TOO_SHORT_TO_TELL: "There is no trend yet after {count}{so_far}.",
}
# By the evidence that comes first.
DIVERGED: Mapping[str, str] = {
    "not_finite": "From epoch {onset} on, the losses are not finite numbers",
    "val_loss_at_end": "Validation loss is {val:.3g} at the end, above the divergence threshold",
    "train_loss_at_end": (
        "The losses exploded at epoch {onset}: training loss ends at {fit:.3g}, and the loss of guessing is {guess:.3f}"
    ),
    "highest_train_loss": (
        "Training loss rose to {highest:.3g} and has not fallen well below the loss of guessing ({guess:.3f}) since: "
        "it ends at {fit:.3f}"
    ),
    "lowest_train_loss": (
        "From epoch {onset} on, earlier progress was lost: training loss had fallen to {lowest_fit:.3f} and is "
        "{fit:.3f} at the end"
    ),
}
FALLING: Mapping[str, str] = {
    "val_fall": "{loss_name} was still falling at epoch {last}, where it was {val:.3f}",
    "train_fall": (
        "Training loss was still falling at epoch {last}, where it was {fit:.3f}, and validation loss was near its "
        "lowest level"
    ),
}
MEANS: Mapping[Verdict, str] = {
    Verdict.HEALTHY: (
        "The model generalizes to new images. A rise of validation loss in further epochs would contradict this."
    ),
    Verdict.OVERFITTING: (
        "{memorizes}. The model of epoch {kept} is kept. If validation loss falls again in further epochs, this is not "
        "overfitting."
    ),
    Verdict.OVERCONFIDENT: (
        "The model is right as often as before but more certain, also when it is wrong. A temperature should lower the "
        "loss without a change of any predicted class. If it does not, the predictions themselves got worse."
    ),
    Verdict.STAGNANT_GENERALIZATION: (
        "{memorizes}, and further training {helps}. If validation loss falls by more than its noise in further epochs, "
        "this is wrong."
    ),
    Verdict.UNDERFITTING: (
        "The model does not fit its training images: it is too small, regularized too much, or its learning rate is "
        "wrong. If a larger model or another learning rate stops at the same loss, the limit is in the data."
    ),
    Verdict.NOT_LEARNING: (
        "The model learns nothing: the learning rate, the inputs or the labels are wrong. If training loss falls "
        "steadily below the loss of guessing, it does learn."
    ),
    Verdict.STILL_IMPROVING: (
        "Longer training will probably lower validation loss further. If it does not fall in as many epochs again, it "
        "has reached its lowest value."
    ),
    Verdict.DIVERGED: (
        "The steps are too large to stay near a minimum. The model of epoch {kept} is kept. If a tenth of the learning "
        "rate gives the same result, check the inputs."
    ),
    Verdict.UNSTABLE: (
        "The model also gets worse on its training images. This is not overfitting: the steps are too large. If a "
        "lower learning rate changes nothing, look for wrong inputs or labels."
    ),
    Verdict.NOISY_VALIDATION: (
        "The best epoch was partly luck, and early stopping may react to noise. If a lower learning rate does not "
        "reduce the jumps, there are too few validation images."
    ),
    Verdict.SMALL_VALIDATION: "Small changes may be chance. To see them, use more validation images.",
    Verdict.TRAIN_ABOVE_VALIDATION: (
        "This is expected. Compare the clean training loss with the validation loss instead. If the gap remains "
        "without dropout, augmentation, mixing and smoothing, it has another reason."
    ),
    Verdict.SUSPECTED_LEAKAGE: (
        "Validation loss ({val:.3f}) may come from memorized or easier images, and be higher on new ones. To find out, "
        "score images that were certainly not used for training."
    ),
    Verdict.RARE_CLASSES_IGNORED: (
        "The mean over all images hides this. More images of these classes help most. Training can also give them more "
        "weight. If the recall is equal on more validation images, this was chance."
    ),
    Verdict.TOO_SHORT_TO_TELL: "A trend needs at least {least} epochs.",
}
STUCK = (
    "In each epoch, {right:.1%} of the validation images are right, and training loss ({fit:.3f}) is the loss of "
    "always predicting one class. The model predicts the largest class for every image. If the accuracy changes, or "
    "several classes have a recall above 0, this is wrong."
)
