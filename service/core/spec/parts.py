"""The parts of a job spec: frozen dataclasses of plain data, each option declared once.

The request schema, the API document and every default come from these declarations.
"""

from dataclasses import dataclass
from typing import Literal

from service.core.spec.options import option

BELOW_ONE = {"minimum": 0, "maximum": 1, "open_above": True}
Monitor = Literal[
    "val_loss",
    "val_accuracy",
    "val_macro_f1",
    "val_balanced_accuracy",
    "val_worst_recall",
    "val_loss_calibrated",
]
LEAST_FOLDS, MOST_FOLDS = 2, 20
LARGEST_SEED = 2**32 - 1
DEFAULT_MONITOR: Monitor = "val_loss"
LOSSES: tuple[Monitor, ...] = ("val_loss", "val_loss_calibrated")
BETWEEN_ZERO_AND_ONE = {"minimum": 0, "maximum": 1, "open_below": True, "open_above": True}


@dataclass(frozen=True)
class Fold:
    """One of several parts of about the same size, which together have every image that is not held out for the test.

    The split is stratified by class and drawn from the seed. All folds of one seed have the same test images.
    """

    of: int = option("number of folds", 5, minimum=LEAST_FOLDS, maximum=MOST_FOLDS)
    index: int = option(
        "the fold that validates, counted from 0; the other folds train", 0, minimum=0, maximum=MOST_FOLDS - 1
    )


@dataclass(frozen=True)
class Dataset:
    """Which images to use and how to split them. The split is stratified by class and drawn from the seed."""

    id: str = option("id of the data set, from GET /v1/datasets", length=(1, 100))
    val_fraction: float = option(
        "share of all images for validation, which chooses the best epoch", 0.2, minimum=0.05, maximum=0.5
    )
    test_fraction: float = option(
        "share of all images for one final test with the best model", 0.0, minimum=0, maximum=0.5
    )
    image_size: int | None = option(
        "resize the images to squares of this side; null: keep their size",
        None,
        minimum=8,
        maximum=512,
        unit="pixels",
    )
    resize: Literal["square", "crop", "pad"] = option(
        "how images of another size or shape get the size of the input. square: both sides are scaled, which distorts "
        "images of another shape. crop: the shorter side is scaled, and the middle is kept. pad: the longer side is "
        "scaled, and the borders are black. Predictions do the same with new pictures",
        "square",
        since="0.2.0",
    )
    train_limit: int | None = option(
        "maximum number of training images, with the same shares of the classes; null: all",
        None,
        minimum=2,
        unit="images",
    )
    fold: Fold | None = option(
        "validate on one fold instead of a val_fraction of the images, and train on the others; null: off. "
        "POST /v1/folds runs a job for each fold",
        None,
        since="0.2.0",
    )
    split_seed: int | None = option(
        "seed of the split. With it, jobs with different seeds have the same training, validation and test images; "
        "null: seed draws the split",
        None,
        minimum=0,
        maximum=LARGEST_SEED,
        since="0.2.0",
    )


@dataclass(frozen=True)
class Optimizer:
    """The update rule. adam and adamw use `betas`, sgd and sgdw use `momentum` and `nesterov`."""

    name: Literal["adam", "adamw", "sgd", "sgdw"] = option(
        "update rule. adamw, sgdw: adam and sgd with decoupled weight decay (Loshchilov and Hutter, 2019)",
        "adam",
        later={"sgdw": "0.2.0"},
    )
    lr: float = option(
        "learning rate. With a schedule: its highest value", 1e-3, minimum=0, maximum=10, open_below=True
    )
    betas: tuple[float, float] = option(
        "adam, adamw: decay of the averages of the gradient and of its square",
        (0.9, 0.999),
        minimum=0,
        maximum=1,
        open_above=True,
        length=(2, 2),
    )
    momentum: float = option("sgd, sgdw: momentum", 0.0, minimum=0, maximum=1, open_above=True)
    nesterov: bool = option("sgd, sgdw: Nesterov's form of the momentum; needs momentum above 0", False)


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over the run."""

    name: Literal["constant", "cosine", "onecycle", "plateau", "step"] = option(
        "shape of the learning rate over the run. constant: always lr. cosine: falls along half a cosine to "
        "final_share of lr (Loshchilov and Hutter, 2017). onecycle: rises, then falls (Smith and Topin, 2018). "
        "plateau: multiplied by gamma after plateau_patience epochs in a row without a better plateau_monitor. "
        "step: multiplied by gamma every step_epochs epochs",
        "constant",
    )
    warmup_epochs: int = option(
        "epochs of a linear rise from 0 before the schedule begins (Goyal et al., 2017)", 0, minimum=0, unit="epochs"
    )
    final_share: float = option("cosine: final learning rate as a share of lr", 0.0, minimum=0, maximum=1)
    rising_share: float = option("onecycle: share of the run in which the rate rises", 0.3, **BETWEEN_ZERO_AND_ONE)
    start_divisor: float = option("onecycle: the run starts at lr divided by this", 25.0, minimum=1)
    final_divisor: float = option("onecycle: the run ends at its first learning rate divided by this", 1e4, minimum=1)
    anneal: Literal["cosine", "linear"] = option(
        "onecycle: shape of the rise and the fall. linear: a triangle",
        "cosine",
        since="0.2.0",
        only_with=("name", "onecycle"),
    )
    gamma: float = option("plateau, step: factor of each cut", 0.1, **BETWEEN_ZERO_AND_ONE)
    step_epochs: int = option("step: epochs between two cuts", 30, minimum=1, unit="epochs")
    plateau_patience: int = option(
        "plateau: cut the learning rate after this number of epochs in a row without a better plateau_monitor; 0 is "
        "the same as 1",
        5,
        minimum=0,
        unit="epochs",
    )
    plateau_monitor: Monitor | None = option("plateau: measure to watch; null: val_loss", None, since="0.2.0")


@dataclass(frozen=True)
class Regularization:
    """Methods that keep the model from memorizing the training set."""

    dropout: float = option(
        "probability of setting an input of a fully connected layer (except the first) to 0 in training. torchvision's "
        "networks drop in their usual places. Try 0.3 when the model memorizes",
        0.0,
        **BELOW_ONE,
    )
    spatial_dropout: float = option(
        "probability of setting a whole channel to 0 after each block of a cnn, in training", 0.0, **BELOW_ONE
    )
    stochastic_depth: float = option(
        "probability of skipping the last residual branch in training. Earlier branches have a smaller probability, "
        "in proportion to their depth",
        0.0,
        **BELOW_ONE,
    )
    weight_decay: float = option(
        "L2 strength: keeps weights small. Usual: 0.0001 to 0.01. Coupled for adam and sgd, decoupled for adamw and "
        "sgdw",
        0.0,
        minimum=0,
        maximum=10,
    )
    l1: float = option("L1 strength: factor of the sum of absolute weights in the penalty", 0.0, minimum=0, maximum=10)
    l1_mode: Literal["loss", "proximal"] = option(
        "loss: add L1 to the loss. proximal: soft-threshold the weights after each step, which gives exact zeros",
        "loss",
        needs=("l1",),
    )
    decay_norm_and_bias: bool = option(
        "apply weight decay and L1 to biases and normalization parameters too", False, needs=("weight_decay", "l1")
    )
    label_smoothing: float = option(
        "share of each target that is spread evenly over all classes. Usual: 0.1", 0.0, **BELOW_ONE
    )
    mixup_alpha: float = option(
        "mixup: blend pairs of images in a ratio from Beta(alpha, alpha). Usual: 0.2; 0: off",
        0.0,
        minimum=0,
        maximum=100,
    )
    cutmix_alpha: float = option(
        "CutMix: paste a box of another image, its area from Beta(alpha, alpha). Usual: 1; 0: off",
        0.0,
        minimum=0,
        maximum=100,
    )
    gradient_clip_norm: float | None = option(
        "maximum L2 norm of the gradient: a longer one is scaled down; null: off", None, minimum=0, open_below=True
    )
    max_norm: float | None = option(
        "maximum L2 norm of each unit's incoming weights, enforced after each step; null: off",
        None,
        minimum=0,
        open_below=True,
    )
    ema_decay: float | None = option(
        "decay per step of a moving average of the weights. The average is scored and saved instead of the weights. "
        "Usual: 0.99 to 0.999 (the first steps use less); null: off",
        None,
        **BETWEEN_ZERO_AND_ONE,
    )
    lookahead_steps: int | None = option(
        "Lookahead (Zhang et al., 2019): after this number of steps, but at least once in an epoch, slow weights move "
        "towards the weights by lookahead_alpha of the way, and the weights go back to them. The slow weights are "
        "scored and saved. Usual: 5; null: off",
        None,
        minimum=1,
        maximum=1000,
        unit="steps",
        since="0.2.0",
    )
    lookahead_alpha: float = option(
        "Lookahead: share of the way that the slow weights move",
        0.5,
        minimum=0,
        maximum=1,
        open_below=True,
        since="0.2.0",
        needs=("lookahead_steps",),
    )
    lookahead_power: float = option(
        "Lookahead: the share falls from 1 at the first step to lookahead_alpha at the last one, as 1 - (1 - "
        "lookahead_alpha) x^power of the share x of the run. Jordan (2024): 3 with an alpha of 0.23; 0: the same share "
        "at all steps",
        0.0,
        minimum=0,
        maximum=10,
        since="0.2.0",
        needs=("lookahead_steps",),
    )
    average_best: int | None = option(
        "number of best epochs whose weights are averaged at the end. The average starts with the best epoch. Each "
        "further epoch is added only if the average then scores better on the validation images (a greedy soup, "
        "Wortsman et al., 2022). The average is kept if it beats the best epoch. Usual: 3 to 5; null: keep the best "
        "epoch",
        None,
        minimum=2,
        maximum=20,
        unit="epochs",
        since="0.2.0",
    )
    class_weights: Literal["none", "balanced"] = option(
        "balanced: images of rare classes count more, so that every class has the same weight", "none"
    )
    sampling: Literal["natural", "balanced"] = option(
        "natural: each epoch has every training image once. balanced: each epoch draws as many images with "
        "replacement, every class with the same probability",
        "natural",
        since="0.2.0",
    )
    loss: Literal["cross_entropy", "focal", "logit_adjusted"] = option(
        "loss to minimize. focal: images that the model classifies with certainty count less (Lin et al., 2017). "
        "logit_adjusted: cross entropy of logits that are raised for frequent classes, so that rare classes need a "
        "wider margin (Menon et al., 2021). val_loss is always cross entropy",
        "cross_entropy",
        since="0.2.0",
    )
    focal_gamma: float = option(
        "focal: exponent of the weight (1 - p)^gamma of an image with probability p of its class; 0: cross entropy",
        2.0,
        minimum=0,
        maximum=10,
        since="0.2.0",
        only_with=("loss", "focal"),
    )
    logit_adjustment: float = option(
        "logit_adjusted: in training, the logarithm of a class's share of the training images, times this, is added to "
        "its logit; 0: cross entropy",
        1.0,
        minimum=0,
        maximum=10,
        since="0.2.0",
        only_with=("loss", "logit_adjusted"),
    )
    sam_rho: float = option(
        "sharpness-aware minimization (Foret et al., 2021): each step uses the gradient at the highest loss within "
        "this L2 distance of the weights. It takes two passes a step. Usual: 0.05, or 0.5 with sam_adaptive; 0: off",
        0.0,
        minimum=0,
        maximum=1,
        since="0.2.0",
    )
    sam_adaptive: bool = option(
        "scale sam_rho by the size of each weight (Kwon et al., 2021)",
        False,
        since="0.2.0",
        needs=("sam_rho",),
    )

    @property
    def balancing(self) -> tuple[str, ...]:
        """The options, by name, that give every class the same weight in training for any number of its images."""
        balanced = {"class_weights": "balanced", "sampling": "balanced", "loss": "logit_adjusted"}
        return tuple(name for name, value in balanced.items() if getattr(self, name) == value)


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop. The model of the best epoch is kept; min_delta does not change this.

    Patience counts the epochs since the last improvement. An improvement beats the value of the improvement before it
    by more than min_delta: value < before - min_delta (mode min) or value > before + min_delta (max).
    """

    monitor: Monitor = option(
        "measure to watch. val_macro_f1, val_balanced_accuracy: means over all classes. val_worst_recall: the lowest "
        "recall of a class. val_loss_calibrated: val_loss at the best temperature",
        DEFAULT_MONITOR,
        later=dict.fromkeys(
            ("val_macro_f1", "val_balanced_accuracy", "val_worst_recall", "val_loss_calibrated"), "0.2.0"
        ),
    )
    mode: Literal["min", "max"] | None = option(
        "whether lower (min) or higher (max) is better; null: depends on monitor", None
    )
    patience: int = option(
        "stop after this number of epochs in a row without improvement", 10, minimum=1, unit="epochs"
    )
    cooldown: int = option(
        "epochs after an improvement that do not count towards patience", 0, minimum=0, unit="epochs", since="0.2.0"
    )
    min_delta: float = option(
        "only an improvement larger than this resets the count of patience. It does not affect which model is kept",
        0.0,
        minimum=0,
    )
    min_delta_mode: Literal["abs", "rel"] = option(
        "abs: min_delta is in the unit of the measure. rel: min_delta is a share of the value of the last improvement",
        "abs",
    )
    start_epoch: int = option("first epoch that counts towards patience", 1, minimum=1, unit="epochs")
    baseline: float | None = option(
        "value to beat: until then, improvements do not reset the count of patience; null: none", None
    )
    stopping_threshold: float | None = option(
        "stop as target_reached when the measure is at least as good as this; null: off", None
    )
    divergence_threshold: float | None = option("stop as diverged when the measure is worse than this; null: off", None)


@dataclass(frozen=True)
class Webhook:
    """Where to send messages about the job."""

    url: str = option("https:// or http:// address that receives signed messages by POST", length=(1, 2000))
    events: tuple[
        Literal["queued", "running", "paused", "succeeded", "failed", "cancelled", "epoch", "resumed", "diagnosis"], ...
    ] = option(
        "events to send: statuses of the job, epochs, restarts from a checkpoint (resumed) and verdicts (diagnosis)",
        ("succeeded", "failed", "cancelled"),
        length=(1, 9),
    )


def direction(monitor: str) -> Literal["min", "max"]:
    """Whether a lower (min) or a higher (max) value of the monitored measure is better."""
    return "min" if monitor in LOSSES else "max"
