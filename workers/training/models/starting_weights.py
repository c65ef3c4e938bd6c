"""Weights that a run starts from: read from files, and fitted to a network with other classes, channels or size."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from service.core.errors import Fault, Invalid
from service.core.records.artifact_names import BEST_MODEL, LABELS
from service.core.spec.states import CONSTANT, SCALED_INPUT
from workers.training.checkpoint import load_tensors
from workers.training.models.classifier import head_of
from workers.training.models.positions import with_positions
from workers.training.models.pretrained import with_input_scaling
from workers.training.models.stem import converted, first_convolution

POINTER = "/model/weights"


@dataclass(frozen=True)
class StartingWeights:
    """The tensors of a state_dict. `classes` are the names of the outputs of its last layer, None if unknown.

    `sha256` is the digest of the file. `has_own_names`: the tensors are those of a network of torchvision, by its
    names; those of other networks are known by their order, since layers without weights change the numbers in names.
    `scales_input`: the network scales its input as torchvision's published inception networks do.
    """

    tensors: Mapping[str, Tensor]
    classes: tuple[str, ...] | None
    sha256: str
    has_own_names: bool
    scales_input: bool = False


def read_weights(folder: Path, *, has_own_names: bool) -> StartingWeights:
    """Read the files in a folder: a file of safetensors, or the best model of a job, perhaps with its labels."""
    model, labels = folder / BEST_MODEL, folder / LABELS
    file = model if model.exists() else next(folder.glob("*.safetensors"))
    tensors, scales_input = (load_tensors(file), False) if file == model else (load_file(file), _scales_input(file))
    classes = tuple(json.loads(labels.read_text())["classes"]) if labels.exists() else None
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return StartingWeights(tensors, classes, digest, has_own_names, scales_input)


def _scales_input(file: Path) -> bool:
    with safe_open(file, "pt") as content:
        return SCALED_INPUT in (content.metadata() or {})


def load_weights(model: nn.Module, weights: StartingWeights, classes: tuple[str, ...]) -> bool:
    """Load weights into a network, in place; returns whether the last layer is among them.

    The last layer stays as it is if the weights have none, have another number of classes, or name other `classes`.
    The first convolution is converted to the channels of the network (see `stem`), and the position embeddings of a ViT
    are interpolated to its image size. Raises Invalid if the weights are of another network.
    """
    own = model.state_dict()
    state = {name: tensor for name, tensor in weights.tensors.items() if not name.endswith(CONSTANT)}
    learned = [name for name in own if not name.endswith(CONSTANT)]
    if not weights.has_own_names and len(state) == len(learned):
        state = dict(zip(learned, state.values(), strict=True))
    state = with_positions(state, model)
    if weights.scales_input:
        state = with_input_scaling(state)
    if stem := first_convolution(model):
        state = _with_channels(state, f"{stem[0]}.weight", stem[1].in_channels)
    head = [f"{head_of(model)[0]}.{name}" for name in head_of(model)[1].state_dict()]
    keeps_head = weights.classes in (None, classes) and all(
        name in state and state[name].shape == own[name].shape for name in head
    )
    if not keeps_head:
        state |= {name: own[name] for name in head}
    _refuse_others(own, state, learned)
    model.load_state_dict({name: state.get(name, value) for name, value in own.items()})
    return keeps_head


def _with_channels(state: dict[str, Tensor], stem: str, channels: int) -> dict[str, Tensor]:
    kernels = state.get(stem)
    if kernels is None or kernels.ndim != nn.Conv2d(1, 1, 1).weight.ndim or kernels.shape[1] == channels:
        return state
    return state | {stem: converted(kernels, channels)}


def _refuse_others(own: Mapping[str, Tensor], state: Mapping[str, Tensor], learned: list[str]) -> None:
    """Raise Invalid with the first tensor that is not that of the network."""
    if state.keys() != set(learned):
        name = min(state.keys() ^ set(learned))
        raise Invalid([Fault(POINTER, f"the weights are of another network: {name}")])
    for name in learned:
        if state[name].shape != own[name].shape:
            shapes = f"the shape {list(state[name].shape)}, and here {list(own[name].shape)}"
            raise Invalid([Fault(POINTER, f"the weights are of another network: {name} has {shapes}")])
