"""Export of the best model: as safetensors, and as an ONNX graph that is checked against torch."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from workers.training.data.normalization import Normalization
from workers.training.graphs import filled, keep, name_classes
from workers.training.views import NONE, averaged

IMAGES, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
TOLERANCE = 1e-4  # of the difference between torch's and onnxruntime's logits, relative to the largest logit
OPSET = 18


class Deployed(nn.Module):
    """The network between the normalization of its input and the probabilities, with its test-time augmentation."""

    def __init__(self, network: nn.Module, normalization: Normalization, temperature: float, views: str) -> None:
        super().__init__()
        self.network, self.views = network, views
        self.temperature = nn.Buffer(torch.tensor(temperature, dtype=torch.float32))
        self.mean = nn.Buffer(normalization.mean.view(1, -1, 1, 1).clone())
        self.std = nn.Buffer(normalization.std.view(1, -1, 1, 1).clone())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [N, classes] of images float32 [N, C, H, W] with pixels from 0 to 1; softmax(logits / temperature)."""
        logits = averaged(self.network, (images - self.mean) / self.std, self.views)
        return logits, torch.softmax(logits / self.temperature, 1)


def save_safetensors(weights: Mapping[str, Tensor], target: Path) -> None:
    """Write a state_dict in the format of https://github.com/huggingface/safetensors."""
    save_file({name: value.detach().contiguous() for name, value in weights.items()}, target, {"format": "pt"})


def save_onnx(
    model: nn.Module,
    normalization: Normalization,
    samples: Tensor,
    target: Path,
    temperature: float = 1.0,
    kept: Path | None = None,
    classes: Sequence[str] = (),
    views: str = NONE,
) -> dict[str, Any]:
    """Write the model with its normalization as an ONNX graph, after checking it on images uint8 [N, C, H, W].

    The input `images` is float32 [N, C, H, W] with pixels from 0 to 1. The outputs `logits` and
    `probabilities` are [N, classes]; N is free. The metadata has the names of the `classes` as a JSON list. `kept` is
    where the graph of this network is kept without its weights: if it is there it is used again, else it is kept there.
    `views` is the test-time augmentation, which the graph contains.
    Returns the result of the check as plain JSON data. If an output differs from torch's by more than TOLERANCE, the
    result has `error` and the file is not written.
    """
    network = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format)
    deployed = Deployed(network, normalization, temperature, views).eval()
    images = samples.contiguous().float() / 255
    graph = target.with_name(f".{target.name}")  # published under its name only after the check
    with torch.inference_mode():
        expected = deployed(images)
    _write_graph(deployed, images, graph, kept, classes)
    outputs = _run_onnx(graph, images)
    difference = max(
        float(np.abs(got - right.numpy()).max() / max(1.0, right.abs().max().item()))
        for got, right in zip(outputs, expected, strict=True)
    )
    checked = {"opset": OPSET, "images": len(images), "largest_difference": difference, "tolerance": TOLERANCE}
    if not difference <= TOLERANCE:
        return checked | {"error": "the outputs of onnxruntime differ from those of torch; model.onnx was not written"}
    graph.rename(target)
    return checked


def _write_graph(deployed: nn.Module, images: Tensor, graph: Path, kept: Path | None, classes: Sequence[str]) -> None:
    """Write the ONNX graph of the network: the kept one with the network's weights, or a new one."""
    weights = deployed.state_dict()
    content = filled(kept, weights) if kept else None
    if content is not None:
        graph.write_bytes(content)
        return
    _trace(deployed, images, graph)
    name_classes(graph, classes)
    if kept:
        keep(graph, weights, kept)


def _trace(deployed: nn.Module, images: Tensor, graph: Path) -> None:
    """Write the ONNX graph of the network by tracing it with the images."""
    names: dict[str, Any] = {
        "input_names": [IMAGES],
        "output_names": [LOGITS, PROBABILITIES],
        "dynamic_axes": {name: {0: "N"} for name in (IMAGES, LOGITS, PROBABILITIES)},
    }
    with warnings.catch_warnings(), torch.inference_mode(), _plain_attention():
        warnings.simplefilter("ignore")
        # The tracing exporter takes a fraction of a second for these networks, the dynamo exporter many seconds.
        torch.onnx.export(deployed, (images,), graph, dynamo=False, opset_version=OPSET, **names)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Within the block, attention is computed by operators that ONNX has, not by torch's fused one for eval mode."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _run_onnx(graph: Path, images: Tensor) -> Any:
    """The outputs for the images by onnxruntime, as NumPy arrays."""
    import onnxruntime  # noqa: PLC0415 - it starts a thread, and this module is loaded before a fork

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run([LOGITS, PROBABILITIES], {IMAGES: images.numpy()})
