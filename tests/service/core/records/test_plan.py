"""The arithmetic is checked against networks that are really built."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from service.core.errors import Invalid
from service.core.records.builtin_datasets import DIGITS
from service.core.records.plan import Limits, plan
from service.core.spec import JobSpec
from workers.training.data import load
from workers.training.models import build_model

SCORED = 2 * 359 / 1438  # of the validation images, and as many of those for training, for each of the latter
FROZEN = {"arch": "cnn", "freeze": "backbone", "weights": "job_1"}
LIMITS = Limits(parameters=10**9, memory_bytes=64 << 30)


def spec(**changes: Any) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, **changes}).filled(1)


@pytest.mark.parametrize(
    "model",
    [
        {"arch": "cnn"},
        {"arch": "cnn", "channels": [8], "kernel_size": 4, "hidden": [], "norm": "batch"},
        {"arch": "cnn", "channels": [4, 8, 16], "kernel_size": 5, "hidden": [3, 5], "norm": "group"},
        {"arch": "mlp"},
        {"arch": "mlp", "hidden": []},
    ],
)
def test_parameters_are_counted_as_torch_counts_them(model: dict[str, Any]) -> None:
    given = spec(model=model, regularization={"dropout": 0.5})
    network = build_model(given, DIGITS.shape, len(DIGITS.classes))
    planned = plan(given, DIGITS, LIMITS)
    assert planned.parameters == sum(p.numel() for p in network.parameters())
    assert network(torch.zeros(2, *DIGITS.shape)).shape == (2, *planned.layers[-1].output)


def test_too_many_halvings_are_refused_with_the_most_that_fit() -> None:
    with pytest.raises(Invalid) as caught:
        plan(spec(model={"channels": [8, 8, 8, 8]}), DIGITS, LIMITS)
    assert caught.value.faults[0].pointer == "/model/channels"
    assert "1 to 3 blocks" in str(caught.value.faults[0].allowed)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"model": {"channels": [4], "whitening": True}}, "/model/channels"),
        ({"model": {"arch": "mlp"}, "test_time_augmentation": "mirror_shift"}, "/test_time_augmentation"),
        ({"model": {"arch": "mlp"}, "augmentation": {"crop_padding": 1}}, "/augmentation/crop_padding"),
    ],
)
def test_images_a_pixel_wide_are_refused_for_what_needs_two(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        plan(spec(**changes), replace(DIGITS, shape=(1, 1000, 1)), LIMITS)
    assert caught.value.faults[0].pointer == pointer
    assert "1 to 0" not in str(caught.value.faults[0].allowed)
    plan(spec(model={"arch": "mlp"}, test_time_augmentation="mirror"), replace(DIGITS, shape=(1, 1, 1)), LIMITS)


def test_a_model_beyond_the_limit_is_refused() -> None:
    with pytest.raises(Invalid, match="too many") as caught:
        plan(spec(model={"arch": "mlp", "hidden": [65536, 65536]}), DIGITS, LIMITS)
    assert caught.value.faults[0].pointer == "/model"


WIDE = {"arch": "layers", "layers": [{"type": "conv2d", "channels": 4096}, {"type": "flatten"}, {"type": "linear"}]}


def test_too_much_memory_is_refused_with_the_batch_that_fits() -> None:
    given = {"dataset": {"id": "digits", "image_size": 64}, "model": WIDE}
    with pytest.raises(Invalid, match="GiB") as caught:
        plan(spec(**given, batch_size=2048), DIGITS, LIMITS)
    (fault,) = caught.value.faults
    assert fault.pointer == "/batch_size"
    fits = int(str(fault.allowed).split("1 to ")[1].split()[0])
    plan(spec(**given, batch_size=fits), DIGITS, LIMITS)
    with pytest.raises(Invalid):
        plan(spec(**given, batch_size=fits + 1), DIGITS, LIMITS)


def test_a_model_too_large_for_any_batch_is_refused_as_a_model() -> None:
    with pytest.raises(Invalid, match="GiB") as caught:
        plan(spec(model=WIDE, batch_size=2), DIGITS, Limits(parameters=10**9, memory_bytes=1 << 20))
    assert caught.value.faults[0].pointer == "/model"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model": {"arch": "mlp", "hidden": []}, "regularization": {"dropout": 0.5}}, "dropout has no effect"),
        ({"batch_size": 5000}, "single step"),
        ({"dataset": {"id": "digits", "train_limit": 5}}, "number of classes"),
    ],
)
def test_options_without_their_usual_effect_are_warned_of(changes: dict[str, Any], word: str) -> None:
    assert any(word in warning for warning in plan(spec(**changes), DIGITS, LIMITS).warnings)


def test_the_built_in_description_is_that_of_the_real_data() -> None:
    images = load("digits")
    assert images.shape == DIGITS.shape
    assert images.classes == DIGITS.classes
    assert torch.bincount(images.labels).tolist() == list(DIGITS.samples_per_class)


def test_a_class_with_too_few_images_for_the_split_is_refused() -> None:
    few = replace(DIGITS, samples_per_class=(2, *DIGITS.samples_per_class[1:]))
    plan(spec(), few, LIMITS)
    with pytest.raises(Invalid, match="class '0' has 2 images"):
        plan(spec(dataset={"id": "digits", "test_fraction": 0.1}), few, LIMITS)


@pytest.mark.parametrize(
    ("changes", "threads"),
    [
        ({"model": {"arch": "mlp"}}, 1),
        ({"model": {"arch": "cnn"}}, 1),
        ({"model": {"channels": [32, 64, 128]}, "dataset": {"id": "digits", "image_size": 28}}, None),
        ({"model": {"channels": [32, 64, 128]}, "dataset": {"id": "digits", "image_size": 28}, "batch_size": 8}, 1),
        ({"model": {"arch": "resnet18"}, "dataset": {"id": "digits", "image_size": 32}}, None),
    ],
)
def test_a_large_step_gains_from_more_than_one_thread(changes: dict[str, Any], threads: int | None) -> None:
    assert plan(spec(**changes), DIGITS, LIMITS).threads == threads


def test_kept_features_are_in_the_plan() -> None:
    frozen = {"arch": "cnn", "channels": [8], "hidden": [50], "freeze": "backbone", "weights": "job_1"}
    kept = plan(spec(model=frozen), DIGITS, LIMITS).memory
    assert kept.features_bytes == 50 * (1438 * 2 + 2 * 359 * 4)
    assert kept.process_bytes == kept.model_bytes + kept.activations_bytes + kept.features_bytes
    flipped = {"model": frozen, "augmentation": {"vertical_flip": True}}
    assert plan(spec(**flipped), DIGITS, LIMITS).memory.features_bytes == 0
    views = spec(**flipped | {"model": frozen | {"cached_views": 10}})
    assert plan(views, DIGITS, LIMITS).memory.features_bytes == 50 * (10 * 1438 * 2 + 2 * 359 * 4)
    with pytest.raises(Invalid, match="the features of 10 views of each image need") as refused:
        plan(views, DIGITS, Limits(10**9, kept.process_bytes + 1000))
    assert refused.value.faults[0].pointer == "/model/cached_views"


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, 3),
        ({"test_time_augmentation": "mirror"}, 3 + SCORED),
        ({"test_time_augmentation": "mirror_shift"}, 3 + 5 * SCORED),
        ({"test_time_augmentation": "mirror_shift", "train_loss_clean": False}, 3 + 2.5 * SCORED),
        ({"regularization": {"sam_rho": 0.05}}, 6),
        ({"model": FROZEN}, (1 + SCORED) / 10),
        ({"model": FROZEN | {"cached_views": 5}, "augmentation": {"vertical_flip": True}}, (5 + SCORED) / 10),
        ({"model": FROZEN, "augmentation": {"vertical_flip": True}}, 1),
        ({"model": FROZEN, "test_time_augmentation": "mirror"}, 1 + SCORED),
        ({"model": FROZEN | {"freeze": "then_all", "unfreeze_epoch": 5}}, (1 + SCORED + 6 * 3) / 10),
        ({"model": FROZEN | {"freeze": "then_all", "unfreeze_epoch": 20}}, (1 + SCORED) / 10),
    ],
)
def test_an_epoch_passes_the_network_as_often_as_it_has_to(changes: dict[str, Any], passes: float) -> None:
    assert plan(spec(epochs=10, **changes), DIGITS, LIMITS).passes == pytest.approx(passes)
