"""What a spec will cost, by arithmetic alone: parameters and memory are counted without torch and without training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from service.core.datasets import DatasetInfo
from service.core.errors import Fault, Invalid
from service.core.spec import Cnn, JobSpec, Mlp

BYTES_PER_VALUE = 4  # fp32


@dataclass(frozen=True)
class Layer:
    """One layer: its output shape without the batch, and how many parameters it has."""

    name: str
    output: tuple[int, ...]
    parameters: int

    @property
    def values(self) -> int:
        return math.prod(self.output)


@dataclass(frozen=True)
class Memory:
    """Bytes, estimated: weights with gradients and optimizer state, activations of one batch, the images."""

    model_bytes: int
    activations_bytes: int
    data_bytes: int


@dataclass(frozen=True)
class Plan:
    """The effective spec with what it will take."""

    spec: JobSpec
    parameters: int
    layers: tuple[Layer, ...]
    memory: Memory
    warnings: tuple[str, ...]


def plan(spec: JobSpec, dataset: DatasetInfo, max_parameters: int) -> Plan:
    """Count what the run needs; raises Invalid where the model does not fit the images or the limit."""
    layers = tuple(_layers(spec, dataset))
    parameters = sum(layer.parameters for layer in layers)
    if parameters > max_parameters:
        raise Invalid(
            [Fault("/model", f"{parameters:,} parameters are too many", f"at most {max_parameters:,} parameters")]
        )
    copies = 2 + (2 if spec.optimizer.name != "sgd" else 1 if spec.optimizer.momentum else 0)
    memory = Memory(
        model_bytes=parameters * BYTES_PER_VALUE * copies,
        activations_bytes=sum(layer.values for layer in layers) * BYTES_PER_VALUE * spec.batch_size,
        data_bytes=dataset.samples * math.prod(dataset.shape),
    )
    return Plan(spec, parameters, layers, memory, tuple(_warnings(spec, dataset)))


def _layers(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Layer]:
    match spec.model:
        case Cnn() as model:
            channels, height, width = dataset.shape
            halvings = int(math.log2(min(height, width)))
            if len(model.channels) > halvings:
                detail = f"each block halves the {height}x{width} images, {len(model.channels)} blocks leave nothing"
                raise Invalid([Fault("/model/channels", detail, f"1 to {halvings} blocks for this data set")])
            for number, out in enumerate(model.channels, start=1):
                norm = 0 if model.norm == "none" else 2 * out
                weights = channels * out * model.kernel_size**2 + out
                yield Layer(f"conv{number}", (out, height, width), weights + norm)
                channels, height, width = out, height // 2, width // 2
                yield Layer(f"pool{number}", (channels, height, width), 0)
            yield from _dense(channels * height * width, model.hidden, len(dataset.classes))
        case Mlp() as model:
            yield from _dense(math.prod(dataset.shape), model.hidden, len(dataset.classes))


def _dense(inputs: int, hidden: tuple[int, ...], classes: int) -> Iterator[Layer]:
    for number, width in enumerate((*hidden, classes), start=1):
        yield Layer(f"linear{number}", (width,), (inputs + 1) * width)
        inputs = width


def _warnings(spec: JobSpec, dataset: DatasetInfo) -> Iterator[str]:
    if spec.regularization.dropout and isinstance(spec.model, Mlp) and not spec.model.hidden:
        yield "regularization.dropout has no place in an mlp without hidden layers and does nothing."
    if spec.dataset.train_limit and spec.dataset.train_limit < len(dataset.classes):
        yield "dataset.train_limit is below the number of classes: some classes will not be trained on at all."
    train = dataset.samples * (1 - spec.dataset.val_fraction - spec.dataset.test_fraction)
    if spec.batch_size > min(train, spec.dataset.train_limit or train):
        yield "batch_size is larger than the training split: every epoch is a single step."
