"""Combinations of valid values: contradictions are refused, doubts become warnings."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from service.core.errors import Fault
from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.features import has_fixed_features, is_augmented, is_mixed
from service.core.spec.job import JobSpec
from service.core.spec.layers import BatchNorm, Layers, Residual
from service.core.spec.models import Cnn, Mlp, Torchvision, weights_of
from service.core.spec.options import is_at_default
from service.core.spec.parts import Dataset, direction
from service.core.spec.transfer import IMAGENET, THEN_ALL

MOST_HELD_OUT = 0.9  # share of the images; the rest is left to train on
HAVE_MOMENTUM = ("sgd", "sgdw")  # the other optimizers use betas
FALLS_TO_THE_END = ("cosine", "onecycle")  # schedules whose low learning rates come last


def contradictions(spec: JobSpec) -> Iterator[Fault]:
    """The faults of a spec whose single values are valid: contradictory options, with the reason and a remedy."""
    yield from _of_the_split(spec.dataset)
    yield from _of_training(spec)
    yield from _of_transfer(spec)
    yield from _of_the_model(spec)


def _of_the_split(options: Dataset) -> Iterator[Fault]:
    if (fold := options.fold) is not None:
        if fold.index >= fold.of:
            detail, allowed = f"{fold.of} folds are counted from 0", f"0 to {fold.of - 1}"
            yield Fault("/dataset/fold/index", detail, allowed, ("/dataset/fold/of",))
    elif options.val_fraction + options.test_fraction > MOST_HELD_OUT:
        detail = "validation and test leave less than a tenth of the images for training"
        allowed = f"a sum with val_fraction up to {MOST_HELD_OUT}"
        yield Fault("/dataset/test_fraction", detail, allowed, ("/dataset/val_fraction",))


def _of_training(spec: JobSpec) -> Iterator[Fault]:
    optimizer, stopping, schedule = spec.optimizer, spec.early_stopping, spec.schedule
    if spec.batch_size < spec.gpus:
        detail = f"a batch of {spec.batch_size} images cannot be divided among {spec.gpus} processes"
        allowed = f"{spec.gpus} or more"
        yield Fault("/batch_size", detail, f"{allowed}, or fewer gpus", ("/gpus",))
    if optimizer.momentum and optimizer.name not in HAVE_MOMENTUM:
        detail = f"{optimizer.name} has no momentum; it uses betas instead"
        yield Fault("/optimizer/momentum", detail, "0, or name sgd or sgdw", ("/optimizer/name",))
    if optimizer.nesterov and not (optimizer.name in HAVE_MOMENTUM and optimizer.momentum):
        allowed = "false, or sgd or sgdw with momentum above 0"
        inputs = ("/optimizer/name", "/optimizer/momentum")
        yield Fault("/optimizer/nesterov", "nesterov needs sgd with momentum", allowed, inputs)
    if stopping and stopping.mode and stopping.mode != direction(stopping.monitor):
        mode = direction(stopping.monitor)
        detail = f"the mode of {stopping.monitor} is {mode}"
        yield Fault("/early_stopping/mode", detail, mode, ("/early_stopping/monitor",))
    if schedule.warmup_epochs and schedule.name == "onecycle":
        detail = "onecycle has its own warm-up; set rising_share and start_divisor"
        yield Fault("/schedule/warmup_epochs", detail, "0, or another schedule", ("/schedule/name",))
    elif schedule.warmup_epochs >= spec.epochs:
        detail = f"the warm-up takes all {spec.epochs} epochs"
        yield Fault("/schedule/warmup_epochs", detail, f"0 to {spec.epochs - 1}, or more epochs", ("/epochs",))
    if spec.regularization.ema_decay and spec.regularization.lookahead_steps:
        detail = "ema_decay and lookahead_steps each average the weights that are scored"
        yield Fault("/regularization/lookahead_steps", detail, "one of them", ("/regularization/ema_decay",))
    if spec.augmentation.trivial_augment and spec.augmentation.rand_augment:
        detail = "trivial_augment and rand_augment use the same operations and exclude each other"
        yield Fault("/augmentation/rand_augment", detail, "one of them", ("/augmentation/trivial_augment",))
    if spec.regularization.balancing[1:]:
        *others, last = (f"/regularization/{name}" for name in spec.regularization.balancing)
        detail = f"{' and '.join(spec.regularization.balancing)} each balance the classes; rare ones would count twice"
        yield Fault(
            last, detail, "one of class_weights balanced, sampling balanced, loss logit_adjusted", tuple(others)
        )


def _of_transfer(spec: JobSpec) -> Iterator[Fault]:
    regularization, model, arch = spec.regularization, spec.model, spec.model.arch
    if isinstance(model, Torchvision):
        if model.pretrained and model.weights not in (None, IMAGENET):
            detail, allowed = "pretrained starts from imagenet, and weights names others", "null, or pretrained false"
            yield Fault("/model/weights", detail, allowed, ("/model/pretrained",))
    elif model.weights == IMAGENET:
        detail = f"there are no published weights of {arch}"
        yield Fault(
            "/model/weights", detail, "the id of a job, or an architecture of torchvision or timm", ("/model/arch",)
        )
    if model.layer_decay != 1 and regularization.l1 and regularization.l1_mode == "proximal":
        detail = "the threshold of proximal L1 goes with one learning rate, and layer_decay gives each layer its own"
        yield Fault("/model/layer_decay", detail, "1, or l1_mode loss", ("/regularization",))
    if model.cached_views and spec.gpus > 1:
        detail = "several processes average gradients by way of the whole network, which cached views do not pass"
        yield Fault("/model/cached_views", detail, "0, or gpus 1", ("/gpus",))


def _of_the_model(spec: JobSpec) -> Iterator[Fault]:
    regularization, model, arch = spec.regularization, spec.model, spec.model.arch
    inputs = ("/model",)
    if spec.batch_size == 1 and model.freeze != "backbone" and _has_batch_norm(spec):
        detail, allowed = "batch normalization needs more than one image in a batch", "2 or more, or group norm"
        yield Fault("/batch_size", detail, allowed, inputs)
    if regularization.dropout and isinstance(model, Layers):
        detail, allowed = "a network of layers has its own dropout layers", '0, and layers {"type": "dropout", "p": …}'
        yield Fault("/regularization/dropout", detail, allowed, inputs)
    if regularization.spatial_dropout and not isinstance(model, Cnn):
        detail = f"spatial dropout acts after blocks of convolutions, and {arch} has none"
        allowed = "0, arch cnn, or layers with dropout2d"
        yield Fault("/regularization/spatial_dropout", detail, allowed, inputs)
    if regularization.stochastic_depth and not _has_residual_branches(spec):
        detail = f"stochastic depth skips residual branches, and {arch} has none"
        allowed = "0, arch layers with residual, or an architecture such as resnet18 or convnext_tiny"
        yield Fault("/regularization/stochastic_depth", detail, allowed, inputs)
    elif regularization.stochastic_depth and model.freeze == "backbone":
        detail = "a frozen backbone stays in eval mode, in which no branch is skipped"
        yield Fault("/regularization/stochastic_depth", detail, "0, or freeze none", inputs)


def _has_residual_branches(spec: JobSpec) -> bool:
    match spec.model:
        case Layers(layers):
            return any(isinstance(layer, Residual) for layer in layers)
        case Torchvision(arch):
            return ARCHITECTURES[arch].has_residual_branches
    return False


def _has_batch_norm(spec: JobSpec) -> bool:
    match spec.model:
        case Cnn() as model:
            return model.norm == "batch"
        case Layers(layers):
            inner = [layer for block in layers if isinstance(block, Residual) for layer in block.layers]
            return any(isinstance(layer, BatchNorm) for layer in (*layers, *inner))
        case Torchvision() as model:
            return ARCHITECTURES[model.arch].has_batch_norm
    return False


def doubts(spec: JobSpec) -> Iterator[str]:
    """Warnings about options that have no effect or an unexpected one."""
    regularization, schedule = spec.regularization, spec.schedule
    if regularization.dropout and isinstance(spec.model, Mlp) and not spec.model.hidden:
        yield "regularization.dropout has no effect in an mlp without hidden layers."
    if spec.early_stopping and schedule.name in FALLS_TO_THE_END:
        yield (
            f"early_stopping may end the run before the {schedule.name} schedule reaches its low learning rates, which "
            "bring most of its gain. Set patience to about a third of epochs, or early_stopping to null."
        )
    if schedule.name == "step" and schedule.step_epochs >= spec.epochs:
        yield "schedule.step_epochs is not below epochs: the learning rate stays constant."
    if (
        schedule.name == "plateau"
        and spec.early_stopping
        and spec.early_stopping.patience <= max(1, schedule.plateau_patience)
    ):
        yield "early_stopping.patience ends the run before schedule.plateau_patience can lower the learning rate."
    yield from _without_effect("regularization", regularization)
    yield from _without_effect("schedule", schedule)
    yield from _without_effect("model", spec.model)
    yield from _doubts_about_transfer(spec)
    if spec.device == "cpu" and spec.precision == "bf16":
        yield "precision bf16 is faster only on a CPU with avx512_bf16 or amx; on others it is several times slower."


def _doubts_about_transfer(spec: JobSpec) -> Iterator[str]:
    if spec.model.freeze != "none" and weights_of(spec.model) is None:
        yield "model.freeze without model.weights keeps random weights in all layers but the last. Set model.weights."
    if spec.model.cached_views and is_mixed(spec):
        yield "model.cached_views has no effect with mixup or CutMix, which mix the images anew in each epoch."
    elif spec.model.cached_views and spec.test_time_augmentation != "none":
        yield (
            "model.cached_views has no effect with test_time_augmentation, which needs the images: each epoch augments "
            "them anew."
        )
    elif spec.model.cached_views and not has_fixed_features(spec):
        yield (
            f"model.cached_views has no effect with this {spec.model.arch}: it has dropout before its last layers, or "
            "does not end with a linear layer."
        )
    elif spec.model.cached_views and not is_augmented(spec):
        yield "model.cached_views has no effect without augmentation: all views of an image are the same."
    if spec.model.freeze == THEN_ALL and _ends_before(spec, spec.model.unfreeze_epoch):
        yield "the run may end before model.unfreeze_epoch, from which on all layers train. Set it to an earlier epoch."
    if spec.dataset.image_size is None and isinstance(spec.model, Torchvision) and weights_of(spec.model) == IMAGENET:
        yield "pretrained weights expect images of about 224 pixels. Set dataset.image_size to resize smaller images."


def _ends_before(spec: JobSpec, epoch: int) -> bool:
    """Whether the run may end before this epoch begins."""
    stopping = spec.early_stopping
    return epoch > spec.epochs or (stopping is not None and stopping.start_epoch + stopping.patience <= epoch)


def _without_effect(name: str, part: Any) -> Iterator[str]:
    """Warnings about options of a part that are set without the options that they need."""
    at_default = {f.name: is_at_default(f, part) for f in fields(part)}
    for f in fields(part):
        needs, only_with = f.metadata["option"].needs, f.metadata["option"].only_with
        if at_default[f.name]:
            continue
        if needs and all(at_default[needed] for needed in needs):
            yield f"{name}.{f.name} has no effect without {' or '.join(needs)}."
        if only_with and getattr(part, only_with[0]) != only_with[1]:
            yield f"{name}.{f.name} has no effect without {' '.join(only_with)}."
