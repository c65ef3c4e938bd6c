"""The parts of a job spec: frozen dataclasses of plain data, each option declared once.

The request schema, the API document and every default come from these declarations.
"""

from dataclasses import dataclass
from typing import Literal

from service.core.spec.options import option

BELOW_ONE = {"minimum": 0, "maximum": 1, "open_above": True}
BETWEEN_ZERO_AND_ONE = {"minimum": 0, "maximum": 1, "open_below": True, "open_above": True}


@dataclass(frozen=True)
class Dataset:
    """Which images, and how they are split. The split is stratified by class and drawn from the seed."""

    id: str = option("the data set's id, as GET /v1/datasets lists it", length=(1, 100))
    val_fraction: float = option("share of all images held out for validation", 0.2, minimum=0.05, maximum=0.5)
    test_fraction: float = option("share of all images held out for one final test", 0.0, minimum=0, maximum=0.5)
    image_size: int | None = option(
        "side to which the images are resized, square; null: as they are", None, minimum=8, maximum=512, unit="pixels"
    )
    train_limit: int | None = option(
        "train on at most this many images of the training split, stratified; null: all", None, minimum=2, unit="images"
    )


@dataclass(frozen=True)
class Optimizer:
    """The update rule. `betas` are used by adam and adamw, `momentum` and `nesterov` by sgd."""

    name: Literal["adam", "adamw", "sgd"] = option("the update rule", "adam")
    lr: float = option("learning rate; of a schedule, its highest", 1e-3, minimum=0, maximum=10, open_below=True)
    betas: tuple[float, float] = option(
        "decay of the two moment averages", (0.9, 0.999), minimum=0, maximum=1, open_above=True, length=(2, 2)
    )
    momentum: float = option("momentum of sgd", 0.0, minimum=0, maximum=1, open_above=True)
    nesterov: bool = option("Nesterov's momentum; needs momentum above 0", False)


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over the run."""

    name: Literal["constant", "cosine", "onecycle", "plateau", "step"] = option(
        "constant; cosine: half a cosine down to final_share (Loshchilov and Hutter, 2017); onecycle: up, then down "
        "(Smith and Topin, 2018); plateau: times gamma after plateau_patience epochs without a lower val_loss; "
        "step: times gamma every step_epochs",
        "constant",
    )
    warmup_epochs: int = option("linear rise from 0 at the start (Goyal et al., 2017)", 0, minimum=0, unit="epochs")
    final_share: float = option("of cosine: the share of lr it ends at", 0.0, minimum=0, maximum=1)
    rising_share: float = option("of onecycle: the share of the run that the rise takes", 0.3, **BETWEEN_ZERO_AND_ONE)
    start_divisor: float = option("of onecycle: it starts at lr over this", 25.0, minimum=1)
    final_divisor: float = option("of onecycle: it ends at the start's lr over this", 1e4, minimum=1)
    gamma: float = option("of plateau and step: the factor", 0.1, **BETWEEN_ZERO_AND_ONE)
    step_epochs: int = option("of step: epochs between two steps", 30, minimum=1, unit="epochs")
    plateau_patience: int = option(
        "of plateau: epochs in a row without improvement before a cut", 5, minimum=0, unit="epochs"
    )


@dataclass(frozen=True)
class Regularization:
    """Methods that keep the model from memorizing the training set."""

    dropout: float = option(
        "probability of dropping an input of a fully connected layer after the first, or where the architecture drops",
        0.0,
        **BELOW_ONE,
    )
    spatial_dropout: float = option(
        "probability of dropping a whole channel after each block of a cnn", 0.0, **BELOW_ONE
    )
    stochastic_depth: float = option(
        "probability of skipping the last residual branch; the others rise to it linearly", 0.0, **BELOW_ONE
    )
    weight_decay: float = option(
        "L2 strength, as the optimizer applies it: coupled for adam and sgd, decoupled for adamw",
        0.0,
        minimum=0,
        maximum=10,
    )
    l1: float = option("L1 strength: this times the sum of absolute weights", 0.0, minimum=0, maximum=10)
    l1_mode: Literal["loss", "proximal"] = option(
        "add L1 to the loss, or soft-threshold the weights after each step (exact zeros)", "loss", needs=("l1",)
    )
    decay_norm_and_bias: bool = option(
        "let weight decay and L1 act on biases and normalization parameters too", False, needs=("weight_decay", "l1")
    )
    label_smoothing: float = option("share of each target spread over all classes", 0.0, **BELOW_ONE)
    mixup_alpha: float = option(
        "mixup: images are blended with a share from Beta(alpha, alpha)", 0.0, minimum=0, maximum=100
    )
    cutmix_alpha: float = option(
        "cutmix: a box is pasted, its share from Beta(alpha, alpha)", 0.0, minimum=0, maximum=100
    )
    gradient_clip_norm: float | None = option(
        "scale the gradient down to this L2 norm where it is longer", None, minimum=0, open_below=True
    )
    max_norm: float | None = option(
        "scale each unit's incoming weights down to this L2 norm after each step", None, minimum=0, open_below=True
    )
    ema_decay: float | None = option(
        "score and keep a moving average of the weights with this decay a step (less in the first steps)",
        None,
        **BETWEEN_ZERO_AND_ONE,
    )
    class_weights: Literal["none", "balanced"] = option(
        "balanced: an image counts in inverse proportion to its class's share of the training split", "none"
    )
    sam_rho: float = option(
        "sharpness-aware minimization (Foret et al., 2021): each step takes the gradient where the loss is highest "
        "within this L2 distance of the weights, in two passes; usual are 0.05, or 0.5 with sam_adaptive",
        0.0,
        minimum=0,
        maximum=1,
        since="0.2.0",
    )
    sam_adaptive: bool = option(
        "measure sam_rho relative to the size of each weight (Kwon et al., 2021)",
        False,
        since="0.2.0",
        needs=("sam_rho",),
    )


@dataclass(frozen=True)
class RandAugment:
    """RandAugment (Cubuk et al., 2020)."""

    operations: int = option("random operations in a row on each image", 2, minimum=1, maximum=8)
    magnitude: int = option("strength of each", 9, minimum=0, maximum=30)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images, drawn anew each time. Only normalize also acts on scored images."""

    crop_padding: int = option("zeros around the image, then a random crop of its size", 0, minimum=0, unit="pixels")
    horizontal_flip: bool = option("mirror every second image, at random", False)
    rotation_degrees: float = option(
        "rotate by a random angle up to this, to either side", 0.0, minimum=0, maximum=180, unit="degrees"
    )
    trivial_augment: bool = option(
        "one random operation of random strength on each image (Mueller and Hutter, 2021)", False
    )
    rand_augment: RandAugment | None = option("random operations of one strength on each image; null: none", None)
    random_erasing: float = option(
        "probability of blanking a random rectangle (Zhong et al., 2020)", 0.0, minimum=0, maximum=1
    )
    normalize: bool = option(
        "subtract the training split's mean and divide by its standard deviation, per channel", True
    )


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop, and what counts as better. Improvement is strict: value < best - min_delta (mirrored for max)."""

    monitor: Literal["val_loss", "val_accuracy"] = option("the measure to watch", "val_loss")
    mode: Literal["min", "max"] | None = option("better is lower or higher; null: by the monitor", None)
    patience: int = option("stop after this many epochs in a row without improvement", 10, minimum=1, unit="epochs")
    cooldown: int = option(
        "epochs after an improvement that do not count towards patience", 0, minimum=0, unit="epochs", since="0.2.0"
    )
    min_delta: float = option("a change must be larger than this to count as an improvement", 0.0, minimum=0)
    min_delta_mode: Literal["abs", "rel"] = option(
        "min_delta in the measure's own unit, or relative to the best", "abs"
    )
    start_epoch: int = option("first epoch that can use up patience", 1, minimum=1, unit="epochs")
    baseline: float | None = option("patience is used up until this value is beaten", None)
    stopping_threshold: float | None = option("stop, as target_reached, once the measure is as good as this", None)
    divergence_threshold: float | None = option("stop, as diverged, once the measure is worse than this", None)


@dataclass(frozen=True)
class Webhook:
    """Where to send messages about the job."""

    url: str = option("an https:// or http:// address; a signed message is POSTed there", length=(1, 2000))
    events: tuple[
        Literal["queued", "running", "paused", "succeeded", "failed", "cancelled", "epoch", "resumed", "diagnosis"], ...
    ] = option(
        "which events are sent: the job's statuses, its epochs, its restarts from a checkpoint, its verdicts",
        ("succeeded", "failed", "cancelled"),
        length=(1, 9),
    )


def direction(monitor: str) -> Literal["min", "max"]:
    """Whether a lower (min) or a higher (max) value of the monitored measure is better."""
    return "max" if monitor == "val_accuracy" else "min"
