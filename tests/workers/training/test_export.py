"""Exported models give the same logits as the original."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import VisionTransformer

from service.core.spec import JobSpec
from workers.training import export
from workers.training.data.normalization import Normalization
from workers.training.models import build_model
from workers.training.views import averaged

NORMALIZATION = Normalization(torch.tensor([0.4]), torch.tensor([0.3]))
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"channels": [8, 16], "hidden": [16], "norm": "batch"},
    "mlp": {"arch": "mlp", "hidden": [16]},
    "layers": {
        "arch": "layers",
        "layers": [
            {"type": "conv2d", "channels": 8},
            {"type": "residual", "layers": [{"type": "conv2d", "channels": 8}, {"type": "relu"}]},
            {"type": "global_avg_pool"},
            {"type": "dropout", "p": 0.5},
            {"type": "linear"},
        ],
    },
}


def network(model: dict[str, Any]) -> torch.nn.Module:
    spec = {"dataset": {"id": "digits"}, "model": model}
    return build_model(JobSpec.from_dict(spec).filled(1), (1, 8, 8), 10)


def pixels(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MODELS)
def test_onnx_graph_gives_torchs_logits_for_pixels_from_0_to_1(name: str, tmp_path: Path) -> None:
    model = network(MODELS[name])
    model.train()
    check = export.save_onnx(model, NORMALIZATION, pixels(5), tmp_path / "model.onnx")
    assert check["largest_difference"] <= export.TOLERANCE
    assert model.training, "the model is left as it was"
    images = pixels(7).float() / 255
    with torch.inference_mode():
        expected = model.eval()((images - 0.4) / 0.3)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    assert np.allclose(logits, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["mirror", "mirror_shift"])
def test_onnx_graph_averages_over_views(name: str, tmp_path: Path) -> None:
    model = network(MODELS["cnn"] | {"whitening": True}).eval()
    export.save_onnx(model, NORMALIZATION, pixels(5), tmp_path / "model.onnx", views=name)
    images = pixels(7).float() / 255
    with torch.inference_mode():
        expected = averaged(model, (images - 0.4) / 0.3, name)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    assert np.allclose(logits, expected.numpy(), atol=1e-5)


def test_graph_with_other_logits_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    check = export.save_onnx(network(MODELS["mlp"]), NORMALIZATION, pixels(5), tmp_path / "model.onnx")
    assert "error" in check
    assert not (tmp_path / "model.onnx").exists()


def test_safetensors_hold_the_weights(tmp_path: Path) -> None:
    weights = network(MODELS["cnn"]).to(memory_format=torch.channels_last).state_dict()
    export.save_safetensors(weights, tmp_path / "model.safetensors")
    loaded = load_file(tmp_path / "model.safetensors")
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def test_attention_is_exported(tmp_path: Path) -> None:
    small = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8, "num_classes": 3}
    model = VisionTransformer(image_size=8, patch_size=4, **small)
    torch.nn.init.normal_(model.heads.head.weight)
    colors = pixels(4).expand(4, 3, 8, 8)
    normalization = Normalization(torch.full((3,), 0.4), torch.full((3,), 0.3))
    check = export.save_onnx(model, normalization, colors, tmp_path / "model.onnx")
    assert "error" not in check
    assert torch.backends.mha.get_fastpath_enabled(), "it is as it was"
