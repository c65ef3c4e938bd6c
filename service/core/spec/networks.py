"""cnn and mlp written out as layers: what is planned and what is built are the same list."""

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
)
from service.core.spec.models import Cnn, Mlp

GROUPS = 8  # of group normalization, where the channels divide by it


def layers_of(spec: JobSpec) -> tuple[Layer, ...] | None:
    """The layers of the spec's network, from image to logits; None where it is one of torchvision's."""
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
    """Blocks that halve the image. ReLU stands after the pooling: the same function, on a quarter of the values."""
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

    Dropout acts on the input of every linear layer but the first, and of the first as well where `drop_input`.
    """
    for number, width in enumerate((*hidden, None)):
        if dropout and (number or drop_input):
            yield Dropout(p=dropout)
        yield Linear(features=width)
        if width is not None:
            yield Relu()
