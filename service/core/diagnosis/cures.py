"""The cures: the changes that diagnoses advise, and that an ablation may name as factors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.diagnosis import joint_patches, patches, pretrained_patch, temperature
from service.core.diagnosis.patches import Patch
from service.core.diagnosis.run_context import RunContext


@dataclass(frozen=True)
class Cure:
    """`title` names the change and `expected` its effect. `change` returns the patch, None if it does not apply.

    With an empty patch, no option of the spec makes this change: it concerns the data (`expected` says how), or
    a POST to `action`, a resource of the job, makes it without another training. `measured` returns the expected effect
    if it is known.
    """

    id: str
    title: str
    expected: str
    change: Callable[[RunContext], Patch | None]
    action: str | None = None
    measured: Callable[[RunContext], str | None] = lambda _: None


CURES: Mapping[str, Cure] = {
    cure.id: cure
    for cure in (
        Cure(
            "dropout",
            "More dropout",
            "neurons rely less on each other: training loss rises, the gap becomes smaller",
            patches.dropout,
        ),
        Cure(
            "spatial_dropout",
            "Spatial dropout",
            "whole feature maps are dropped: the gap becomes smaller",
            patches.spatial_dropout,
        ),
        Cure(
            "weight_decay",
            "More weight decay",
            "smaller weights give smoother and less certain predictions",
            patches.weight_decay,
        ),
        Cure("l1", "L1 penalty", "unimportant weights become zero", patches.l1),
        Cure(
            "label_smoothing",
            "Label smoothing",
            "the targets are less certain, so the predictions are too",
            patches.label_smoothing,
        ),
        Cure("mixup", "Mixup", "blended images cannot be memorized: training loss rises", patches.mixup),
        Cure("cutmix", "CutMix", "images with pasted boxes cannot be memorized: training loss rises", patches.cutmix),
        Cure("shift", "Shifted images", "the model never sees the same image twice, as with more data", patches.shift),
        Cure(
            "rotation",
            "Rotated images",
            "the model never sees the same image twice, as with more data",
            patches.rotation,
        ),
        Cure(
            "horizontal_flip",
            "Mirrored images",
            "twice as many images; use it only if mirrored images have the same class",
            patches.flip,
        ),
        Cure(
            "trivial_augment",
            "TrivialAugment",
            "the model never sees the same image twice, as with more data",
            patches.trivial_augment,
        ),
        Cure(
            "random_resized_crop",
            "Zoomed parts of the images",
            "the model sees its classes at many sizes and places, and never the same image twice",
            patches.random_resized_crop,
        ),
        Cure(
            "color_jitter",
            "Images of changed colours",
            "the model relies less on brightness, contrast and saturation, which differ between cameras",
            patches.color_jitter,
        ),
        Cure(
            "pretrained",
            "Start from pretrained weights",
            "the last layer uses features that were learned on many other pictures",
            pretrained_patch.pretrained,
            measured=pretrained_patch.hint,
        ),
        Cure("ema", "Averaged weights", "validation loss jumps less, and is often lower", patches.ema),
        Cure(
            "batch_norm",
            "Batch normalization",
            "faster and steadier training, and a little regularization",
            patches.batch_norm,
        ),
        Cure(
            "gradient_clipping",
            "Gradient clipping",
            "no single batch can move the weights far",
            patches.gradient_clipping,
        ),
        Cure("smaller_model", "A narrower model", "a smaller model can memorize less", patches.smaller_model),
        Cure("fewer_layers", "Fewer layers", "a smaller model can memorize less", patches.fewer_layers),
        Cure("smaller_kernels", "Smaller kernels", "fewer weights in each convolution", patches.smaller_kernels),
        Cure("larger_model", "A wider model", "training loss can fall further", patches.larger_model),
        Cure(
            "less_regularization", "Less regularization", "training loss can fall further", patches.less_regularization
        ),
        Cure("less_augmentation", "Less augmentation", "training loss can fall further", patches.less_augmentation),
        Cure(
            "lower_lr",
            "A lower learning rate",
            "smaller steps: losses fall smoothly instead of jumping",
            patches.lower_lr,
        ),
        Cure("higher_lr", "A higher learning rate", "larger steps: losses fall faster", patches.higher_lr),
        Cure(
            "usual_lr",
            "The optimizer's usual learning rate",
            "losses fall instead of standing still or exploding",
            patches.usual_lr,
        ),
        Cure(
            "decaying_lr",
            "A learning rate that falls",
            "the last epochs settle instead of jumping",
            patches.decaying_lr,
        ),
        Cure(
            "rate_and_schedule",
            "A lower learning rate that falls",
            "smaller steps from the start, and the last epochs settle",
            joint_patches.rate_and_schedule,
        ),
        Cure(
            "other_optimizer",
            "Another optimizer",
            "steps of another kind: SGD with momentum instead of Adam, or AdamW instead of SGD",
            joint_patches.other_optimizer,
        ),
        Cure(
            "decoupled_decay",
            "AdamW instead of Adam",
            "weight decay works independently of the gradient, which often gives better results on new images",
            joint_patches.decoupled_decay,
        ),
        Cure(
            "deeper_and_normalized",
            "A deeper, normalized network",
            "one more block, with normalization so that it trains well: training loss can fall further",
            joint_patches.deeper_and_normalized,
        ),
        Cure(
            "warmup",
            "A warm-up",
            "the first steps are small, so that none of them moves the weights far",
            patches.warmup,
        ),
        Cure(
            "normalize",
            "Normalized images",
            "inputs in the range that the initial weights expect",
            patches.normalize,
        ),
        Cure("longer_training", "More epochs", "the losses keep falling", patches.longer_training),
        Cure(
            "more_patience",
            "More patience",
            "a few epochs without improvement do not end the run",
            patches.more_patience,
        ),
        Cure("early_stopping", "Early stopping", "the same best model in less time", patches.early_stopping),
        Cure("larger_batch", "Larger batches", "steadier gradients and batch statistics", patches.larger_batch),
        Cure("larger_validation", "More validation images", "more reliable scores", patches.larger_validation),
        Cure(
            "more_data",
            "All training images",
            "the surest cure: more to learn, and less to memorize",
            patches.more_data,
        ),
        Cure("held_out_test", "A test part", "a score on images that were used for no choice", patches.held_out_test),
        Cure("collect", "More images", "the surest cure: more to learn, and less to memorize", patches.collect),
        Cure(
            "temperature",
            "A temperature for the probabilities",
            "a lower validation loss without another training; no predicted class changes",
            temperature.change,
            action="calibrate",
            measured=temperature.gain,
        ),
        Cure(
            "logit_adjusted",
            "Logit adjustment",
            "the loss corrects for the shares of the classes, so rare classes are predicted more often",
            patches.logit_adjusted,
        ),
        Cure("class_weights", "Class weights", "a mistake on a rare class costs more", patches.class_weights),
        Cure("balanced_sampling", "Balanced sampling", "every class is seen equally often", patches.balanced_sampling),
        Cure("focal", "Focal loss", "easy images count less, difficult ones more", patches.focal),
        Cure("no_copies", "Copies in one part", "a validation loss that is valid for new images", patches.no_copies),
    )
}
