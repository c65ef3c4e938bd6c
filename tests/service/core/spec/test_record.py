"""The stored form of a spec, and how a worker of an older release reads it."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from service.core.spec import Augmentation, EarlyStopping, JobSpec, RandAugment, Regularization
from service.core.spec.layers import Flatten, Layers, Linear, Relu, Residual
from service.core.spec.options import option, part
from service.core.spec.reading import unknown_parts
from tests.service.core.sql.released import SPECS

OLDEST: dict[str, Any] = SPECS["0005"]  # a whole spec as stored before there was `gpus`


@dataclass(frozen=True)
class NewerRegularization(Regularization):
    """Has an option that this release does not know."""

    later: float = option("an option of a later release", 0.0, since="9.0.0")


@dataclass(frozen=True)
class NewerStopping(EarlyStopping):
    """Has an option that this release does not know."""

    later: int | None = option("an option of a later release", None, since="9.0.0")


@dataclass(frozen=True)
class NewerRandAugment(RandAugment):
    """Has an option that this release does not know."""

    later: bool = option("an option of a later release", False, since="9.0.0")


@dataclass(frozen=True)
class NewerAugmentation(Augmentation):
    """Has a part that this release does not know."""

    later: RandAugment = part("a part of a later release", RandAugment, since="9.0.0")


@dataclass(frozen=True)
class NewerRelu(Relu):
    """Has an option that this release does not know."""

    later: float = option("an option of a later release", 0.0, since="9.0.0")


def spec(**changes: Any) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, "model": {"arch": "mlp"}, **changes}).filled(1)


def newer(**later: Any) -> JobSpec:
    """A spec of a later release, with one more option in every kind of part; `later` sets them."""
    layers = (Residual((NewerRelu(**later),)), Flatten(), Linear())
    return replace(
        spec(),
        model=Layers(layers),
        regularization=NewerRegularization(**later),
        augmentation=NewerAugmentation(rand_augment=NewerRandAugment(**later)),
        early_stopping=NewerStopping(mode="min", **later),
    )


def unknown_here(stored: dict[str, Any]) -> set[str]:
    """The parts of a stored spec that a worker of this release refuses."""
    return set(unknown_parts(stored, JobSpec.from_dict(stored).to_dict()))


def test_an_older_worker_takes_an_ordinary_newer_job() -> None:
    assert unknown_here(newer().to_record()) == set()
    assert unknown_here(newer().to_dict()) != set()


def test_a_newer_option_that_is_set_is_recorded() -> None:
    assert unknown_here(newer(later=1).to_record()) == {
        "/model/layers/0/layers/0/later",
        "/regularization/later",
        "/augmentation/rand_augment/later",
        "/early_stopping/later",
    }


def test_a_newer_part_that_is_set_is_recorded() -> None:
    given = replace(newer(), augmentation=NewerAugmentation(later=RandAugment(operations=3)))
    assert unknown_here(given.to_record()) == {"/augmentation/later"}


def test_an_older_worker_knows_all_of_an_ordinary_job() -> None:
    record = spec(model={"arch": "cnn"}, labels={"project": "new"}).to_record()
    assert set(unknown_parts(record, OLDEST)) == set()
    assert set(unknown_parts(spec(model={"arch": "cnn"}, gpus=2).to_record(), OLDEST)) == {"/gpus"}
    fold = spec(model={"arch": "cnn"}, dataset={"id": "digits", "fold": {}}).to_record()
    assert set(unknown_parts(fold, OLDEST)) == {"/dataset/fold"}
    split_seed = spec(model={"arch": "cnn"}, dataset={"id": "digits", "split_seed": 0}).to_record()
    assert set(unknown_parts(split_seed, OLDEST)) == {"/dataset/split_seed"}
    alternating = spec(model={"arch": "cnn"}, augmentation={"horizontal_flip": "alternating"}).to_record()
    assert set(unknown_parts(alternating, OLDEST)) == {"/augmentation/since"}
    assert "since" not in spec(augmentation={"horizontal_flip": True}).to_record()["augmentation"]
    assert set(unknown_parts(OLDEST, record)) == set()


@pytest.mark.parametrize("changes", [{}, {"gpus": 2}, {"early_stopping": None}, {"model": {"arch": "cnn"}}])
def test_a_spec_is_read_back_from_its_record(changes: dict[str, Any]) -> None:
    given = spec(labels={"a": "b"}, augmentation={"rand_augment": {}}, **changes)
    assert JobSpec.from_dict(given.to_record()) == given


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"optimizer": {"name": "sgdw"}}, "/optimizer/since"),
        ({"schedule": {"name": "onecycle", "anneal": "linear"}}, "/schedule/anneal"),
        ({"test_time_augmentation": "mirror"}, "/test_time_augmentation"),
        ({"model": {"arch": "cnn", "whitening": True}}, "/model/whitening"),
    ],
)
def test_an_older_worker_refuses_what_it_does_not_know(changes: dict[str, Any], unknown: str) -> None:
    assert set(unknown_parts(spec(**{"model": {"arch": "cnn"}} | changes).to_record(), OLDEST)) == {unknown}


@pytest.mark.parametrize("layer", [{"type": "whitening"}, {"type": "scale", "factor": 0.5}])
def test_the_record_of_a_newer_layer_says_so(layer: dict[str, Any]) -> None:
    given = spec(model={"arch": "layers", "layers": [layer, {"type": "flatten"}, {"type": "linear"}]})
    assert given.to_record()["model"]["layers"][0]["since"] == "0.2.0"


def test_an_older_worker_refuses_a_network_of_timm() -> None:
    assert spec(model={"arch": "timm/resnet18"}).to_record()["model"]["since"] == "0.2.0"
    assert "since" not in spec(model={"arch": "resnet18"}).to_record()["model"]
