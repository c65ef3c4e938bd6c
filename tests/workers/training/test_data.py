from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from service.core.errors import InvalidData
from service.core.spec import Dataset
from tests.workers.training.small import CPU, labelled, spec, stratified_split
from workers.training.data import load
from workers.training.data.batches import Batches, Resident, Streamed
from workers.training.data.images import ImageSet
from workers.training.data.memory import room
from workers.training.data.normalization import Normalization
from workers.training.data.prepare import prepare
from workers.training.data.split import stratified_subset


def test_digits_are_1797_images_of_ten_classes() -> None:
    images = load("digits")
    assert images.stored.shape == (1797, 1, 8, 8)
    assert images.stored.dtype == torch.uint8
    assert (images.stored.min().item(), images.stored.max().item()) == (0, 255)
    assert len(torch.unique(images.stored)) == 17
    assert set(images.labels.tolist()) == set(range(10))


def test_digits_are_those_that_scikit_learn_loads() -> None:
    pixels, labels = load_digits(return_X_y=True)
    images = load("digits")
    assert torch.equal(images.stored.view(-1, 64), torch.from_numpy(pixels * 255 / 16).round().to(torch.uint8))
    assert images.labels.tolist() == labels.tolist()


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
    split = stratified_split(labelled(labels), Dataset("x", val_fraction=val, test_fraction=test), seed)
    together = torch.cat([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(len(labels)))
    for part, share in ((split.validation, val), (split.test, test)):
        for label, count in enumerate(torch.bincount(labels).tolist()):
            assert abs(int((labels[part] == label).sum()) - count * share) <= 1


def test_a_split_is_drawn_from_the_seed_alone() -> None:
    images = load("digits")
    first = stratified_split(images, Dataset("digits"), 1)
    torch.randn(10)
    assert stratified_split(images, Dataset("digits"), 1).digests() == first.digests()
    assert stratified_split(images, Dataset("digits"), 2).digests() != first.digests()


def test_train_limit_keeps_the_validation_images() -> None:
    images = load("digits")
    whole = stratified_split(images, Dataset("digits"), 1)
    limited = stratified_split(images, Dataset("digits", train_limit=100), 1)
    assert torch.equal(limited.validation, whole.validation)
    assert len(limited.train) == 100
    assert set(limited.train.tolist()) <= set(whole.train.tolist())
    assert torch.bincount(images.labels[limited.train]).tolist() == [10] * 10


def test_class_with_too_few_images_is_refused() -> None:
    with pytest.raises(InvalidData, match="class '1' has 2 images"):
        stratified_split(labelled(torch.tensor([0] * 10 + [1] * 2)), Dataset("x", test_fraction=0.2), 1)


@given(st.integers(1, 300), st.integers(0, 99))
def test_subset_has_its_size_if_enough_images_exist(size: int, seed: int) -> None:
    labels = torch.arange(200) % 7
    subset = stratified_subset(labels, torch.arange(200), size, seed)
    assert len(subset) == len(torch.unique(subset)) == min(size, 200)


def colourful() -> ImageSet:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 3, 5, 4), dtype=torch.uint8, generator=random)
    images[:, 2] = 9
    return ImageSet(images, torch.arange(50) % 2, ("a", "b"))


def resident(data: ImageSet, indices: torch.Tensor, normalization: Normalization) -> Batches:
    return Resident(data, data.on(CPU), indices, normalization)


def test_normalized_training_images_have_mean_0_and_deviation_1() -> None:
    data, indices = colourful(), torch.arange(0, 50, 2)
    ((pixels, _),) = resident(data, indices, Normalization.of(data.chunks(indices))).in_order(100)
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(pixels.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4, rtol=0)


def test_statistics_do_not_depend_on_the_chunks() -> None:
    data = colourful()
    whole, by_seven = Normalization.of([data.stored]), Normalization.of(torch.split(data.stored, 7))
    assert torch.equal(whole.mean, by_seven.mean)
    assert torch.equal(whole.std, by_seven.std)


def test_without_normalization_pixels_are_from_zero_to_one() -> None:
    data = colourful()
    ((pixels, labels),) = resident(data, torch.arange(50), Normalization.none(3)).in_order(100)
    torch.testing.assert_close(pixels, data.stored.float() / 255)
    assert torch.equal(labels, data.labels)


def test_stored_images_are_never_changed() -> None:
    data = colourful()
    before = data.stored.clone()
    for pixels, _ in resident(data, torch.arange(50), Normalization.none(3)).in_order(7):
        pixels.zero_()
    assert torch.equal(data.stored, before)


def test_images_are_resized_to_squares_of_the_given_side() -> None:
    data = replace(colourful(), side=8)
    assert data.shape == (3, 8, 8)
    taken = data.take(torch.tensor([3, 1]))
    assert taken.shape == (2, 3, 8, 8)
    assert taken.dtype == torch.uint8
    assert torch.equal(taken, data.on(CPU)[[3, 1]])
    assert bool((taken[:, 2] == 9).all()), "a constant channel stays constant"
    assert data.nbytes == data.on(CPU).nbytes


def batches_of(kind: str, data: ImageSet, indices: torch.Tensor) -> Batches:
    normalization = Normalization.of(data.chunks(indices))
    if kind == "resident":
        return resident(data, indices, normalization)
    return Streamed(data, indices, normalization, torch.device("cpu"))


@pytest.mark.parametrize(("side", "sampling"), [(None, "natural"), (6, "balanced")])
def test_streamed_batches_equal_resident_batches(side: int | None, sampling: str) -> None:
    data, indices = replace(colourful(), side=side), torch.arange(1, 50, 2)
    streamed, kept = (batches_of(kind, data, indices) for kind in ("streamed", "resident"))
    for _ in range(2):  # epochs
        orders = [torch.Generator().manual_seed(5) for _ in range(2)]
        for skip in (0, 2):
            sides = zip((streamed, kept), orders, strict=True)
            pairs = [list(batches.shuffled(4, order, skip, sampling)) for batches, order in sides]
            assert len(pairs[0]) == 6 - skip
            for (pixels, labels), (other_pixels, other_labels) in zip(*pairs, strict=True):
                assert pixels.dtype == torch.uint8
                assert torch.equal(pixels, other_pixels)
                assert torch.equal(labels, other_labels)
        for (images, labels), (other_images, other_labels) in zip(streamed.in_order(6), kept.in_order(6), strict=True):
            assert torch.equal(images, other_images)
            assert torch.equal(labels, other_labels)


def test_pass_that_ends_early_does_not_disturb_the_next() -> None:
    data, indices = colourful(), torch.arange(50)
    streamed = batches_of("streamed", data, indices)
    next(iter(streamed.in_order(3)))
    assert torch.equal(torch.cat([labels for _, labels in streamed.in_order(8)]), data.labels)


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_skipping_omits_the_first_batches_of_the_same_order(sampling: str) -> None:
    batches = batches_of("resident", colourful(), torch.arange(50))
    whole = list(batches.shuffled(8, torch.Generator().manual_seed(1), sampling=sampling))
    rest = list(batches.shuffled(8, torch.Generator().manual_seed(1), skip=3, sampling=sampling))
    assert len(rest) == len(whole) - 3
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(whole[3:], rest, strict=True))
    assert list(batches.shuffled(8, torch.Generator(), skip=7)) == []


@given(st.integers(1, 50), st.integers(1, 60))
def test_no_image_is_left_alone_in_a_last_batch(n: int, batch_size: int) -> None:
    """Batch normalization cannot normalize a single one."""
    batches = batches_of("resident", colourful(), torch.arange(n))
    sizes = [len(labels) for _, labels in batches.shuffled(batch_size, torch.Generator().manual_seed(1))]
    assert sum(sizes) == n
    assert len(sizes) == batches.steps(batch_size)
    assert n == 1 or batch_size == 1 or min(sizes) > 1
    assert max(sizes) <= batch_size + 1


def test_the_digest_names_pixels_and_labels() -> None:
    data = colourful()
    other = data.stored.clone()
    other[-1, -1, -1, -1] += 1
    digests = {data.digest, replace(data, stored=other).digest, replace(data, labels=data.labels.flip(0)).digest}
    assert len(digests) == 3
    assert colourful().digest == data.digest


def test_images_are_resident_if_they_fit_and_else_streamed() -> None:
    given_spec = spec(dataset={"id": "digits", "train_limit": 50})
    prepared = prepare(given_spec)
    assert isinstance(prepared.on(CPU, prepared.images.nbytes)(prepared.clean), Resident)
    assert isinstance(prepared.on(CPU, prepared.images.nbytes - 1)(prepared.clean), Streamed)
    assert isinstance(prepared.on(CPU)(prepared.clean), Resident), "1,797 digits have room anywhere"
    assert 1 << 20 < room(CPU) < 1 << 50
