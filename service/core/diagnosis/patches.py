"""Changes of a spec as JSON Patches (RFC 6902), None if the spec has the change already or cannot use it.

Each changes one thing and stays within the limits of the spec.
"""

from typing import Any

from service.core.diagnosis.run_context import RunContext
from service.core.spec import Cnn, Mlp, Torchvision

Patch = list[dict[str, Any]]

SMALL_SIDE = 16  # pixels; a smaller image has no room for a shift of more than one
MOST_DROPOUT = 0.5
DECAYS = {
    "adam": (1e-3, 1e-2),
    "sgd": (1e-3, 1e-2),
    "adamw": (0.05, 0.5),
    "sgdw": (1e-3, 1e-2),
}  # (first value, largest value)
USUAL_LR = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.05, "sgdw": 0.05}
MOST_LR, LEAST_LR = 1.0, 1e-7


def put(pointer: str, value: Any) -> Patch:
    """Set one value. The effective spec has every field, so `add` replaces what is there."""
    return [{"op": "add", "path": pointer, "value": value}]


def dropout(case: RunContext) -> Patch | None:
    spec, rate = case.spec, case.spec.regularization.dropout
    acts = isinstance(spec.model, Cnn | Torchvision) or (isinstance(spec.model, Mlp) and spec.model.hidden)
    if not acts or rate >= MOST_DROPOUT:
        return None
    return put("/regularization/dropout", 0.3 if rate < 0.2 else MOST_DROPOUT)  # noqa: PLR2004 - a step of two


def spatial_dropout(case: RunContext) -> Patch | None:
    rate = case.spec.regularization.spatial_dropout
    return put("/regularization/spatial_dropout", 0.2) if isinstance(case.spec.model, Cnn) and not rate else None


def weight_decay(case: RunContext) -> Patch | None:
    first, most = DECAYS[case.spec.optimizer.name]
    now = case.spec.regularization.weight_decay
    if now >= most:
        return None
    return put("/regularization/weight_decay", min(most, max(first, 5 * now)))


def l1(case: RunContext) -> Patch | None:
    return None if case.spec.regularization.l1 else put("/regularization/l1", 1e-4)


def label_smoothing(case: RunContext) -> Patch | None:
    return None if case.spec.regularization.label_smoothing else put("/regularization/label_smoothing", 0.1)


def logit_adjusted(case: RunContext) -> Patch | None:
    return _for_rare_classes(case, "loss", "logit_adjusted")


def class_weights(case: RunContext) -> Patch | None:
    return _for_rare_classes(case, "class_weights", "balanced")


def balanced_sampling(case: RunContext) -> Patch | None:
    return _for_rare_classes(case, "sampling", "balanced")


def focal(case: RunContext) -> Patch | None:
    return _for_rare_classes(case, "loss", "focal")


def _for_rare_classes(case: RunContext, option: str, value: str) -> Patch | None:
    """One of the options that balance classes; several would balance them more than once."""
    regularization = case.spec.regularization
    taken = regularization.balancing or regularization.loss != "cross_entropy"
    return None if taken else put(f"/regularization/{option}", value)


def mixup(case: RunContext) -> Patch | None:
    mixed = case.spec.regularization.mixup_alpha or case.spec.regularization.cutmix_alpha
    return None if mixed else put("/regularization/mixup_alpha", 0.4)


def cutmix(case: RunContext) -> Patch | None:
    mixed = case.spec.regularization.mixup_alpha or case.spec.regularization.cutmix_alpha
    small = case.side is None or case.side < 2 * SMALL_SIDE
    return None if mixed or small else put("/regularization/cutmix_alpha", 1.0)


def shift(case: RunContext) -> Patch | None:
    """Crops after padding by an eighth of the side. Not for an mlp: to it a shifted image is a different one."""
    if case.spec.augmentation.crop_padding or case.side is None or isinstance(case.spec.model, Mlp):
        return None
    return put("/augmentation/crop_padding", max(1, case.side // 8))


def rotation(case: RunContext) -> Patch | None:
    return None if case.spec.augmentation.rotation_degrees else put("/augmentation/rotation_degrees", 10.0)


def flip(case: RunContext) -> Patch | None:
    applies = case.may_be_mirrored and not case.spec.augmentation.horizontal_flip
    return put("/augmentation/horizontal_flip", True) if applies else None


def trivial_augment(case: RunContext) -> Patch | None:
    usable = _is_photograph(case) and not _has_policy(case)
    return put("/augmentation/trivial_augment", True) if usable else None


def random_resized_crop(case: RunContext) -> Patch | None:
    usable = _is_photograph(case) and case.spec.augmentation.random_resized_crop is None
    return put("/augmentation/random_resized_crop", 0.5) if usable else None


def color_jitter(case: RunContext) -> Patch | None:
    """Not beside a policy, which changes colours too."""
    usable = _is_photograph(case) and not case.spec.augmentation.color_jitter and not _has_policy(case)
    return put("/augmentation/color_jitter", 0.3) if usable else None


def _is_photograph(case: RunContext) -> bool:
    """Whether the pictures have colours, and room for changes that are made for photographs."""
    return case.contents is not None and case.contents.shape[0] == 3 and (case.side or 0) >= SMALL_SIDE  # noqa: PLR2004


def _has_policy(case: RunContext) -> bool:
    return case.spec.augmentation.trivial_augment or case.spec.augmentation.rand_augment is not None


def ema(case: RunContext) -> Patch | None:
    regularization = case.spec.regularization
    is_averaged = regularization.ema_decay is not None or regularization.lookahead_steps is not None
    return None if is_averaged else put("/regularization/ema_decay", 0.99)


def batch_norm(case: RunContext) -> Patch | None:
    model = case.spec.model
    usable = isinstance(model, Cnn) and model.norm == "none" and case.spec.batch_size > 1
    return put("/model/norm", "batch") if usable else None


def gradient_clipping(case: RunContext) -> Patch | None:
    clipped = case.spec.regularization.gradient_clip_norm is not None
    return None if clipped else put("/regularization/gradient_clip_norm", 1.0)


def smaller_model(case: RunContext) -> Patch | None:
    """Half the width; one layer less if the model is narrow already."""
    match case.spec.model:
        case Mlp() as model if model.hidden:
            return put("/model/hidden", list(_narrower(model.hidden)))
        case Cnn() as model:
            channels, dense = _halved(model.channels), _halved(model.hidden)
            if (channels, dense) == (model.channels, model.hidden):
                return None
            return put("/model/channels", list(channels)) + put("/model/hidden", list(dense))
    return None


def _narrower(hidden: tuple[int, ...]) -> tuple[int, ...]:
    halved = _halved(hidden)
    return halved if halved != hidden else hidden[1:]


def _halved(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(4, width // 2) if width > 4 else width for width in widths)  # noqa: PLR2004 - narrower layers learn nothing


def fewer_layers(case: RunContext) -> Patch | None:
    match case.spec.model:
        case Cnn(hidden=hidden) | Mlp(hidden=hidden) if hidden:
            return put("/model/hidden", list(hidden[1:]))
    return None


def smaller_kernels(case: RunContext) -> Patch | None:
    model = case.spec.model
    return put("/model/kernel_size", 3) if isinstance(model, Cnn) and model.kernel_size > 3 else None  # noqa: PLR2004


def larger_model(case: RunContext) -> Patch | None:
    """Twice the width, and at least the smallest width that learns something."""
    match case.spec.model:
        case Mlp() as mlp:
            return put("/model/hidden", [min(4096, max(64, 2 * width)) for width in mlp.hidden or (32,)])
        case Cnn() as model:
            channels = [min(1024, max(16, 2 * width)) for width in model.channels]
            hidden = [min(4096, max(64, 2 * width)) for width in model.hidden or (32,)]
            return put("/model/channels", channels) + put("/model/hidden", hidden)
    return None


def less_regularization(case: RunContext) -> Patch | None:
    """Halve every regularization, divide weight penalties by 10, and switch mixing off."""
    now, patch = case.spec.regularization, []
    for name in ("dropout", "spatial_dropout", "stochastic_depth", "weight_decay", "l1", "label_smoothing"):
        if value := getattr(now, name):
            patch += put(f"/regularization/{name}", value / 10 if name in ("weight_decay", "l1") else value / 2)
    for name in ("mixup_alpha", "cutmix_alpha"):
        if getattr(now, name):
            patch += put(f"/regularization/{name}", 0.0)
    return patch or None


def less_augmentation(case: RunContext) -> Patch | None:
    now, patch = case.spec.augmentation, []
    if now.trivial_augment:
        patch += put("/augmentation/trivial_augment", False)
    if now.rand_augment:
        patch += put("/augmentation/rand_augment", None)
    if now.augmix:
        patch += put("/augmentation/augmix", False)
    if now.random_erasing:
        patch += put("/augmentation/random_erasing", 0.0)
    if now.random_resized_crop is not None:
        patch += put("/augmentation/random_resized_crop", None)
    if now.color_jitter:
        patch += put("/augmentation/color_jitter", 0.0)
    return patch or None


def lower_lr(case: RunContext) -> Patch | None:
    lr = case.spec.optimizer.lr
    return put("/optimizer/lr", lr / 10) if lr / 10 >= LEAST_LR else None


def higher_lr(case: RunContext) -> Patch | None:
    lr = case.spec.optimizer.lr
    return put("/optimizer/lr", lr * 10) if lr * 10 <= MOST_LR else None


def usual_lr(case: RunContext) -> Patch | None:
    """The usual initial learning rate of the optimizer."""
    usual = USUAL_LR[case.spec.optimizer.name]
    return put("/optimizer/lr", usual) if not usual / 5 <= case.spec.optimizer.lr <= usual * 5 else None


def decaying_lr(case: RunContext) -> Patch | None:
    """A cosine schedule, without early stopping: it has to run to its end."""
    if case.spec.schedule.name != "constant" or case.spec.schedule.warmup_epochs:
        return None
    patch = put("/schedule/name", "cosine")
    return patch + (put("/early_stopping", None) if case.spec.early_stopping else [])


def warmup(case: RunContext) -> Patch | None:
    """Five epochs, or a tenth of a short run."""
    schedule, epochs = case.spec.schedule, min(5, case.spec.epochs // 10)
    usable = epochs and schedule.name != "onecycle" and not schedule.warmup_epochs
    return put("/schedule/warmup_epochs", epochs) if usable else None


def normalize(case: RunContext) -> Patch | None:
    return None if case.spec.augmentation.normalize else put("/augmentation/normalize", True)


def longer_training(case: RunContext) -> Patch | None:
    """Double the limit that ended the run."""
    epochs, seconds = case.spec.epochs, case.spec.max_seconds
    if case.stop_reason == "max_seconds" and seconds is not None:
        return put("/max_seconds", 2 * seconds)
    is_limit = case.stop_reason in (None, "max_epochs") and epochs < 100_000  # noqa: PLR2004 - the spec's limit
    return put("/epochs", min(100_000, 2 * epochs)) if is_limit else None


def more_patience(case: RunContext) -> Patch | None:
    stopping, ended = case.spec.early_stopping, case.stop_reason
    patient = stopping is not None and ended in (None, "early_stopping")
    return put("/early_stopping/patience", 2 * stopping.patience) if stopping and patient else None


def early_stopping(case: RunContext) -> Patch | None:
    return None if case.spec.early_stopping else put("/early_stopping", {"patience": 10})


def larger_batch(case: RunContext) -> Patch | None:
    batch = case.spec.batch_size
    return put("/batch_size", 4 * batch) if batch <= 64 else None  # noqa: PLR2004 - larger batches are steady


def larger_validation(case: RunContext) -> Patch | None:
    given = "validation" in ((case.contents.parts if case.contents else None) or {})
    options = case.spec.dataset
    share, is_fixed = options.val_fraction, given or options.fold is not None
    larger = min(0.5, max(0.3, 2 * share), 0.9 - options.test_fraction)
    return put("/dataset/val_fraction", round(larger, 4)) if not is_fixed and larger > share else None


def more_data(case: RunContext) -> Patch | None:
    return put("/dataset/train_limit", None) if _is_limited(case) else None


def _is_limited(case: RunContext) -> bool:
    """Whether images are left out of training."""
    limit, facts = case.spec.dataset.train_limit, case.facts
    return limit is not None and (facts is None or facts.images.get("train", limit) >= limit)


def held_out_test(case: RunContext) -> Patch | None:
    spec, given = case.spec.dataset, "test" in ((case.contents.parts if case.contents else None) or {})
    free = spec.test_fraction == 0 and spec.val_fraction <= 0.5  # noqa: PLR2004 - with it, at most 0.7 are held out
    return put("/dataset/test_fraction", 0.2) if free and not given else None


def no_copies(case: RunContext) -> Patch | None:
    return [] if case.facts is not None and case.facts.copies_across else None


def collect(case: RunContext) -> Patch | None:
    return None if _is_limited(case) else []
