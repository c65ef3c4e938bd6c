"""The job spec: frozen dataclasses of plain data, each option declared once with its default, range, unit and meaning.

The request schema, the API document and every default come from these declarations. `from_dict` rebuilds a
spec from JSON that was checked before; checking outside JSON is the schemas' work.
"""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from service.core.errors import Fault

MOST_HELD_OUT = 0.9  # share of the images; the rest is left to train on


@dataclass(frozen=True)
class Option:
    """What is allowed for one field of the spec. Bounds are inclusive unless `open_below` or `open_above`."""

    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    open_below: bool = False
    open_above: bool = False
    length: tuple[int, int] | None = None
    unit: str | None = None

    @property
    def bounds(self) -> str | None:
        """The numeric range in words, e.g. `0 to below 1`; None where there is none."""
        low = None if self.minimum is None else f"{'above ' if self.open_below else ''}{self.minimum:g}"
        high = None if self.maximum is None else f"{'below ' if self.open_above else ''}{self.maximum:g}"
        if low and high:
            return f"{low} to {high}"
        if low:
            return low if self.open_below else f"{low} or more"
        return f"at most {high}" if high else None


def option(meaning: str, default: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field that carries its Option."""
    return field(default=default, metadata={"option": Option(meaning, **limits)})


def part(meaning: str, default: Any = MISSING) -> Any:
    """A field that is itself a part of the spec; `default` is called to make it."""
    return field(default_factory=default, metadata={"option": Option(meaning)})


@dataclass(frozen=True)
class Dataset:
    """Which images, and how they are divided. The split is stratified by class and drawn from the seed."""

    id: str = option("the data set's id, as GET /v1/datasets lists it", length=(1, 100))
    val_fraction: float = option("share of all images held out for validation", 0.2, minimum=0.05, maximum=0.5)
    test_fraction: float = option("share of all images held out for one final test", 0.0, minimum=0, maximum=0.5)
    train_limit: int | None = option(
        "train on at most this many images of the training split, stratified; null: all", None, minimum=2, unit="images"
    )


@dataclass(frozen=True)
class Cnn:
    """Convolution blocks (convolution, norm, ReLU, 2x2 max pooling), then fully connected layers."""

    arch: Literal["cnn"] = option("the architecture", "cnn")
    channels: tuple[int, ...] = option(
        "output channels of each block", (32, 64), minimum=1, maximum=4096, length=(1, 16)
    )
    kernel_size: int = option("side of the convolution kernels", 3, minimum=1, maximum=15, unit="pixels")
    hidden: tuple[int, ...] = option(
        "widths of the hidden layers after the blocks", (128,), minimum=1, maximum=65536, length=(0, 16)
    )
    norm: Literal["none", "batch", "group"] = option("normalization after each convolution", "none")


@dataclass(frozen=True)
class Mlp:
    """Fully connected layers on the flattened image."""

    arch: Literal["mlp"] = option("the architecture", "mlp")
    hidden: tuple[int, ...] = option(
        "widths of the hidden layers", (256, 128), minimum=1, maximum=65536, length=(0, 16)
    )


@dataclass(frozen=True)
class Optimizer:
    """The update rule. `betas` are used by adam and adamw, `momentum` and `nesterov` by sgd."""

    name: Literal["adam", "adamw", "sgd"] = option("the update rule", "adam")
    lr: float = option("learning rate", 1e-3, minimum=0, maximum=10, open_below=True)
    betas: tuple[float, float] = option(
        "decay of the two moment averages", (0.9, 0.999), minimum=0, maximum=1, open_above=True, length=(2, 2)
    )
    momentum: float = option("momentum of sgd", 0.0, minimum=0, maximum=1, open_above=True)
    nesterov: bool = option("Nesterov's momentum; needs momentum above 0", False)


@dataclass(frozen=True)
class Regularization:
    """What holds the model back from memorizing the training set."""

    dropout: float = option(
        "probability of dropping an input of a fully connected layer after the first",
        0.0, minimum=0, maximum=1, open_above=True,
    )  # fmt: skip
    weight_decay: float = option(
        "L2 strength, after the optimizer's own meaning: coupled for adam and sgd, decoupled for adamw",
        0.0, minimum=0, maximum=10,
    )  # fmt: skip
    l1: float = option("L1 strength: this times the sum of absolute weights", 0.0, minimum=0, maximum=10)
    l1_mode: Literal["loss", "proximal"] = option(
        "add L1 to the loss, or soft-threshold the weights after each step (exact zeros)", "loss"
    )
    decay_norm_and_bias: bool = option("let weight decay and L1 act on biases and normalization parameters too", False)


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images on their way into the model."""

    normalize: bool = option(
        "subtract the training split's mean and divide by its standard deviation, per channel", True
    )


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop, and what counts as better. Improvement is strict: value < best - min_delta (mirrored for max)."""

    monitor: Literal["val_loss", "val_accuracy"] = option("the measure to watch", "val_loss")
    mode: Literal["min", "max"] | None = option("better is lower or higher; null: by the monitor", None)
    patience: int = option("stop after this many epochs in a row without improvement", 10, minimum=1, unit="epochs")
    min_delta: float = option("a change must be larger than this to count as an improvement", 0.0, minimum=0)
    min_delta_mode: Literal["abs", "rel"] = option(
        "min_delta in the measure's own unit, or relative to the best", "abs"
    )
    start_epoch: int = option("first epoch that can use up patience", 1, minimum=1, unit="epochs")
    baseline: float | None = option("patience is used up until this value is beaten", None)
    stopping_threshold: float | None = option("stop, as target_reached, once the measure is as good as this", None)
    divergence_threshold: float | None = option("stop, as diverged, once the measure is worse than this", None)


@dataclass(frozen=True)
class JobSpec:
    """Everything that decides a run. Same spec, same machine: same history."""

    dataset: Dataset = field(metadata={"option": Option("which images, and how they are divided")})
    name: str | None = option("a name for people", None, length=(0, 100))
    model: Cnn | Mlp = part("the network", Cnn)
    epochs: int = option(
        "at most this many passes over the training split", 100, minimum=1, maximum=100_000, unit="epochs"
    )
    batch_size: int = option("images per optimizer step", 64, minimum=1, maximum=65_536, unit="images")
    seed: int | None = option(
        "the one source of randomness; null: drawn and reported", None, minimum=0, maximum=2**32 - 1
    )
    max_seconds: float | None = option(
        "end training after this long, keeping the best model", None, minimum=1, unit="s"
    )
    priority: int = option("9 is taken first", 5, minimum=0, maximum=9)
    device: Literal["auto", "cpu", "cuda"] = option("where to train; auto: a GPU when the worker has one", "auto")
    optimizer: Optimizer = part("the update rule", Optimizer)
    regularization: Regularization = part("what holds the model back from memorizing", Regularization)
    augmentation: Augmentation = part("what is done to the images", Augmentation)
    early_stopping: EarlyStopping | None = part("when to stop; null: train for all epochs", EarlyStopping)
    train_loss_clean: bool = option(
        "report train_loss_clean: the training images scored as the validation images are, "
        "without dropout or augmentation; costs at most one more validation pass an epoch",
        True,
    )
    labels: Mapping[str, str] = field(
        default_factory=dict, metadata={"option": Option("free key=value pairs to find the job by", length=(0, 32))}
    )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "JobSpec":
        """Build a spec from checked plain data; what is missing takes its default."""
        spec: JobSpec = build(cls, data)
        return spec

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data with every default filled."""
        return asdict(self)

    def filled(self, seed: int) -> "JobSpec":
        """The effective spec: the seed drawn and the monitor's direction written out."""
        stopping = self.early_stopping
        if stopping is not None and stopping.mode is None:
            stopping = replace(stopping, mode=direction(stopping.monitor))
        return replace(self, seed=self.seed if self.seed is not None else seed, early_stopping=stopping)


def direction(monitor: str) -> Literal["min", "max"]:
    """Whether a monitored measure gets better downwards or upwards."""
    return "max" if monitor == "val_accuracy" else "min"


def contradictions(spec: JobSpec) -> Iterator[Fault]:
    """Combinations of valid values that contradict each other."""
    optimizer, stopping = spec.optimizer, spec.early_stopping
    if spec.dataset.val_fraction + spec.dataset.test_fraction > MOST_HELD_OUT:
        detail = "validation and test leave less than a tenth to train on"
        allowed = f"a sum with val_fraction up to {MOST_HELD_OUT}"
        yield Fault("/dataset/test_fraction", detail, allowed, ("/dataset/val_fraction",))
    if optimizer.momentum and optimizer.name != "sgd":
        detail = f"{optimizer.name} has no momentum; its betas play that part"
        yield Fault("/optimizer/momentum", detail, "0, or name sgd", ("/optimizer/name",))
    if optimizer.nesterov and not (optimizer.name == "sgd" and optimizer.momentum):
        allowed = "false, or sgd with momentum above 0"
        inputs = ("/optimizer/name", "/optimizer/momentum")
        yield Fault("/optimizer/nesterov", "Nesterov's momentum needs sgd with momentum", allowed, inputs)
    if stopping and stopping.mode and stopping.mode != direction(stopping.monitor):
        better = direction(stopping.monitor)
        detail = f"{stopping.monitor} gets better towards {better}"
        yield Fault("/early_stopping/mode", detail, better, ("/early_stopping/monitor",))


def unknown_parts(data: Any, understood: Any, pointer: str = "") -> Iterator[str]:
    """JSON pointers of what stored data say and the spec built from them does not: options of a newer release."""
    if isinstance(data, Mapping) and isinstance(understood, Mapping):
        for name, value in data.items():
            if name not in understood:
                yield f"{pointer}/{name}"
            else:
                yield from unknown_parts(value, understood[name], f"{pointer}/{name}")
    elif isinstance(data, Mapping):
        yield pointer


def build(kind: Any, data: Any) -> Any:
    """Rebuild a value of type `kind` (a dataclass of the spec, or a type that one of its fields has) from JSON data."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        options = [choice for choice in typing.get_args(kind) if choice is not type(None)]
        return build(options[0] if len(options) == 1 else tagged(options, data), data)
    if is_dataclass(kind):
        hints, make = typing.get_type_hints(kind), typing.cast(Any, kind)
        return make(**{f.name: build(hints[f.name], data[f.name]) for f in fields(kind) if f.name in data})
    if origin is tuple:
        item = typing.get_args(kind)[0]
        return tuple(build(item, value) for value in data)
    if kind is float:
        return float(data)
    return dict(data) if isinstance(data, Mapping) else data


def tagged(options: list[Any], data: Mapping[str, Any]) -> Any:
    """The member of a union whose `arch` is the one in the data; the first where the data names none."""
    wanted = data.get("arch")
    return next((choice for choice in options if arch_of(choice) == wanted), options[0])


def arch_of(choice: Any) -> str:
    """The architecture's name that a model dataclass stands for."""
    return next(str(f.default) for f in fields(choice) if f.name == "arch")
