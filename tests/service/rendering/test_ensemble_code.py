"""The program of ensemble.zip reads pictures as the service does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.core.images import WAYS, Preprocessing, read, resized
from service.rendering.ensemble_code import ENSEMBLE_CODE
from tests.workers.trainer.test_labels import colored, deep, turned, veiled

WIDTH, HEIGHT = 12, 10


@pytest.fixture
def program(tmp_path: Path) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "ensemble", "__file__": str(tmp_path / "ensemble.py")}
    exec(ENSEMBLE_CODE, names)  # noqa: S102
    return names


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encode", [turned, veiled, deep])
def test_program_reads_pictures_as_the_service_does(
    program: dict[str, Any], tmp_path: Path, way: str, encode: Any
) -> None:
    decided, data = Preprocessing(16, (9, 99, 200)), encode(colored("rows", 1))
    (tmp_path / "picture.png").write_bytes(data)
    labels = {
        "input": {"shape": [None, 3, HEIGHT, WIDTH]},
        "preprocessing": decided.to_dict() | {"resize": {"mode": way, "width": WIDTH, "height": HEIGHT}},
    }
    image = program["read"](tmp_path / "picture.png", json.loads(json.dumps(labels)))
    expected: Image.Image = resized(read(data, decided).image.convert("RGB"), WIDTH, HEIGHT, way)
    assert image.dtype == np.float32
    assert np.allclose(image[0] * 255, np.asarray(expected).transpose(2, 0, 1), atol=1e-3)
