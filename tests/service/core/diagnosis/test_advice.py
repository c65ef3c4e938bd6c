"""Advice is valid by construction, and never what the spec does already."""

from dataclasses import replace
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.diagnosis import RunContext, Verdict
from service.core.diagnosis.advice import ADVISED, REASONS, advise, cured
from service.core.diagnosis.cures import CURES
from service.core.diagnosis.snippets import snippets
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.dataset import Contents
from service.core.records.facts import Facts
from service.core.records.plan import UNLIMITED, Limits, plan
from service.core.records.weights import Weights
from service.core.spec import JobSpec, contradictions, doubts
from service.core.storage import Artifact
from service.schemas.spec import JobSpecSchema

STORED = Artifact("a", "weights/a", 1, "0" * 64, "application/octet-stream")
WEIGHTS = Weights(f"wgt_{'0' * 20}", "mine", "resnet18", 1000, 3, 1, "0" * 64, STORED, 0.0)
MODELS: list[dict[str, Any]] = [
    {"arch": "cnn"},
    {"arch": "cnn", "channels": [1], "hidden": [], "kernel_size": 15, "norm": "batch"},
    {"arch": "cnn", "channels": [1024, 4096], "hidden": [65536]},
    {"arch": "mlp", "hidden": []},
    {"arch": "mlp", "hidden": [2, 4096]},
    {"arch": "resnet18", "freeze": "backbone"},
    {"arch": "layers", "layers": [{"type": "conv2d", "channels": 8}, {"type": "global_avg_pool"}, {"type": "linear"}]},
]
shares = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.9])
regularizations = st.fixed_dictionaries(
    {
        "dropout": shares,
        "weight_decay": st.sampled_from([0.0, 1e-5, 0.1, 10.0]),
        "l1": st.sampled_from([0.0, 1e-3]),
        "label_smoothing": shares,
        "mixup_alpha": st.sampled_from([0.0, 1.0]),
        "spatial_dropout": shares,
    }
)
augmentations = st.fixed_dictionaries(
    {
        "crop_padding": st.sampled_from([0, 2]),
        "trivial_augment": st.booleans(),
        "normalize": st.booleans(),
        "random_erasing": shares,
    }
)
specs = st.fixed_dictionaries(
    {
        "dataset": st.fixed_dictionaries(
            {
                "id": st.sampled_from(["digits", "mnist", "cifar10", "synthetic"]),
                "val_fraction": st.sampled_from([0.05, 0.2, 0.5]),
                "test_fraction": st.sampled_from([0.0, 0.2, 0.4]),
                "train_limit": st.sampled_from([None, 100]),
                "fold": st.sampled_from([None, {"of": 20, "index": 1}]),
            }
        ),
        "model": st.sampled_from(MODELS),
        "epochs": st.sampled_from([1, 100, 100_000]),
        "batch_size": st.sampled_from([1, 16, 65_536]),
        "optimizer": st.fixed_dictionaries(
            {"name": st.sampled_from(["adam", "adamw", "sgd"]), "lr": st.sampled_from([1e-9, 1e-3, 0.5, 10.0])}
        ),
        "schedule": st.sampled_from([{}, {"name": "cosine"}, {"warmup_epochs": 1}, {"name": "onecycle"}]),
        "early_stopping": st.sampled_from([None, {}, {"patience": 1}, {"monitor": "val_accuracy"}]),
        "regularization": regularizations,
        "augmentation": augmentations,
    }
)


@given(specs, st.sampled_from(list(Verdict)), st.sampled_from([UNLIMITED, Limits(2_000_000, 1 << 30)]))
def test_every_patch_makes_another_spec_that_is_taken(data: dict[str, Any], verdict: Verdict, limits: Limits) -> None:
    spec = JobSpec.from_dict(data).filled(1)
    case = RunContext(spec, CONTENTS_OF[spec.dataset.id])
    for advice in advise([verdict], case, limits):
        if not advice.patch:
            continue
        changed: JobSpec = JobSpecSchema().load(jsonpatch.apply_patch(spec.to_dict(), advice.patch))
        assert changed != spec
        assert not list(contradictions(changed))
        plan(changed, CONTENTS_OF[spec.dataset.id], limits)


def test_every_verdict_has_advice_with_a_reason() -> None:
    assert set(ADVISED) == set(REASONS) == set(Verdict)
    assert all(cure_id in CURES for cures in ADVISED.values() for cure_id in cures)


def test_every_cure_is_advised_somewhere_or_only_a_factor() -> None:
    advised = {cure_id for cures in ADVISED.values() for cure_id in cures}
    assert set(CURES) - advised == {"l1", "cutmix", "spatial_dropout", "fewer_layers"}


def advised(verdict: Verdict, dataset: str = "digits", **changes: Any) -> dict[str, Any]:
    spec = JobSpec.from_dict({"dataset": {"id": dataset}} | changes)
    return {advice.id: advice.patch for advice in advise([verdict], RunContext(spec, CONTENTS_OF[dataset]))}


def test_digits_are_not_mirrored_and_animals_are() -> None:
    assert "horizontal_flip" not in advised(Verdict.OVERFITTING, "digits")
    assert "horizontal_flip" in advised(Verdict.OVERFITTING, "cifar10")


def test_images_that_are_left_out_come_first() -> None:
    limited = advised(Verdict.OVERFITTING, dataset="digits")
    assert "more_data" not in limited
    spec = JobSpec.from_dict({"dataset": {"id": "digits", "train_limit": 50}})
    first = advise([Verdict.OVERFITTING], RunContext(spec, CONTENTS_OF["digits"]))[0]
    assert (first.id, cured(spec, first.patch).dataset.train_limit) == ("more_data", None)


def test_changes_that_a_spec_has_already_are_not_advised() -> None:
    doing = {"dropout": 0.5, "mixup_alpha": 0.2, "label_smoothing": 0.05}
    patches = advised(Verdict.OVERFITTING, regularization=doing)
    assert not {"dropout", "mixup", "label_smoothing"} & set(patches)


def test_a_fold_has_its_validation_images() -> None:
    of_fold = JobSpec.from_dict({"dataset": {"id": "digits", "fold": {}}})
    assert "larger_validation" in advised(Verdict.SMALL_VALIDATION)
    assert "larger_validation" not in {
        advice.id for advice in advise([Verdict.SMALL_VALIDATION], RunContext(of_fold, CONTENTS_OF["digits"]))
    }


@pytest.mark.parametrize(("rate", "then"), [(0.0, 0.3), (0.3, 0.5)])
def test_dropout_is_raised_step_by_step(rate: float, then: float) -> None:
    patches = advised(Verdict.OVERFITTING, regularization={"dropout": rate})
    assert patches["dropout"] == [{"op": "add", "path": "/regularization/dropout", "value": then}]


def test_an_underfitting_model_is_held_back_less() -> None:
    patches = advised(Verdict.UNDERFITTING, regularization={"dropout": 0.6, "weight_decay": 1.0})
    first = next(iter(patches.values()))
    assert {step["path"] for step in first} == {"/regularization/dropout", "/regularization/weight_decay"}


@pytest.mark.parametrize(
    ("reason", "path"),
    [
        ("max_epochs", "/epochs"),
        ("max_seconds", "/max_seconds"),
        ("early_stopping", "/early_stopping/patience"),
        (None, "/epochs"),
    ],
)
def test_more_time_is_given_where_time_was_the_limit(reason: str | None, path: str) -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "max_seconds": 5})
    first = advise([Verdict.STILL_IMPROVING], RunContext(spec, CONTENTS_OF["digits"], None, reason))
    assert path in [advice.patch[0]["path"] for advice in first]
    others = {"/epochs", "/max_seconds"} - {path}
    assert reason is None or not others & {advice.patch[0]["path"] for advice in first}


@pytest.mark.parametrize(
    "names", [("zero", "one"), ("digit_0", "digit_1"), ("class a", "class b"), ("A_upper", "b_lower")]
)
def test_possible_letters_or_digits_are_not_mirrored(names: tuple[str, str]) -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "cifar10"}})
    contents = replace(CONTENTS_OF["cifar10"], classes=names, samples_per_class=(100, 100))
    assert "horizontal_flip" not in [a.id for a in advise([Verdict.OVERFITTING], RunContext(spec, contents))]


def test_lifting_a_limit_without_effect_is_not_advised() -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits", "train_limit": 5000}})
    facts = Facts({"train": 1438, "validation": 359}, 2.3, 0.1)
    pieces = advise([Verdict.SMALL_VALIDATION], RunContext(spec, CONTENTS_OF["digits"], facts))
    assert "more_data" not in [advice.id for advice in pieces]


def test_every_cure_has_code_for_other_frameworks() -> None:
    assert set(snippets()) == set(CURES)


def test_uploaded_weights_are_advised_for_few_photographs() -> None:
    spec, photographs = JobSpec.from_dict({"dataset": {"id": "pets"}}), Contents(("cat", "dog"), (50, 50), (3, 64, 64))
    known = WEIGHTS

    def of(contents: Contents, uploaded: Weights | None, published: bool | None = None, **model: Any) -> list[Any]:
        given = JobSpec.from_dict({"dataset": {"id": "pets"}, "model": model}) if model else spec
        pieces = advise(
            [Verdict.OVERFITTING], RunContext(given, contents, weights=uploaded, has_published_weights=published)
        )
        return [advice.patch for advice in pieces if advice.id == "pretrained"]

    value = {"arch": "resnet18", "weights": known.id, "freeze": "backbone"}
    enlarged = {"op": "add", "path": "/dataset/image_size", "value": 128}
    assert of(photographs, known) == [[{"op": "add", "path": "/model", "value": value}, enlarged]]
    large = replace(photographs, shape=(3, 128, 160))
    assert of(large, known) == [[{"op": "add", "path": "/model", "value": value}]]
    assert not of(photographs, None), "nothing is known about weights"
    value = {"arch": "resnet18", "weights": "imagenet", "freeze": "backbone"}
    assert of(photographs, None, published=True) == [[{"op": "add", "path": "/model", "value": value}, enlarged]]
    assert of(photographs, None, published=False) == [[]]
    case = RunContext(spec, photographs, has_published_weights=False)
    first = advise([Verdict.OVERFITTING], case)[0]
    assert "rightfit weights push FILE --arch resnet18" in first.expected
    assert "download.pytorch.org" in first.expected
    assert not of(photographs, known, arch="resnet18", weights="imagenet")
    assert not of(replace(photographs, shape=(1, 64, 64)), known)
    assert not of(replace(photographs, samples_per_class=(5000, 5000)), known)


@pytest.mark.parametrize(
    ("changes", "views"),
    [
        ({"augmentation": {"horizontal_flip": True}}, 10),
        ({}, None),
        ({"augmentation": {"horizontal_flip": True}, "regularization": {"mixup_alpha": 0.2}}, None),
        ({"augmentation": {"horizontal_flip": True}, "test_time_augmentation": "mirror"}, None),
    ],
)
def test_pretrained_weights_keep_views_of_augmented_images(changes: dict[str, Any], views: int | None) -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "pets"}, **changes}).filled(1)
    case = RunContext(spec, Contents(("cat", "dog"), (50, 50), (3, 64, 64)), has_published_weights=True)
    patch = CURES["pretrained"].change(case)
    assert patch is not None
    assert patch[0]["value"].get("cached_views") == views
    assert list(doubts(cured(spec, patch))) == []


@pytest.mark.parametrize(
    ("arch", "is_resized"), [("resnet18", True), ("vit_b_16", True), ("vit_b_32", False), ("timm/lcnet_050", False)]
)
def test_pictures_are_enlarged_for_networks_that_do_not(arch: str, is_resized: bool) -> None:
    case = RunContext(JobSpec.from_dict({"dataset": {"id": "pets"}}), Contents(("a b", "c d"), (50, 50), (3, 64, 64)))
    patch = CURES["pretrained"].change(replace(case, weights=replace(WEIGHTS, arch=arch)))
    assert patch is not None
    assert any(step["path"] == "/dataset/image_size" for step in patch) == is_resized
