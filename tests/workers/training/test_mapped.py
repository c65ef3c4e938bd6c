"""Images in a file that several trainers map into memory."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torch import Tensor

from workers.training.data.mapped import mapped

SIZE = 1 << 16


def test_of_several_trainers_one_writes_the_file(tmp_path: Path) -> None:
    filled: list[Tensor] = []

    def fill(images: Tensor) -> None:
        filled.append(images.fill_(7))

    with ThreadPoolExecutor(4) as trainers:
        maps = list(trainers.map(lambda _: mapped(tmp_path / "images.bin", SIZE, fill), range(4)))
    assert len(filled) == 1
    assert all((images == 7).all() for images in maps)
    maps[0].fill_(8)
    assert (maps[1] == 7).all(), "a trainer cannot change the images of another one"


def test_a_file_that_was_not_finished_is_written_again(tmp_path: Path) -> None:
    def fail(images: Tensor) -> None:
        images.fill_(1)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        mapped(tmp_path / "images.bin", SIZE, fail)
    assert (mapped(tmp_path / "images.bin", SIZE, lambda images: images.fill_(2)) == 2).all()
