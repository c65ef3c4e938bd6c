"""Published data sets: torchvision's loaders on tiny files in their formats, without downloads."""

import hashlib
import pickle
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision import datasets

from service.core.errors import DatasetUnavailable
from service.core.records.builtin_datasets import BUILT_IN, CIFAR100, SYNTHETIC
from service.core.spec import JobSpec
from workers.training.data import LOADERS, DataPaths, load
from workers.training.data.prepare import prepare


def idx(values: NDArray[np.uint8]) -> bytes:
    """Yann LeCun's format: a magic number, the dimensions, the values."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_the_files_of_mnist_are_read(name: str, folder: str, tmp_path: Path) -> None:
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(1)
    images = {"train": random.integers(0, 256, (60, 28, 28), np.uint8), "t10k": np.full((20, 28, 28), 9, np.uint8)}
    for part, pixels in images.items():
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx((np.arange(len(pixels)) % 10).astype(np.uint8)))
    loaded = load(name, None, DataPaths(library=tmp_path))
    shutil.rmtree(raw)
    again = load(name, None, DataPaths(library=tmp_path))
    assert again.digest == replace(again, known_digest=None).digest == loaded.digest
    assert torch.equal(again.stored, loaded.stored)
    assert torch.equal(again.labels, loaded.labels)
    assert again.on(torch.device("cpu")) is again.stored, "mapped into memory, not copied"
    assert loaded.shape == (1, 28, 28)
    assert (loaded.take(torch.arange(60))[:, 0].numpy() == images["train"]).all()
    assert loaded.classes == BUILT_IN[name].contents.classes  # type: ignore[union-attr]
    spec = JobSpec.from_dict({"dataset": {"id": name}}).filled(1)
    split = prepare(spec, DataPaths(library=tmp_path)).split
    assert split.test.tolist() == list(range(60, 80)), "the published test images are the test part"
    assert (len(split.train), len(split.validation)) == (50, 10)


@pytest.mark.parametrize(("name", "kind"), [("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)])
def test_the_files_of_cifar_are_read(name: str, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    classes = BUILT_IN[name].contents.classes  # type: ignore[union-attr]
    key = "labels" if name == "cifar10" else "fine_labels"
    pixels = np.random.default_rng(1).integers(0, 256, (20, 3072), np.uint8)

    def written(file: str, content: dict[str, Any]) -> list[str]:
        data = pickle.dumps(content)
        (folder / file).write_bytes(data)
        return [file, hashlib.md5(data, usedforsecurity=False).hexdigest()]

    batch = {"data": pixels, key: [i % len(classes) for i in range(20)]}
    for attribute in ("train_list", "test_list"):
        lists = [written(file, batch) for file, _ in getattr(kind, attribute)]
        monkeypatch.setattr(kind, attribute, lists)
    file, digest = written(kind.meta["filename"], {kind.meta["key"]: list(classes)})
    monkeypatch.setattr(kind, "meta", kind.meta | {"filename": file, "md5": digest})
    loaded = load(name, None, DataPaths(library=tmp_path))
    assert loaded.shape == (3, 32, 32)
    assert (loaded.take(torch.arange(20)).reshape(20, -1).numpy() == pixels).all()
    assert loaded.parts is not None
    assert int((loaded.parts == 2).sum()) == 20


def test_error_without_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("mnist", "cifar10"):
        with pytest.raises(DatasetUnavailable, match="cannot be downloaded") as raised:
            load(name, None, DataPaths(library=tmp_path))
        assert str(tmp_path) in str(raised.value)


def test_listed_data_sets_are_the_loadable_ones() -> None:
    assert LOADERS.keys() == BUILT_IN.keys()
    assert (len(CIFAR100.classes), len(set(CIFAR100.classes))) == (100, 100)


def test_the_synthetic_set_is_always_the_same_and_can_be_learned() -> None:
    first, second = load("synthetic"), load("synthetic")
    assert first.digest == second.digest
    assert (first.shape, first.classes) == (SYNTHETIC.shape, SYNTHETIC.classes)
    assert torch.bincount(first.labels).tolist() == list(SYNTHETIC.samples_per_class)
    means = torch.stack([first.stored[first.labels == label].float().mean(0) for label in range(10)])
    sample = first.stored[:200].float()
    nearest = (sample[:, None] - means).square().sum((2, 3, 4)).argmin(1)
    assert (nearest == first.labels[:200]).float().mean() > 0.95
