"""torchvision's published weights: downloaded once into the folder of torch.hub and adapted to the network."""

import http.client
import pickle
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet, Inception3, VisionTransformer, get_model_weights
from torchvision.models.vision_transformer import interpolate_embeddings

from service.core.errors import PretrainedUnavailable
from service.core.spec.states import AUXILIARY, OLD_DENSE_LAYER
from workers.training.models.classifier import head_of

SECONDS_TO_ANSWER = 10.0  # time limit for the server in each step of a download
# The statistics of ImageNet. The published inception networks were trained on images scaled to [-1, 1] instead.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_pretrained(model: nn.Module, arch: str) -> None:
    """Load the best published weights into a network for three channels, in place. Its last layer is unchanged.

    The file is `torch.hub.get_dir()/checkpoints/NAME-HASH.pth`. An existing file is used without a check; the SHA-256
    of a downloaded file must begin with HASH. A file cannot run code, because only tensors are read. The position
    embeddings of a ViT are interpolated to its image size.

    Raises PretrainedUnavailable if the file cannot be downloaded or does not contain these weights.
    """
    weights = get_model_weights(arch).DEFAULT
    try:
        with _socket_timeout(SECONDS_TO_ANSWER):
            state = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
        model.load_state_dict(_fitted(state, model))
    except (OSError, http.client.HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise PretrainedUnavailable(_message(weights, error)) from error
    if isinstance(model, GoogLeNet | Inception3):
        model.load_state_dict(with_input_scaling(model.state_dict()))


def _fitted(state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """The same mapping (its `_metadata` has a version), with the names and the last layer of the model."""
    for name in list(state):
        if name.startswith(AUXILIARY):
            del state[name]
        elif (new := OLD_DENSE_LAYER.sub(r"\1\2.", name)) != name:
            state[new] = state.pop(name)
    if isinstance(model, VisionTransformer):
        interpolate_embeddings(model.image_size, model.patch_size, state)
    name, head = head_of(model)
    state.update({f"{name}.{key}": value for key, value in head.state_dict().items()})
    return state


def with_input_scaling(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state_dict of a published inception network, with its input scaling in the first convolution and its norm.

    torchvision scales in `forward`, from ImageNet's statistics to [-1, 1], for three channels only; the state_dict does
    not show it. w * (s x + b) = (w s) * x + sum(w b): s is multiplied into the kernels, and the sum is subtracted from
    the running mean of the batch normalization. Exact except at googlenet's border, which is padded before scaling.
    """
    kernels, mean = (next(name for name in state if name.endswith(end)) for end in ("conv.weight", "bn.running_mean"))
    std, center = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_STD, IMAGENET_MEAN))
    shift = (state[kernels] * (center - 0.5) / 0.5).sum((1, 2, 3))
    return {**state, kernels: state[kernels] * (std / 0.5), mean: state[mean] - shift}


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Limit the waiting time of new connections of this process; torch.hub has no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _message(weights: Any, error: Exception) -> str:
    address = urlsplit(weights.url)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(address.path).name
    reason = (str(error) or type(error).__name__).splitlines()[0]
    otherwise = "or set model.pretrained to false"
    if file.exists():
        return f"{file} does not contain the weights {weights} ({reason}); remove it, {otherwise}"
    return (
        f"this worker could not download the weights {weights} ({reason}); give it network access to "
        f"{address.hostname}, or put the file {file.name} into its folder {file.parent}, {otherwise}"
    )
