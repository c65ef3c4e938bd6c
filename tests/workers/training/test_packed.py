"""Training on uploaded data sets: the packed images, and splits that respect folders and copies."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from service.core.errors import InvalidData
from service.core.images import WAYS, resized
from service.core.records.dataset import Contents
from service.core.records.plan import Limits, plan
from service.core.spec import Dataset, JobSpec
from tests.pictures import encoded, folders, stripes, zipped
from tests.workers.training.small import labelled, stratified_split
from workers.datasets.ingest.read import read
from workers.training.data import DataPaths
from workers.training.data.images import CHUNK_BYTES, ImageSet
from workers.training.data.packed import load
from workers.training.data.prepare import Prepared, data_digest, prepare
from workers.training.data.split import divided
from workers.training.data.split_of_0_1 import split_of_0_1


def prepared(tmp_path: Path, files: dict[str, bytes], **dataset: object) -> Prepared:
    (tmp_path / "upload").write_bytes(zipped(files))
    (tmp_path / "pack").mkdir()
    read("zip", tmp_path / "upload", tmp_path / "pack", 1 << 30)
    spec = JobSpec.from_dict({"dataset": {"id": "ds_1"} | dataset}).filled(1)
    return prepare(spec, DataPaths(tmp_path / "pack", tmp_path))


def test_packed_images_equal_the_uploaded_ones(tmp_path: Path) -> None:
    data = prepared(tmp_path, folders(each=5))
    assert data.images.shape == (1, 16, 16)
    assert data.images.classes == ("checks", "columns", "rows")
    pixels = data.images.take(torch.tensor([5, 14]))
    assert (pixels[0, 0].numpy() == stripes("columns", 0)).all()
    assert (pixels[1, 0].numpy() == stripes("rows", 4)).all()
    assert data.images.on(torch.device("cpu")) is data.images.stored, "mapped into memory, not copied"


def test_images_of_several_sizes_are_resized_to_one(tmp_path: Path) -> None:
    plain = np.full((40, 20, 3), 77, np.uint8)
    data = prepared(tmp_path, folders(each=5) | {"rows/tall.png": encoded(plain)}, image_size=12)
    assert data.images.shape == (3, 12, 12)
    assert data.images.side is None
    assert (data.images.take(torch.tensor([15])) == 77).all()
    file = tmp_path / ".images-12-1.bin"
    file.write_bytes(bytes([78]) * file.stat().st_size)  # other jobs map the same file
    assert (load(tmp_path / "pack", 12, tmp_path).take(torch.tensor([15])) == 78).all()
    assert load(tmp_path / "pack", 6, tmp_path).shape == (3, 6, 6)


@pytest.mark.parametrize(("way", "reference"), [("crop", ImageOps.fit), ("pad", ImageOps.pad)])
def test_images_keep_their_shape_while_they_are_resized(tmp_path: Path, way: str, reference: Any) -> None:
    wide, tall = (np.random.default_rng(1).integers(0, 256, size, np.uint8) for size in ((20, 37, 3), (41, 18, 3)))
    files = folders(each=5) | {"rows/tall.png": encoded(tall), "rows/wide.png": encoded(wide)}
    data = prepared(tmp_path, files, image_size=12, resize=way)
    images = data.images.take(torch.tensor([15, 16])).permute(0, 2, 3, 1).numpy()
    for image, pixels in zip(images, (tall, wide), strict=True):
        assert (image == np.asarray(reference(Image.fromarray(pixels), (12, 12), Image.Resampling.BILINEAR))).all()
    squares = load(tmp_path / "pack", 12, tmp_path)
    assert not torch.equal(squares.take(torch.tensor([15])), data.images.take(torch.tensor([15]))), "a file of its own"
    digests = {load(tmp_path / "pack", 12, tmp_path, each).digest for each in ("square", way)}
    assert len(digests) == 1, "the digest is that of the stored images"


def test_each_way_to_resize_is_an_option() -> None:
    assert get_args(get_type_hints(Dataset)["resize"]) == tuple(WAYS)
    line = resized(Image.new("L", (1, 900), 255), 8, 8, "pad")
    assert np.asarray(line).sum() == 255 * 8, "a line is left of a very long picture"


def test_built_in_sets_keep_their_shape_too(tmp_path: Path) -> None:
    shape = JobSpec.from_dict({"dataset": {"id": "synthetic", "image_size": 20, "resize": "pad"}}).filled(1)
    images = prepare(shape).images
    stored = replace(images, stored=images.stored[:2, :, :10], labels=images.labels[:2], known_digest="")
    assert (stored.take(torch.arange(2))[:, :, [0, 1, -1]] == 0).all(), "black borders above and below"
    assert torch.equal(stored.on(torch.device("cpu")), stored.take(torch.arange(2)))


def test_folders_that_divide_the_set_give_the_split(tmp_path: Path) -> None:
    files = {f"train/{name}": data for name, data in folders(each=6).items()}
    files |= {f"val/{name}": data for name, data in folders(each=2, first=10).items()}
    files |= {f"test/{name}": data for name, data in folders(each=1, first=20).items()}
    data = prepared(tmp_path, files)
    assert data.images.parts is not None
    for part, indices in enumerate(vars(data.split).values()):
        assert (data.images.parts[indices] == part).all()
    assert [len(part) for part in vars(data.split).values()] == [18, 6, 3]


def test_missing_part_is_drawn_from_the_training_images(tmp_path: Path) -> None:
    files = {f"train/{name}": data for name, data in folders(each=10).items()}
    files |= {f"test/{name}": data for name, data in folders(each=3, first=20).items()}
    split = prepared(tmp_path, files, test_fraction=0.5).split
    assert [len(part) for part in vars(split).values()] == [24, 6, 9]


def test_copies_are_never_on_two_sides_of_a_split() -> None:
    labels = torch.tensor([0, 1] * 50)
    copies = torch.arange(100)
    copies[60:100:2] = copies[0:40:2]
    copies[61], copies[80] = 1, 1  # of a picture, and of one of another class
    for seed in range(5):
        split = stratified_split(labelled(labels, None, copies), Dataset("ds_1", test_fraction=0.2), seed)
        parts = {int(i): name for name, part in vars(split).items() for i in part}
        assert len(parts) == 100
        assert all(parts[i] == parts[int(copies[i])] for i in range(100))
        assert min(map(len, vars(split).values())) >= 10


def test_training_images_stay_even_as_copies_of_other_parts() -> None:
    labels, copies = torch.tensor([0, 1] * 10), torch.arange(20)
    given = torch.tensor([2] * 4 + [0] * 16, dtype=torch.int8)
    copies[4:8] = torch.tensor([0, 1, 2, 3])  # of images to test on
    copies[8], copies[9] = 0, 1
    split = stratified_split(labelled(labels, given, copies), Dataset("ds_1"), 1)
    assert split.test.tolist() == [0, 1, 2, 3]
    assert sorted([*split.train.tolist(), *split.validation.tolist()]) == list(range(4, 20))
    parts = {int(i): name for name, part in vars(split).items() for i in part}
    assert parts[4] == parts[8]


def test_class_with_only_copies_is_still_split() -> None:
    labels, copies = torch.tensor([0, 1] * 10), torch.arange(20)
    copies[0:20:2] = 0  # frames of one film
    split = stratified_split(labelled(labels, None, copies), Dataset("ds_1"), 1)
    assert (labels[split.validation] == 0).sum() == 2
    copies = torch.arange(20)
    copies[1:20:2] = torch.arange(0, 20, 2)  # each of class 1 is in class 0 too
    split = stratified_split(labelled(labels, None, copies), Dataset("ds_1"), 1)
    assert (labels[split.train] == 1).sum() == 8


def test_shares_are_met_exactly_with_copies_in_each_class() -> None:
    labels, copies = torch.arange(300) % 3, torch.arange(300)
    copies[90:150] = copies[0:60]  # pairs, a fifth of them
    for seed in range(5):
        split = stratified_split(labelled(labels, None, copies), Dataset("ds_1", test_fraction=0.1), seed)
        assert torch.bincount(labels[split.validation]).tolist() == [20] * 3
        assert torch.bincount(labels[split.test]).tolist() == [10] * 3
        assert not set(copies[split.train].tolist()) & set(copies[split.validation].tolist())


def test_groups_without_single_images_are_near_the_shares() -> None:
    for seed in range(5):
        random = torch.Generator().manual_seed(seed)
        patients = torch.randint(0, 25, (500,), generator=random)
        labels = (torch.rand(500, generator=random) < 0.3).long()
        first = torch.tensor([int((patients == patient).nonzero()[0]) for patient in patients])
        split = stratified_split(labelled(labels, None, first), Dataset("ds_1"), seed)
        shares = torch.bincount(labels[split.validation]) / torch.bincount(labels)
        assert (shares - 0.2).abs().max() < 0.03
        assert not set(patients[split.train].tolist()) & set(patients[split.validation].tolist())


def test_group_too_large_for_the_shares_is_divided_and_noted() -> None:
    labels, copies = torch.arange(126) // 63, torch.arange(126)
    copies[copies % 63 < 60] = 0  # of a pack of an older release: nearly all images, across the classes
    division = divided(labelled(labels, None, copies), Dataset("ds_1"), 1)
    assert torch.bincount(labels[division.split.validation]).tolist() == [13, 13]
    assert (
        "class '0': with all copies on one side, 3 of its 63 images would be in the part validation"
        in division.notes[0]
    )


def test_groups_of_a_label_file_are_never_divided() -> None:
    labels = torch.arange(120) % 2
    groups = torch.arange(120) // 40 * 40  # three patients, where a fifth should validate
    copies = groups.clone()
    copies[40:80] = 0  # copies join two of them
    for seed in range(5):
        division = divided(replace(labelled(labels, None, copies), groups=groups), Dataset("ds_1"), seed)
        split = division.split
        assert (len(split.train), len(split.validation)) == (80, 40)
        assert not set(groups[split.train].tolist()) & set(groups[split.validation].tolist())
        assert "20 of its 60 images are in the part validation, where the spec asks for 12" in division.notes[-1]


@pytest.mark.parametrize(("groups", "test_fraction"), [(2, 0.0), (3, 0.2)])
def test_each_part_gets_a_group_where_there_are_enough(groups: int, test_fraction: float) -> None:
    labels = torch.arange(20 * groups) % 2
    patients = torch.arange(20 * groups) // 20 * 20
    images = replace(labelled(labels, None, patients), groups=patients)
    for seed in range(5):
        split = divided(images, Dataset("ds_1", test_fraction=test_fraction), seed).split
        parts = [set(patients[part].tolist()) for part in (split.train, split.validation, split.test)]
        assert [len(part) for part in parts if part] == [1] * groups


def test_groups_that_leave_a_part_empty_are_refused() -> None:
    labels, one = torch.arange(20) % 2, torch.zeros(20, dtype=torch.int64)
    with pytest.raises(InvalidData, match="no image is left for the part validation"):
        divided(replace(labelled(labels, None, one), groups=one), Dataset("ds_1"), 1)


def test_plan_tells_the_validation_images_that_are_used(tmp_path: Path) -> None:
    files = folders(each=9)
    files["rows/copy.png"] = files["rows/000.png"]
    used = len(prepared(tmp_path, files).split.validation)
    spec = JobSpec.from_dict({"dataset": {"id": "ds_1"}}).filled(1)
    warnings = plan(spec, Contents.of_pack(tmp_path / "pack"), Limits(10**9, 1 << 40)).warnings
    assert any(f"only {used} validation images" in warning for warning in warnings)


def test_resumed_run_keeps_the_split_of_the_older_release(tmp_path: Path) -> None:
    files = folders(each=10)
    files |= {f"rows/copy{i}.png": files["rows/000.png"] for i in range(4)}
    new = prepared(tmp_path, files)
    copies = new.images.copies
    assert copies is not None
    old = split_of_0_1(new.images, copies, Dataset("ds_1"), 1)
    assert old.digests() != new.split.digests()
    spec = JobSpec.from_dict({"dataset": {"id": "ds_1"}}).filled(1)
    digest = data_digest(new.images.digest, old.digests())
    resumed = prepare(spec, DataPaths(tmp_path / "pack", tmp_path), digest)
    assert (resumed.digest, resumed.split.digests()) == (digest, old.digests())


def test_large_images_are_processed_in_chunks() -> None:
    many = ImageSet(torch.zeros(60, 3, 512, 512, dtype=torch.uint8), torch.zeros(60, dtype=torch.int64), ("a",))
    assert max(chunk.nbytes for chunk in many.chunks(torch.arange(60))) <= CHUNK_BYTES
    assert sum(len(chunk) for chunk in many.chunks(torch.arange(60))) == 60


@pytest.mark.parametrize("limit", [10, 40])
def test_a_limit_thins_the_training_part_and_no_other(limit: int) -> None:
    labels, given = torch.arange(100) % 4, (torch.arange(100) % 5 == 0).to(torch.int8)
    split = stratified_split(labelled(labels, given), Dataset("ds_1", train_limit=limit), 1)
    assert (len(split.train), len(split.validation)) == (limit, 20)
