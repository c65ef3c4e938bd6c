"""cnn and mlp as lists of layers, used both for planning a job and for building its network."""

from collections.abc import Iterator

from service.core.spec.job import JobSpec
from service.core.spec.layers import (
    BatchNorm,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    GroupNorm,
    Layer,
    Layers,
    Linear,
    MaxPool2d,
    Relu,
    Whitening,
)
from service.core.spec.models import Cnn, Mlp

GROUPS = 8  # groups of group normalization if they divide the channels, else 1


def layers_of(spec: JobSpec) -> tuple[Layer, ...] | None:
    """The layers of the spec's network, from images to logits; None for a network of torchvision."""
    dropout, spatial = spec.regularization.dropout, spec.regularization.spatial_dropout
    match spec.model:
        case Layers() as model:
            return model.layers
        case Cnn() as model:
            return tuple(_cnn(model, dropout, spatial))
        case Mlp() as model:
            return (Flatten(), *_dense(model.hidden, dropout, drop_input=False))
    return None


def _cnn(model: Cnn, dropout: float, spatial_dropout: float) -> Iterator[Layer]:
    """Whitening, then blocks that halve the image.

    ReLU follows the pooling: the same function, computed on a quarter of the values.
    """
    if model.whitening:
        yield Whitening()
        yield Relu()
    for channels in model.channels:
        yield Conv2d(channels, kernel_size=model.kernel_size)
        if model.norm == "batch":
            yield BatchNorm()
        elif model.norm == "group":
            yield GroupNorm(groups=GROUPS if channels % GROUPS == 0 else 1)
        yield MaxPool2d()
        yield Relu()
        if spatial_dropout:
            yield Dropout2d(p=spatial_dropout)
    yield Flatten()
    yield from _dense(model.hidden, dropout, drop_input=not model.hidden)


def _dense(hidden: tuple[int, ...], dropout: float, drop_input: bool) -> Iterator[Layer]:
    """Linear and ReLU for each hidden width, then the output layer.

    Dropout acts on the input of every linear layer but the first. With `drop_input` it acts on the first input too.
    """
    for number, width in enumerate((*hidden, None)):
        if dropout and (number or drop_input):
            yield Dropout(p=dropout)
        yield Linear(features=width)
        if width is not None:
            yield Relu()
