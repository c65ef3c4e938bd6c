"""Recipes for data sets of several sizes, and the specs that they fill."""

from dataclasses import replace
from typing import Any, get_args, get_type_hints

import pytest

from service.core.experiments.filling import filled, left_open
from service.core.experiments.fits.starts import starting_points
from service.core.experiments.recipes import DataFacts, Recipe, recipes_for
from service.core.records.builtin_datasets import CONTENTS_OF, DIGITS
from service.core.records.dataset import Contents, Size
from service.core.records.plan import UNLIMITED, plan
from service.core.spec import Cnn, Dataset, JobSpec
from service.core.spec.patch import patched, plain
from service.schemas.spec import JobSpecSchema

PHOTOGRAPHS = DataFacts(images=240, channels=3, side=224, may_be_mirrored=True)


def good(facts: DataFacts) -> Recipe:
    return next(recipe for recipe in recipes_for(facts) if recipe.name == "good")


def fill(given: dict[str, Any], facts: DataFacts = PHOTOGRAPHS) -> dict[str, Any]:
    return filled(given, left_open(given, good(facts)))


def test_the_spec_knows_the_names_of_all_recipes() -> None:
    literal = next(hint for hint in get_args(get_type_hints(JobSpec)["recipe"]) if hint is not type(None))
    assert [recipe.name for recipe in recipes_for(PHOTOGRAPHS)] == list(get_args(literal))


@pytest.mark.parametrize("dataset_id", CONTENTS_OF)
@pytest.mark.parametrize("number", [0, 1])
def test_a_recipe_can_be_planned_without_warnings(dataset_id: str, number: int) -> None:
    contents, dataset = CONTENTS_OF[dataset_id], Dataset(dataset_id)
    recipe = recipes_for(DataFacts.of(contents, dataset))[number]
    data = {"dataset": {"id": dataset_id}}
    by_patch = patched(plain(JobSpec(dataset)), recipe.operations)
    spec = JobSpec.from_dict(filled(data, left_open(data, recipe)))
    assert JobSpec.from_dict(by_patch) == spec == JobSpecSchema().load(by_patch)
    assert plan(spec, contents, UNLIMITED).warnings == ()


@pytest.mark.parametrize("side", [2, 7, 8, 15, 16, 31, 32, 33, 500])
@pytest.mark.parametrize("images", [2, 100, 10**6])
def test_a_recipe_fits_images_of_every_size(side: int, images: int) -> None:
    contents = replace(DIGITS, shape=(3, side, side))
    for recipe in recipes_for(DataFacts(images, 3, side, may_be_mirrored=True)):
        spec = JobSpec.from_dict(patched(plain(JobSpec(Dataset("digits"))), recipe.operations))
        assert plan(spec, contents, UNLIMITED).parameters < 10**7


def test_large_photographs_are_scaled_down_and_varied() -> None:
    spec = fill({"dataset": {"id": "pets"}})
    assert spec["dataset"] == {"id": "pets", "image_size": 96}
    assert spec["augmentation"] == {"horizontal_flip": True, "crop_padding": 6, "trivial_augment": True}
    assert len(spec["model"]["channels"]) == 5


@pytest.mark.parametrize(
    ("sizes", "image_size", "is_cropped"),
    [
        (((300, 200, 60), (200, 200, 40)), None, True),
        (((300, 200, 40), (200, 200, 60)), None, False),
        (((900, 200, 60), (200, 200, 40)), None, False),
        (((90, 60, 100),), None, False),
        (((90, 60, 100),), 32, True),
    ],
)
def test_the_middle_of_most_long_photographs_is_kept(
    sizes: tuple[tuple[int, int, int], ...], image_size: int | None, is_cropped: bool
) -> None:
    is_uniform = len(sizes) == 1
    shape = (3, sizes[0][1], sizes[0][0] if is_uniform else sizes[0][1])
    counted = tuple(Size(*each) for each in sizes)
    contents = Contents(("cat", "dog"), (50, 50), shape, is_uniform=is_uniform, sizes=counted)
    facts = DataFacts.of(contents, Dataset("pets", image_size=image_size))
    assert any("/dataset/resize" in choice.values for choice in good(facts).choices) == is_cropped


def test_a_fit_zooms_into_photographs_alone() -> None:
    photographs = Contents(("cat", "dog"), (50, 50), (3, 64, 64))
    zoomed = "/augmentation/random_resized_crop"
    for contents, is_zoomed in ((photographs, True), (DIGITS, False)):
        starts = starting_points(JobSpec(Dataset("pets"), model=Cnn()), contents)
        assert any(step["path"] == zoomed for start in starts for step in start.patch) == is_zoomed


def test_digits_are_neither_mirrored_nor_shifted() -> None:
    facts = DataFacts.of(DIGITS, Dataset("digits"))
    assert (facts.images, facts.side, facts.may_be_mirrored) == (1438, 8, False)
    assert "augmentation" not in fill({"dataset": {"id": "digits"}}, facts)


def test_a_limit_of_images_and_a_size_count_as_facts() -> None:
    facts = DataFacts.of(DIGITS, Dataset("digits", train_limit=50, image_size=32))
    assert (facts.images, facts.side) == (50, 32)


def test_given_values_stay_and_the_others_are_filled() -> None:
    given = {"dataset": {"id": "pets"}, "epochs": 5, "model": {"norm": "group"}, "early_stopping": {}}
    spec = fill(given)
    assert (spec["epochs"], spec["model"]["norm"], spec["early_stopping"]) == (5, "group", {})
    assert spec["model"]["channels"]
    assert given["model"] == {"norm": "group"}


def test_given_false_is_a_given_value() -> None:
    assert fill({"augmentation": {"horizontal_flip": False}})["augmentation"]["horizontal_flip"] is False


def test_another_network_leaves_out_what_belongs_to_a_cnn() -> None:
    spec = fill({"model": {"arch": "resnet18"}})
    assert spec["model"] == {"arch": "resnet18"}
    assert "dropout" not in spec["regularization"]
    assert spec["optimizer"]["name"] == "adamw"


def test_another_optimizer_leaves_out_rate_and_schedule() -> None:
    spec = fill({"optimizer": {"name": "sgd"}})
    assert spec["optimizer"] == {"name": "sgd"}
    assert "schedule" not in spec


def test_every_choice_has_a_reason_and_a_source() -> None:
    for recipe in recipes_for(PHOTOGRAPHS):
        assert all(choice.values and choice.reason and choice.source for choice in recipe.choices)
