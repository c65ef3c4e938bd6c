"""Near copies are grouped where they stand out in their class; sets that merely look alike keep their split."""

import numpy as np
import pytest
import torch

from service.core.spec import Dataset
from tests.benchmarks.copies.measure import found, with_copies
from tests.benchmarks.copies.sets import SETS, camera, objects, photographs, pictograms
from tests.pictures import encoded, zipped
from tests.workers.datasets.ingest.reading import Reader
from tests.workers.training.small import labelled, stratified_split
from workers.datasets.ingest.groups import sizes as group_sizes


@pytest.mark.parametrize("name", ["fixed camera", "objects on black", "real digits", "photographs"])
def test_pictures_that_only_resemble_each_other_stay_single(name: str) -> None:
    pictures = SETS[name]()
    copies = found(pictures)
    assert (copies.groups != np.arange(len(pictures.images))).sum() <= len(pictures.images) // 500
    assert copies.across == []


def test_changed_copies_of_photographs_are_found() -> None:
    changed, originals = with_copies(photographs(), every=1)
    copies = found(changed)
    assert np.mean(copies.groups == copies.groups[originals]) > 0.85


def test_variants_of_a_pictogram_are_grouped_in_their_class() -> None:
    pictures = pictograms(families=20)
    families, labels = np.asarray(pictures.families), np.asarray(pictures.labels)
    groups = found(pictures).groups
    assert (labels[groups] == labels).all()
    assert (families[groups] == families).all()
    assert len(np.unique(groups)) < 1.5 * len(np.unique(families))


def split_shares(count: int, seeds: int) -> list[float]:
    """The smallest and the largest share of a class of camera pictures in validation, over the seeds."""
    pictures = camera(count, side=32)
    labels, copies = torch.tensor(pictures.labels), torch.from_numpy(found(pictures).groups)
    images, shares = labelled(labels, None, copies), []
    for seed in range(seeds):
        chosen = stratified_split(images, Dataset("ds_1"), seed).validation
        shares += (torch.bincount(labels[chosen]) / torch.bincount(labels)).tolist()
    return [min(shares), max(shares)]


def test_pictures_of_a_fixed_camera_are_split_as_asked() -> None:
    assert split_shares(600, seeds=5) == pytest.approx([0.2, 0.2])


@pytest.mark.long
def test_five_thousand_pictures_of_a_camera_are_split_as_asked() -> None:
    assert split_shares(5000, seeds=20) == pytest.approx([0.2, 0.2])


def test_alike_objects_of_two_classes_are_no_wrong_labels(reader: Reader) -> None:
    pictures = objects(100)
    files = zip(pictures.labels, pictures.images, strict=True)
    named = {f"{'ab'[label]}/{i}.png": encoded(np.asarray(image)) for i, (label, image) in enumerate(files)}
    assert not any("label" in warning for warning in reader(zipped(named)).contents.warnings)


def test_near_copy_of_another_class_may_have_a_wrong_label(reader: Reader) -> None:
    pictures = photographs()
    files = {
        f"{'ab'[label]}/{i}.png": encoded(np.asarray(pictures.images[i])) for i, label in enumerate(pictures.labels)
    }
    files["b/copy.jpg"] = encoded(np.asarray(pictures.images[30]), "JPEG")
    contents = reader(zipped(files)).contents
    assert any("one of the labels may be wrong" in warning and "b/copy.jpg" in warning for warning in contents.warnings)
    assert contents.copies == {}


def test_group_of_near_copies_has_a_largest_size() -> None:
    changed, _ = with_copies(photographs(), every=1, times=12)
    sizes = group_sizes(found(changed).groups)
    assert max(sizes, default=0) <= 32
