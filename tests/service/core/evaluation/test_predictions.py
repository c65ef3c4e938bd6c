from pathlib import Path

import numpy as np
import pytest

from service.core.errors import InvalidData
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, load


def predictions() -> Predictions:
    return Predictions(
        part=np.array([VALIDATION, TEST, VALIDATION], np.uint8),
        index=np.array([7, 3, 9]),
        label=np.array([1, 0, 2]),
        logits=np.arange(9, dtype=np.float32).reshape(3, 3),
    )


def test_a_file_holds_the_predictions(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    with path.open("wb") as file:
        predictions().save(file)
    loaded = load(path)
    for name, array in vars(predictions()).items():
        np.testing.assert_array_equal(getattr(loaded, name), array)


def test_a_part_has_its_images_in_order() -> None:
    validation = predictions().of(VALIDATION)
    assert validation.index.tolist() == [7, 9]
    assert validation.logits[1].tolist() == [6, 7, 8]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "predictions.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match="cannot be read"):
        load(path)
