"""The folds of one seed have every image that is not held out for the test, each once, and keep the proportions."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import Invalid, InvalidData
from service.core.records.builtin_datasets import DIGITS
from service.core.records.dataset import Contents
from service.core.records.plan import UNLIMITED, plan
from service.core.spec import Dataset, Fold
from tests.workers.training.small import labelled, spec, stratified_split
from workers.training.data.images import ImageSet
from workers.training.data.prepare import prepare
from workers.training.data.split import Split


def folds(images: ImageSet, of: int, test_fraction: float = 0.0, seed: int = 1) -> list[Split]:
    options = Dataset("x", test_fraction=test_fraction)
    return [stratified_split(images, replace(options, fold=Fold(of, index)), seed) for index in range(of)]


labels_of_classes = st.lists(st.integers(8, 60), min_size=2, max_size=5).map(
    lambda counts: torch.cat([torch.full((n,), label) for label, n in enumerate(counts)])
)


@given(labels_of_classes, st.integers(2, 7), st.sampled_from([0.0, 0.2]), st.integers(0, 2**32 - 1))
def test_folds_cover_all_images_but_those_of_the_test(labels: torch.Tensor, of: int, test: float, seed: int) -> None:
    found = folds(labelled(labels), of, test, seed)
    assert all(torch.equal(split.test, found[0].test) for split in found)
    validated = torch.cat([split.validation for split in found])
    assert sorted([*validated.tolist(), *found[0].test.tolist()]) == list(range(len(labels)))
    for split in found:
        assert sorted(torch.cat(list(vars(split).values())).tolist()) == list(range(len(labels)))
    counts = torch.stack([torch.bincount(labels[split.validation], minlength=5) for split in found])
    assert int((counts.amax(0) - counts.amin(0)).max()) <= 1
    assert int(counts.sum(1).max() - counts.sum(1).min()) <= 1


def test_folds_depend_on_the_seed() -> None:
    images = labelled(torch.arange(60) % 3)
    first, again, other = (folds(images, 3, seed=seed)[0].digests() for seed in (1, 1, 2))
    assert first == again != other


def test_folds_of_other_seeds_are_the_same_under_one_split_seed() -> None:
    fold = {"id": "digits", "test_fraction": 0.2, "train_limit": 100, "fold": {"of": 3, "index": 1}}
    jobs = [spec(dataset=fold | {"split_seed": 5}, seed=seed) for seed in (1, 2)]
    first, other = (prepare(job) for job in jobs)
    assert first.split.digests() == other.split.digests() != prepare(spec(dataset=fold)).split.digests()
    assert first.splits(jobs[0]) == other.splits(jobs[1]) == plan(jobs[0], DIGITS, UNLIMITED).splits
    assert first.split.digests() == prepare(spec(dataset=fold, seed=5)).split.digests()


def test_images_of_one_group_are_in_one_fold() -> None:
    groups = torch.arange(120) // 4 * 4
    images = replace(labelled(torch.arange(120) % 2, copies=groups), groups=groups)
    for split in folds(images, 5, 0.1):
        members = [set(groups[part].tolist()) for part in vars(split).values()]
        assert sum(map(len, members)) == len(set().union(*members))


def test_a_folder_of_test_images_is_the_test_of_every_fold() -> None:
    parts = torch.zeros(60, dtype=torch.int8)
    parts[:10] = 2
    found = folds(labelled(torch.arange(60) % 2, parts=parts), 5, 0.2)
    assert all(split.test.tolist() == list(range(10)) for split in found)
    assert sorted(torch.cat([split.validation for split in found]).tolist()) == list(range(10, 60))


def test_a_folder_of_validation_images_cannot_have_folds() -> None:
    parts = torch.zeros(60, dtype=torch.int8)
    parts[:10] = 1
    with pytest.raises(InvalidData, match="same in every fold"):
        folds(labelled(torch.arange(60) % 2, parts=parts), 5)
    contents = Contents(("a", "b"), (30, 30), (1, 8, 8), parts={"train": 50, "validation": 10})
    with pytest.raises(Invalid, match="same in every fold") as caught:
        plan(spec(dataset={"id": "digits", "fold": {}}), contents, UNLIMITED)
    assert caught.value.faults[0].pointer == "/dataset/id"


def test_a_class_needs_an_image_for_each_fold() -> None:
    few = torch.tensor([0] * 20 + [1] * 4)
    with pytest.raises(InvalidData, match="class '1' has 4 images; the split needs at least 5"):
        folds(labelled(few), 5)
    with pytest.raises(Invalid, match="class 'b' has 4 images"):
        plan(spec(dataset={"id": "digits", "fold": {}}), Contents(("a", "b"), (20, 4), (1, 8, 8)), UNLIMITED)


def test_the_plan_counts_the_images_of_a_fold() -> None:
    contents = Contents(("a", "b"), (102, 60), (1, 8, 8))
    images = labelled(torch.tensor([0] * 102 + [1] * 60))
    for index, split in enumerate(folds(images, 4, 0.1)):
        job = spec(dataset={"id": "digits", "test_fraction": 0.1, "fold": {"of": 4, "index": index}}, batch_size=4096)
        warnings = plan(job, contents, UNLIMITED).warnings
        assert any(warning.startswith(f"only {len(split.validation)} validation images") for warning in warnings)


def test_a_val_fraction_beside_a_fold_is_warned_of() -> None:
    contents = Contents(("a", "b"), (102, 60), (1, 8, 8))
    job = spec(dataset={"id": "digits", "val_fraction": 0.3, "fold": {}})
    assert any("val_fraction is not used" in warning for warning in plan(job, contents, UNLIMITED).warnings)


def test_folds_have_names_of_their_own_and_share_their_test() -> None:
    of_fold = [
        prepare(job).splits(job)
        for index in range(2)
        for job in [spec(dataset={"id": "digits", "test_fraction": 0.2, "fold": {"index": index}})]
    ]
    assert of_fold[0].validation != of_fold[1].validation
    assert of_fold[0].test == of_fold[1].test != of_fold[0].validation
