"""Export of the best model: as safetensors, and as an ONNX graph that is checked against torch."""

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from workers.training.data.normalization import Normalization

IMAGES, LOGITS = "images", "logits"
TOLERANCE = 1e-4  # of the difference between torch's and onnxruntime's logits, relative to the largest logit
OPSET = 18


class Deployed(nn.Module):
    """The network, preceded by the normalization of its input."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.mean = nn.Buffer(normalization.mean.view(1, -1, 1, 1).clone())
        self.std = nn.Buffer(normalization.std.view(1, -1, 1, 1).clone())

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of images float32 [N, C, H, W] with pixels from 0 to 1."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def save_safetensors(weights: Mapping[str, Tensor], target: Path) -> None:
    """Write a state_dict in the format of https://github.com/huggingface/safetensors."""
    save_file({name: value.detach().contiguous() for name, value in weights.items()}, target, {"format": "pt"})


def save_onnx(model: nn.Module, normalization: Normalization, samples: Tensor, target: Path) -> dict[str, Any]:
    """Write the model with its normalization as an ONNX graph, after checking it on images uint8 [N, C, H, W].

    The input `images` is float32 [N, C, H, W] with pixels from 0 to 1, the output `logits` is [N, classes]; N is free.
    Returns the result of the check as plain JSON data. If the logits differ from torch's by more than TOLERANCE, the
    result has `error` and the file is not written.
    """
    deployed = Deployed(copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format), normalization).eval()
    images = samples.contiguous().float() / 255
    graph = target.with_name(f".{target.name}")  # published under its name only after the check
    expected = _trace(deployed, images, graph)
    logits = _run_onnx(graph, images)
    difference = float(np.abs(logits - expected.numpy()).max() / max(1.0, expected.abs().max().item()))
    checked = {"opset": OPSET, "images": len(images), "largest_difference": difference, "tolerance": TOLERANCE}
    if not difference <= TOLERANCE:
        return checked | {"error": "the logits of onnxruntime differ from those of torch; model.onnx was not written"}
    graph.rename(target)
    return checked


def _trace(deployed: nn.Module, images: Tensor, graph: Path) -> Tensor:
    """Write the ONNX graph of the network and return torch's logits of the images."""
    names: dict[str, Any] = {
        "input_names": [IMAGES],
        "output_names": [LOGITS],
        "dynamic_axes": {IMAGES: {0: "N"}, LOGITS: {0: "N"}},
    }
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        expected: Tensor = deployed(images)
        # The tracing exporter takes a fraction of a second for these networks, the dynamo exporter many seconds.
        torch.onnx.export(deployed, (images,), graph, dynamo=False, opset_version=OPSET, **names)
    return expected


def _run_onnx(graph: Path, images: Tensor) -> Any:
    """The logits of the images by onnxruntime, as a NumPy array."""
    import onnxruntime  # noqa: PLC0415 - it starts a thread, and this module is loaded before a fork

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (logits,) = session.run([LOGITS], {IMAGES: images.numpy()})
    return logits
