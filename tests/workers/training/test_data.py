import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidData
from service.core.spec import Dataset
from workers.training.data import load
from workers.training.data.batches import Batches, Normalization
from workers.training.data.images import ImageSet
from workers.training.data.split import stratified_split, stratified_subset


def test_the_digits_are_1797_images_of_ten_classes_that_use_the_whole_range() -> None:
    images = load("digits")
    assert images.images.shape == (1797, 1, 8, 8)
    assert images.images.dtype == torch.uint8
    assert (images.images.min().item(), images.images.max().item()) == (0, 255)
    assert len(torch.unique(images.images)) == 17
    assert set(images.labels.tolist()) == set(range(10))


def test_an_unknown_data_set_is_invalid_data() -> None:
    with pytest.raises(InvalidData, match="digits"):
        load("nothing")


labels_of_classes = st.lists(st.integers(4, 60), min_size=2, max_size=6).map(
    lambda counts: torch.cat([torch.full((n,), i) for i, n in enumerate(counts)])
)
fractions = st.floats(0.05, 0.4)


@given(labels_of_classes, fractions, fractions, st.integers(0, 2**32 - 1))
def test_a_split_uses_every_image_once_and_keeps_the_proportions(
    labels: torch.Tensor, val: float, test: float, seed: int
) -> None:
    split = stratified_split(labels, Dataset("x", val_fraction=val, test_fraction=test), seed)
    together = torch.cat([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(len(labels)))
    for part, share in ((split.validation, val), (split.test, test)):
        for label, count in enumerate(torch.bincount(labels).tolist()):
            assert abs(int((labels[part] == label).sum()) - count * share) <= 1


def test_a_split_is_drawn_from_the_seed_alone() -> None:
    labels = load("digits").labels
    first = stratified_split(labels, Dataset("digits"), 1)
    torch.randn(10)
    assert stratified_split(labels, Dataset("digits"), 1).digests() == first.digests()
    assert stratified_split(labels, Dataset("digits"), 2).digests() != first.digests()


def test_limiting_the_training_images_leaves_the_validation_images_as_they_are() -> None:
    labels = load("digits").labels
    whole = stratified_split(labels, Dataset("digits"), 1)
    limited = stratified_split(labels, Dataset("digits", train_limit=100), 1)
    assert torch.equal(limited.validation, whole.validation)
    assert len(limited.train) == 100
    assert set(limited.train.tolist()) <= set(whole.train.tolist())
    assert torch.bincount(labels[limited.train]).tolist() == [10] * 10


def test_a_class_with_too_few_images_is_told() -> None:
    with pytest.raises(InvalidData, match="class 1 has 2 images"):
        stratified_split(torch.tensor([0] * 10 + [1] * 2), Dataset("x", test_fraction=0.2), 1)


@given(st.integers(1, 300), st.integers(0, 99))
def test_a_subset_has_the_size_asked_for_where_there_are_so_many(size: int, seed: int) -> None:
    labels = torch.arange(200) % 7
    subset = stratified_subset(labels, torch.arange(200), size, seed)
    assert len(subset) == len(torch.unique(subset)) == min(size, 200)


def colourful() -> ImageSet:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 3, 5, 4), dtype=torch.uint8, generator=random)
    images[:, 2] = 9
    return ImageSet(images, torch.arange(50) % 2, ("a", "b"))


def test_normalizing_gives_mean_zero_and_deviation_one_on_the_training_part_and_no_nan_on_a_constant_channel() -> None:
    data, indices = colourful(), torch.arange(0, 50, 2)
    ((pixels, _),) = Batches(data, indices, Normalization.of(data.images, indices)).in_order(100)
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(pixels.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4, rtol=0)


def test_without_normalization_pixels_are_from_zero_to_one() -> None:
    data = colourful()
    ((pixels, labels),) = Batches(data, torch.arange(50), Normalization.none(3)).in_order(100)
    torch.testing.assert_close(pixels, data.images.float() / 255)
    assert torch.equal(labels, data.labels)


def test_the_stored_images_are_never_changed() -> None:
    data = colourful()
    before = data.digest()
    for pixels, _ in Batches(data, torch.arange(50), Normalization.none(3)).in_order(7):
        pixels.zero_()
    assert data.digest() == before
