"""The best model for use elsewhere: as safetensors, and as an ONNX graph that takes images and checks out."""

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
TOLERANCE = 1e-4  # between torch's logits and onnxruntime's, relative to the largest
OPSET = 18


class Deployed(nn.Module):
    """The network with its normalization before it."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.mean = nn.Buffer(normalization.mean.view(1, -1, 1, 1).clone())
        self.std = nn.Buffer(normalization.std.view(1, -1, 1, 1).clone())

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of images float32 [N, C, H, W] whose pixels are from 0 to 1."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def save_safetensors(weights: Mapping[str, Tensor], target: Path) -> None:
    """The state_dict in the format of https://github.com/huggingface/safetensors."""
    save_file({name: value.detach().contiguous() for name, value in weights.items()}, target, {"format": "pt"})


def save_onnx(model: nn.Module, normalization: Normalization, samples: Tensor, target: Path) -> dict[str, Any]:
    """Write the model with its normalization as an ONNX graph, and run it on real images uint8 [N, C, H, W].

    Its input `images` is float32 [N, C, H, W] with pixels from 0 to 1, its output `logits` is [N, classes]; N is free.
    Returns what the report says of it. A graph whose logits are further from torch's than TOLERANCE is not written.
    """
    deployed = Deployed(copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format), normalization).eval()
    import onnxruntime  # noqa: PLC0415 - it starts a thread, and this module is loaded before a fork

    images = samples.contiguous().float() / 255
    graph = target.with_name(f".{target.name}")  # not published before it is checked
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        expected = deployed(images)
        # The tracing exporter writes these networks in a fraction of a second, the newer one needs many.
        torch.onnx.export(
            deployed, (images,), graph, dynamo=False, opset_version=OPSET,
            input_names=[IMAGES], output_names=[LOGITS], dynamic_axes={IMAGES: {0: "N"}, LOGITS: {0: "N"}},
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (logits,) = session.run([LOGITS], {IMAGES: images.numpy()})
    difference = float(np.abs(logits - expected.numpy()).max() / max(1.0, expected.abs().max().item()))
    checked = {"opset": OPSET, "images": len(images), "largest_difference": difference, "tolerance": TOLERANCE}
    if not difference <= TOLERANCE:
        return checked | {"error": "onnxruntime's logits are not torch's; no model.onnx was written"}
    graph.rename(target)
    return checked
