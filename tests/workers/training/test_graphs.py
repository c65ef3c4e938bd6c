"""A graph that was kept and gets new weights is the graph that tracing gives."""

from pathlib import Path
from typing import Any

import pytest
import torch

from service.core.spec import JobSpec
from workers.training import export, graphs
from workers.training.data.normalization import Normalization
from workers.training.models import build_model

SHAPE, CLASSES, SAMPLES = (3, 8, 8), [str(digit) for digit in range(10)], 5
PIXELS = torch.randint(0, 256, (SAMPLES, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"channels": [8, 16], "hidden": [16]},
    "mlp": {"arch": "mlp", "hidden": [16]},
    "layers": {
        "arch": "layers",
        "layers": [
            {"type": "conv2d", "channels": 8},
            {"type": "residual", "layers": [{"type": "conv2d", "channels": 8}, {"type": "relu"}]},
            {"type": "global_avg_pool"},
            {"type": "linear"},
        ],
    },
}


def spec(model: dict[str, Any], seed: int = 1, **options: Any) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, "model": model} | options).filled(seed)


def network(model: dict[str, Any], seed: int) -> torch.nn.Module:
    return build_model(spec(model, seed), SHAPE, len(CLASSES)).to(memory_format=torch.channels_last)


def exported(model: torch.nn.Module, target: Path, kept: Path | None = None, shift: float = 0.0) -> bytes:
    """The graph's bytes; `shift` changes the normalization and the temperature."""
    normalization = Normalization(torch.tensor([0.4, 0.5, 0.6]) + shift, torch.tensor([0.3, 0.2, 0.1]) + shift)
    result = export.save_onnx(model, normalization, PIXELS, target, 1.5 + shift, kept)
    assert result["largest_difference"] <= export.TOLERANCE
    return target.read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_kept_graph_gives_the_bytes_of_a_traced_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, other = tmp_path / "graphs" / "kept.onnx", network(MODELS[name], 2)
    first = exported(network(MODELS[name], 1), tmp_path / "first.onnx", kept)
    traced = exported(other, tmp_path / "traced.onnx", shift=0.01)
    monkeypatch.delattr(export, "_trace")
    assert exported(other, tmp_path / "second.onnx", kept, shift=0.01) == traced != first
    assert kept.stat().st_size < len(traced) / 2, "it has no weights"


def test_graph_with_folded_weights_is_not_kept(tmp_path: Path) -> None:
    kept = tmp_path / "graphs" / "kept.onnx"
    exported(network({"channels": [8], "norm": "batch"}, 1), tmp_path / "model.onnx", kept)
    assert not kept.exists()


def test_graph_with_equal_weights_is_neither_kept_nor_filled(tmp_path: Path) -> None:
    kept, other = tmp_path / "graphs" / "kept.onnx", network({"arch": "mlp", "hidden": [16, 16]}, 2)
    with torch.no_grad():
        other[1].bias.copy_(other[3].bias)  # type: ignore[index]
    merged = exported(other, tmp_path / "merged.onnx", kept)
    assert not kept.exists()
    exported(network({"arch": "mlp", "hidden": [16, 16]}, 1), tmp_path / "model.onnx", kept)
    assert kept.exists()
    assert exported(other, tmp_path / "again.onnx", kept) == merged


def test_name_of_a_graph_follows_from_all_that_shapes_it() -> None:
    cnn = MODELS["cnn"]
    name = graphs.graph_name(spec(cnn), SHAPE, CLASSES, SAMPLES)
    assert graphs.graph_name(spec(cnn, 2, optimizer={"lr": 0.1}), SHAPE, CLASSES, SAMPLES) == name
    others = [
        graphs.graph_name(spec(cnn | {"hidden": [17]}), SHAPE, CLASSES, SAMPLES),
        graphs.graph_name(spec(cnn, regularization={"dropout": 0.5}), SHAPE, CLASSES, SAMPLES),
        graphs.graph_name(spec(cnn, regularization={"stochastic_depth": 0.5}), SHAPE, CLASSES, SAMPLES),
        graphs.graph_name(spec(cnn, gpus=2), SHAPE, CLASSES, SAMPLES),
        graphs.graph_name(spec(cnn, test_time_augmentation="mirror"), SHAPE, CLASSES, SAMPLES),
        graphs.graph_name(spec(cnn), (1, 8, 8), CLASSES, SAMPLES),
        graphs.graph_name(spec(cnn), SHAPE, CLASSES[:3], SAMPLES),
        graphs.graph_name(spec(cnn), SHAPE, CLASSES[::-1], SAMPLES),
        graphs.graph_name(spec(cnn), SHAPE, CLASSES, 1),
    ]
    assert len({name, *others}) == 1 + len(others)


def test_a_folder_keeps_the_newest_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "KEPT", 2)
    for number in range(3):
        exported(network(MODELS["mlp"], number), tmp_path / "model.onnx", tmp_path / "graphs" / f"{number}.onnx")
    assert {path.name for path in (tmp_path / "graphs").iterdir()} == {"1.onnx", "2.onnx"}
