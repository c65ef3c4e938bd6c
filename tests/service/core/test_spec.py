import json

import pytest

from service.core.spec import Cnn, Dataset, EarlyStopping, JobSpec, Mlp, Optimizer, contradictions


def spec(**changes: object) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, **changes})


def test_the_defaults_are_those_of_the_article() -> None:
    plain = spec()
    assert (plain.optimizer.name, plain.optimizer.lr) == ("adam", 1e-3)
    assert plain.early_stopping == EarlyStopping(patience=10, min_delta=0.0)
    assert plain.model == Cnn(channels=(32, 64), kernel_size=3, hidden=(128,))
    assert (plain.epochs, plain.batch_size) == (100, 64)


def test_a_spec_survives_json_unchanged() -> None:
    given = spec(
        model={"arch": "mlp", "hidden": [7]}, optimizer={"name": "sgd", "lr": 1, "momentum": 0.9},
        early_stopping=None, labels={"a": "b"}, seed=3, name="x",
    )  # fmt: skip
    assert JobSpec.from_dict(json.loads(json.dumps(given.to_dict()))) == given
    assert given.model == Mlp(hidden=(7,))
    assert isinstance(given.optimizer.lr, float)


def test_filling_keeps_a_given_seed_and_draws_a_missing_one() -> None:
    assert spec(seed=0).filled(5).seed == 0
    assert spec().filled(5).seed == 5


@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("val_accuracy", "max")])
def test_filling_writes_out_the_direction_of_the_monitor(monitor: str, mode: str) -> None:
    filled = spec(early_stopping={"monitor": monitor}).filled(1)
    assert filled.early_stopping is not None
    assert filled.early_stopping.mode == mode


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"dataset": {"id": "digits", "val_fraction": 0.5, "test_fraction": 0.5}}, "/dataset/test_fraction"),
        ({"optimizer": {"name": "adam", "momentum": 0.9}}, "/optimizer/momentum"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "/optimizer/nesterov"),
        ({"optimizer": {"name": "adamw", "nesterov": True}}, "/optimizer/nesterov"),
        ({"early_stopping": {"monitor": "val_loss", "mode": "max"}}, "/early_stopping/mode"),
    ],
)
def test_a_contradiction_is_told_with_its_place_and_what_is_allowed(changes: dict[str, object], pointer: str) -> None:
    faults = list(contradictions(spec(**changes)))
    assert [fault.pointer for fault in faults] == [pointer]
    assert faults[0].detail
    assert faults[0].allowed


def test_what_agrees_with_itself_has_no_faults() -> None:
    agreeing = JobSpec(Dataset("digits"), optimizer=Optimizer("sgd", momentum=0.9, nesterov=True))
    assert not list(contradictions(agreeing))
