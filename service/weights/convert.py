"""From an uploaded file to checked weights in one form: safetensors with the library's present names."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from service.core.spec.states import SCALED_INPUT
from service.weights.check import Checked, check
from service.weights.safetensors_file import is_safetensors, read_safetensors, write_safetensors
from service.weights.torch_file import read_torch_file

# The first digits of the SHA-256 of torchvision's published files, as their names have them, for the networks that
# scale color images to [-1, 1] before their layers. The tensors do not show it: others train them without it.
PUBLISHED = {"googlenet": "1378be20", "inception_v3": "0cc3c7bd"}
OTHER_NOTE = (
    "its images are expected to be normalized by ImageNet's statistics; of the weights that torchvision publishes for "
    "this network, send the file as it was downloaded"
)


def convert(arch: str, upload: Path, target: IO[bytes]) -> Checked:
    """Check the file of weights of the network `arch`, and write them to `target` as safetensors.

    The file is read by its content, whatever its name: safetensors, or a file of torch.save. Nothing in it is run.
    Raises UnreadableFile with the reason, and OSError.
    """
    with upload.open("rb") as file:
        tensors = read_safetensors(file) if is_safetensors(file) else read_torch_file(file)
    content = np.memmap(upload, np.uint8, "r")
    checked = check(arch, tensors, content)
    scales_input = arch in PUBLISHED and _sha256(upload).startswith(PUBLISHED[arch])
    if arch in PUBLISHED and not scales_input:
        checked = replace(checked, notes=(*checked.notes, OTHER_NOTE))
    scaling = {SCALED_INPUT: "from ImageNet's statistics to [-1, 1]"} if scales_input else {}
    write_safetensors(checked.tensors, content, target, {"format": "pt", "arch": arch, **scaling})
    return checked


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
