"""The cost of a spec by arithmetic: parameters and memory, without torch and without training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from service.core.errors import Fault, Invalid
from service.core.records.dataset import Contents
from service.core.records.part_sizes import fold_sizes, part_sizes
from service.core.records.passes import passes
from service.core.records.splits import Splits, split_names
from service.core.spec import Cnn, Dataset, JobSpec, Torchvision, doubts, layers_of
from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.features import keeps_features
from service.core.spec.layers import Layers
from service.core.spec.shapes import FOLLOWS_FROM, place
from service.core.text import GIB, counted

BYTES_PER_VALUE, BYTES_PER_HALF = 4, 2  # fp32, fp16
FEW = 100  # validation images; with fewer, the measures say little
LIKELY, Z = 0.9, 1.96  # the accuracy of the confidence interval in a warning, and the normal quantile of 95 %
# Multiplications in the forward pass of a batch from which on more threads than one are a gain. Steps with two threads
# were 0.1 to 0.6 times as fast as with one up to 90 million, 0.7 to 0.8 times at 120 to 140 million, and faster above
# (`python -m tests.benchmarks.threads`, 2 cores that are shared with other processes, which slow the second thread).
LARGE = 200_000_000
STATES = {"adam": 2, "adamw": 2, "sgd": 0, "sgdw": 0}  # values that the optimizer keeps for each parameter


@dataclass(frozen=True)
class Layer:
    """One layer: its output shape without the batch, and its number of parameters."""

    name: str
    output: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Memory:
    """Estimated bytes: the model (weights, gradients, optimizer state, copies of the weights), the activations of one
    batch or a process's share of it, the images, and the inputs of the last layer that a run with frozen layers keeps.
    """

    model_bytes: int
    activations_bytes: int
    data_bytes: int
    features_bytes: int = 0

    @property
    def process_bytes(self) -> int:
        """The least need of each training process; images that do not fit are streamed."""
        return self.model_bytes + self.activations_bytes + self.features_bytes


@dataclass(frozen=True)
class Plan:
    """The effective spec with its layers, parameters and memory.

    `threads` is the number of CPU threads that each process gains from: 1 for a small network, None (as many as there
    are) for a large one. `multiplications` are those of one image in the forward pass, `passes` the forward passes that
    an epoch takes for each training image.
    """

    spec: JobSpec
    parameters: int
    layers: tuple[Layer, ...]
    memory: Memory
    threads: int | None
    warnings: tuple[str, ...]
    splits: Splits
    multiplications: int
    passes: float

    @property
    def work(self) -> float:
        """The multiplications of an epoch for each training image."""
        return self.multiplications * self.passes


@dataclass(frozen=True)
class Limits:
    """The largest jobs that are accepted: parameters of a model, and bytes to train it, without the images."""

    parameters: int
    memory_bytes: int


UNLIMITED = Limits(2**63, 2**63)


def plan(spec: JobSpec, dataset: Contents, limits: Limits) -> Plan:
    """Plan a run. Raises Invalid if the model does not fit the images or a limit."""
    shape = input_shape(spec, dataset)
    _refuse_small_classes(spec, dataset)
    _refuse_shifts(spec, shape)
    layers, values, multiplications = _network(spec, shape, len(dataset.classes))
    parameters = sum(layer.parameters for layer in layers)
    if parameters > limits.parameters:
        detail, allowed = f"{parameters:,} parameters are too many", f"at most {limits.parameters:,} parameters"
        raise Invalid([Fault("/model", detail, allowed, FOLLOWS_FROM)])
    trained = layers[-1].parameters if spec.model.freeze == "backbone" else parameters
    # The weights, the best ones, and their average.
    copies = 2 + (spec.regularization.ema_decay is not None or spec.regularization.lookahead_steps is not None)
    others = max(0, (spec.regularization.average_best or 0) - 1)  # of the best epochs; frozen layers are shared
    # The gradient, the optimizer's own values, and for sharpness-aware minimization the weights to return to.
    of_trained = 1 + STATES[spec.optimizer.name] + bool(spec.optimizer.momentum) + bool(spec.regularization.sam_rho)
    batch_size = math.ceil(spec.batch_size / spec.gpus)  # of each process
    memory = Memory(
        model_bytes=(parameters * copies + trained * (of_trained + others)) * BYTES_PER_VALUE,
        activations_bytes=values * BYTES_PER_VALUE * batch_size,
        data_bytes=dataset.samples * math.prod(shape),
        features_bytes=_features_bytes(spec, dataset, layers, shape),
    )
    _refuse_too_much(memory, limits, spec)
    splits = split_names(spec.dataset, spec.split_seed, dataset.parts or {})
    is_large = isinstance(spec.model, Torchvision) or multiplications * batch_size >= LARGE
    threads = None if is_large else 1
    warnings = tuple(_warnings(spec, dataset))
    train, validation, _ = _divided(spec, dataset)
    of_epoch = passes(spec, min(train, spec.dataset.train_limit or train), validation)
    return Plan(spec, parameters, layers, memory, threads, warnings, splits, multiplications, of_epoch)


def input_shape(spec: JobSpec, dataset: Contents) -> tuple[int, int, int]:
    """(channels, height, width) of the images that the network gets."""
    channels, height, width = dataset.shape
    side = spec.dataset.image_size
    return (channels, side, side) if side else (channels, height, width)


def _network(spec: JobSpec, shape: tuple[int, int, int], classes: int) -> tuple[tuple[Layer, ...], int, int]:
    """The layers, the values that one image keeps for the backward pass, and the multiplications of one image in the
    forward pass. Raises Invalid.
    """
    if isinstance(spec.model, Torchvision):
        return _torchvision(spec.model.arch, shape, classes)
    if isinstance(spec.model, Cnn):
        _refuse_too_many_halvings(spec.model, shape)
    layers = layers_of(spec) or ()
    placed = place(layers, shape, classes, "/model/layers" if isinstance(spec.model, Layers) else "/model")
    rows = tuple(Layer(f"{i} {p.layer.type}", p.output, p.parameters) for i, p in enumerate(placed))
    return rows, sum(p.values for p in placed), sum(p.multiplications for p in placed)


def _torchvision(arch: str, shape: tuple[int, int, int], classes: int) -> tuple[tuple[Layer, ...], int, int]:
    known, (channels, height, width) = ARCHITECTURES[arch], shape
    if min(height, width) < known.least_side:
        detail = f"{arch} needs images of at least {known.least_side} pixels a side, but gets {height}x{width}"
        allowed = f"dataset.image_size from {known.least_side}, or another arch"
        raise Invalid([Fault("/model/arch", detail, allowed, FOLLOWS_FROM)])
    parameters = known.parameters(channels, height, width, classes)
    head = known.per_class * classes
    rows = (Layer("backbone", (known.features,), parameters - head), Layer("classifier", (classes,), head))
    return rows, known.activations(height, width), known.multiplications(height, width)


def _refuse_shifts(spec: JobSpec, shape: tuple[int, int, int]) -> None:
    """Refuse shifts by as many pixels as the images have."""
    side, images = min(shape[1:]), f"the {shape[1]}x{shape[2]} images"
    if spec.augmentation.crop_padding >= side:
        detail = f"more padding than {images} have pixels could crop nothing but zeros"
        allowed = f"0 to {side - 1}"
        raise Invalid([Fault("/augmentation/crop_padding", detail, allowed, ("/dataset/image_size",))])
    if spec.test_time_augmentation == "mirror_shift" and side == 1:
        detail = f"{images} cannot be shifted by a pixel"
        raise Invalid([Fault("/test_time_augmentation", detail, "none or mirror", ("/dataset/image_size",))])


def _features_bytes(spec: JobSpec, dataset: Contents, layers: tuple[Layer, ...], shape: tuple[int, int, int]) -> int:
    """Bytes of the inputs of the last layer that the first epoch keeps, in float16 to train on and float32 to score."""
    if not keeps_features(spec, 1):
        return 0
    train, validation, _ = _divided(spec, dataset)
    train = min(train, spec.dataset.train_limit or train)
    scored = validation + min(validation, train) * spec.train_loss_clean
    values = math.prod(layers[-2].output if layers[1:] else shape)
    return values * (train * max(1, spec.model.cached_views) * BYTES_PER_HALF + scored * BYTES_PER_VALUE)


def _refuse_too_many_halvings(model: Cnn, shape: tuple[int, int, int]) -> None:
    _, height, width = shape
    halvings = model.most_blocks(min(height, width))
    if len(model.channels) > halvings:
        detail = f"each block halves the {height}x{width} images, {len(model.channels)} blocks leave nothing"
        fitting = f"1 to {halvings} blocks for such images" if halvings else "arch mlp, or a larger image_size"
        raise Invalid([Fault("/model/channels", detail, fitting, FOLLOWS_FROM)])


def _refuse_too_much(memory: Memory, limits: Limits, spec: JobSpec) -> None:
    needed, batch_size, views = memory.process_bytes, spec.batch_size, spec.model.cached_views
    if needed <= limits.memory_bytes:
        return
    if views and needed - memory.features_bytes <= limits.memory_bytes:
        detail = f"the features of {views} views of each image need {memory.features_bytes / GIB:.1f} GiB"
        allowed = f"at most {limits.memory_bytes / GIB:.1f} GiB for the whole training: fewer views"
        raise Invalid([Fault("/model/cached_views", detail, allowed, FOLLOWS_FROM)])
    detail = (
        f"training needs about {needed / GIB:.1f} GiB, {memory.activations_bytes / GIB:.1f} of them for the "
        f"activations of {counted(batch_size, 'image')}"
    )
    allowed = f"at most {limits.memory_bytes / GIB:.1f} GiB: a smaller batch_size, model or dataset.image_size"
    if (
        room := limits.memory_bytes - memory.model_bytes - memory.features_bytes
    ) < memory.activations_bytes // batch_size:
        raise Invalid([Fault("/model", detail, allowed, ("/batch_size", *FOLLOWS_FROM))])
    fits = room * batch_size // memory.activations_bytes
    raise Invalid([Fault("/batch_size", detail, f"{allowed}; 1 to {fits} images fit", FOLLOWS_FROM)])


def _refuse_small_classes(spec: JobSpec, dataset: Contents) -> None:
    """Raise Invalid if a class is too small: every drawn part of a split needs an image of each class."""
    fold = spec.dataset.fold
    if fold and "validation" in (dataset.parts or {}):
        detail = "the data set comes with a folder of validation images, which are the same in every fold"
        allowed = "a data set without validation images of its own, or no folds"
        raise Invalid([Fault("/dataset/id", detail, allowed, ("/dataset/fold",))])
    needed = (fold.of if fold else 2) + (spec.dataset.test_fraction > 0)
    least = min(range(len(dataset.classes)), key=dataset.samples_per_class.__getitem__)
    if dataset.parts is None and dataset.samples_per_class[least] < needed:
        count = f"class {dataset.classes[least]!r} has {counted(dataset.samples_per_class[least], 'image')}"
        detail = f"{count}, too few for every part of the split"
        allowed = f"{needed} images of each class, or more{'; or fewer folds' if fold else ''}"
        raise Invalid([Fault("/dataset/id", detail, allowed, ("/dataset/test_fraction", "/dataset/fold"))])


def _warnings(spec: JobSpec, dataset: Contents) -> Iterator[str]:
    yield from doubts(spec)
    yield from dataset.warnings
    if spec.dataset.train_limit and spec.dataset.train_limit < len(dataset.classes):
        yield "dataset.train_limit is below the number of classes: some classes will not be trained on at all."
    train, validation, is_exact = _divided(spec, dataset)
    for part, name in (("validation", "val_fraction"), ("test", "test_fraction")):
        if part in (dataset.parts or {}) and getattr(spec.dataset, name) != getattr(Dataset, name):
            yield f"dataset.{name} is not used: the data set comes with a folder of {part} images."
    if spec.dataset.fold and spec.dataset.val_fraction != Dataset.val_fraction:
        yield "dataset.val_fraction is not used: the fold has the validation images."
    if validation < FEW:
        images = f"{'' if is_exact else 'about '}{counted(validation, 'validation image')}"
        off = Z * math.sqrt(LIKELY * (1 - LIKELY) / validation)
        yield (
            f"only {images}: read an accuracy of {LIKELY:.0%} as {LIKELY - off:.0%} to {min(1, LIKELY + off):.0%}. "
            "Small differences between jobs are chance."
        )
    if spec.batch_size > min(train, spec.dataset.train_limit or train):
        yield "batch_size is larger than the training split: every epoch is a single step."


def _divided(spec: JobSpec, dataset: Contents) -> tuple[int, int, bool]:
    """The numbers of training and validation images, and whether they are exact.

    Images of one group stay together. The split meets its sizes if in each class the other images suffice for
    validation and test. In a set with its own parts, the sizes of a drawn part depend on unknown counts.
    """
    options, parts = spec.dataset, dataset.parts
    in_groups = sum(size * count for size, count in dataset.copies.items())
    if fold := options.fold:
        counts = dataset.samples_per_class if parts is None else (parts["train"],)
        folds = fold_sizes(counts, fold.of, 0.0 if "test" in (parts or {}) else options.test_fraction)
        validation = sum(sizes[fold.index] for sizes in folds)
        train = sum(sum(sizes[:-1]) for sizes in folds) - validation
        return train, validation, parts is None and in_groups <= min(min(sizes[:-1]) for sizes in folds)
    if parts is None:
        sizes = [part_sizes(n, options.val_fraction, options.test_fraction) for n in dataset.samples_per_class]
        is_exact = in_groups <= min(size.train for size in sizes)
        return sum(size.train for size in sizes), sum(size.validation for size in sizes), is_exact
    val_fraction = 0.0 if "validation" in parts else options.val_fraction
    test_fraction = 0.0 if "test" in parts else options.test_fraction
    drawn = part_sizes(parts["train"], val_fraction, test_fraction)
    return drawn.train, parts.get("validation", drawn.validation), "validation" in parts
