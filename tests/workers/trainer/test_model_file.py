"""model.py classifies pictures in a process with torch, and torchvision or timm where needed, but no Rightfit."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from service.core.settings import Settings
from service.core.spec import JobSpec
from service.inference import Picture, Predictor
from tests.pictures import KINDS, encoded, zipped
from tests.workers.bench import Bench
from tests.workers.trainer.test_labels import colored, deep, gray, turned, veiled
from workers.trainer.model_file import model_file
from workers.training.models import build_model

NAME = 'it\'s a "cat"\n# or none'  # a class name must not become code
SIZE = 12
SAID = """
import json, sys
sys.path[:0] = {places}
import torch, model
images = torch.load("images.pt")
trained = model.load()
with torch.inference_mode():
    logits = model.logits(trained, images).tolist()
shares = [model.probabilities(trained, model.read(path))[0].tolist() for path in sys.argv[1:]]
print(json.dumps({{"modules": sorted({{name.partition(".")[0] for name in sys.modules}}), "logits": logits,
                   "classes": model.CLASSES, "shares": shares}}))
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, attempts=1)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to torch, torchvision, timm, Pillow and what these need, and nothing else."""
    folder = tmp_path_factory.mktemp("packages")
    needed, known = ["torch", "torchvision", "timm", "pillow"], set()
    while needed:
        name = needed.pop()
        if name in known:
            continue
        known.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another system
            continue
        for file in distribution.files or ():
            top, path = file.parts[0], Path(str(file.locate()))
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(path.parents[len(file.parts) - 1] / top)
        for line in distribution.requires or ():
            if "extra ==" not in line:
                needed.append(re.split(r"[^\w.-]", line)[0])
    return folder


def isolated(folder: Path, packages: Path, *pictures: str) -> dict[str, Any]:
    """What model.py in a folder says about images.pt and pictures, in a process without Rightfit."""
    (folder / "said.py").write_text(SAID.format(places=[str(folder), str(packages)]))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "said.py", *pictures], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    assert not {"service", "workers", "rightfit"} & set(said["modules"])
    return said


@pytest.mark.parametrize(
    ("draw", "is_gray", "resize"),
    [
        (colored, False, "crop"),
        pytest.param(colored, False, "pad", marks=pytest.mark.long),
        pytest.param(gray, True, "square", marks=pytest.mark.long),
    ],
)
def test_model_py_predicts_what_the_service_does(
    bench: Bench, tmp_path: Path, packages: Path, draw: Any, is_gray: bool, resize: str
) -> None:
    archive = {f"{kind}/{n:03}.png": encoded(draw(kind, n)) for kind in KINDS for n in range(10)}
    (tmp_path / "sent").write_bytes(zipped(archive))
    bench.read("ds_1", tmp_path / "sent")
    model = {"arch": "cnn", "channels": [4, 8], "hidden": [8], "norm": "batch", "whitening": True}
    job = bench.run(
        dataset={"id": "ds_1", "image_size": SIZE, "resize": resize},
        model=model,
        regularization={"dropout": 0.2},
        test_time_augmentation="mirror_shift",
        epochs=2,
    )
    assert job.status == "succeeded", job.error
    artifacts = {artifact.name: artifact for artifact in bench.store.queries.artifacts("t", job.id)}
    for name in ("best_model.pth", "model.onnx", "model.py"):
        bench.storage.get(artifacts[name], tmp_path / name)
    pictures = {
        f"{kind}-{encode.__name__}.png": encode(draw(kind, 99))
        for kind in KINDS
        for encode in (encoded, turned, veiled, deep)
    }
    for name, data in pictures.items():
        (tmp_path / name).write_bytes(data)
    images = torch.rand(5, 1 if is_gray else 3, SIZE, SIZE)
    torch.save(images, tmp_path / "images.pt")

    said = isolated(tmp_path, packages, *pictures)

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    assert np.allclose(said["logits"], logits, atol=1e-4)
    assert said["classes"] == sorted(KINDS)
    assert not {"torchvision", "timm"} & set(said["modules"])
    given = [Picture(name, data) for name, data in pictures.items()]
    temperature = job.facts.calibration.temperature if job.facts and job.facts.calibration else 1.0
    predicted = Predictor(bench.storage).predict(artifacts["model.onnx"], artifacts["report.json"], given, temperature)
    for shares, prediction in zip(said["shares"], predicted, strict=True):
        assert shares == pytest.approx(list(prediction.probabilities.values()), abs=1e-4), prediction.name


@pytest.mark.long
@pytest.mark.parametrize("arch", ["resnet18", "maxvit_t", "timm/lcnet_050", "timm/vit_tiny_patch16_224"])
def test_model_py_builds_networks_of_torchvision_and_timm(arch: str, tmp_path: Path, packages: Path) -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "model": {"arch": arch}}).filled(1)
    shape = (1, 20, 28)
    network = build_model(spec, shape, 2).eval()
    labels = {
        "classes": [NAME, "dog"],
        "preprocessing": {"sixteen_bit_divisor": 256, "background": "white", "resize": {"mode": "square"}},
        "normalization": {"mean": [0.5], "std": [0.25]},
        "probabilities": {"temperature": 2.0},
    }
    (tmp_path / "model.py").write_text(model_file(spec, shape, labels))
    torch.save(network.state_dict(), tmp_path / "best_model.pth")
    images = torch.rand(2, *shape)
    torch.save(images, tmp_path / "images.pt")
    said = isolated(tmp_path, packages)
    with torch.inference_mode():
        expected = network((images - 0.5) / 0.25)
    assert said["classes"] == [NAME, "dog"]
    assert np.allclose(said["logits"], expected.numpy(), atol=1e-4)
