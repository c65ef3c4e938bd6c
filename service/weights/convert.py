"""From an uploaded file to checked weights in one form: safetensors with the library's present names."""

from pathlib import Path
from typing import IO

import numpy as np

from service.core.spec.states import SCALED_INPUT
from service.weights.check import Checked, check
from service.weights.safetensors_file import is_safetensors, read_safetensors, write_safetensors
from service.weights.torch_file import read_torch_file


def convert(arch: str, upload: Path, target: IO[bytes]) -> Checked:
    """Check the file of weights of the network `arch`, and write them to `target` as safetensors.

    The file is read by its content, whatever its name: safetensors, or a file of torch.save. Nothing in it is run.
    Raises UnreadableFile with the reason, and OSError.
    """
    with upload.open("rb") as file:
        tensors = read_safetensors(file) if is_safetensors(file) else read_torch_file(file)
    content = np.memmap(upload, np.uint8, "r")
    checked = check(arch, tensors, content)
    scaling = {SCALED_INPUT: "from ImageNet's statistics to [-1, 1]"} if checked.scales_input else {}
    write_safetensors(checked.tensors, content, target, {"format": "pt", "arch": arch, **scaling})
    return checked
