from pathlib import Path

import pytest
import torch
from torch import nn

from workers.training.checkpoint import load_tensors, save_json, save_tensors, weights_of


def test_weights_are_a_copy_that_training_on_does_not_touch() -> None:
    model = nn.Linear(3, 2)
    kept = weights_of(model)
    before = {name: tensor.clone() for name, tensor in kept.items()}
    with torch.no_grad():
        model.weight.zero_()
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.items())


def test_weights_are_contiguous_cpu_tensors_with_plain_names(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model.to(memory_format=torch.channels_last)
    save_tensors(tmp_path / "m.pth", weights_of(model))
    loaded = load_tensors(tmp_path / "m.pth")
    assert list(loaded) == list(model.state_dict())
    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in loaded.values())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    save_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        save_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n  "a": 1\n}'
