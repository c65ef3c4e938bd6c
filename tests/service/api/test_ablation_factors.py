"""The factors of an ablation: which are refused and how their patches are applied."""

import math
from typing import Any

from flask.testing import FlaskClient

from tests.servers import ON_DISK_FIRST
from tests.service.api.ablations import SHORT, adding, create_ablation, faults_of, get_ablation, request_of

pytestmark = ON_DISK_FIRST


def test_all_faults_of_a_request_are_returned_at_once(client: FlaskClient) -> None:
    body = {
        "spec": {"dataset": {"id": "nothing"}, "epochs": 0, "optimizer": {"nesterov": True}},
        "factors": [
            "magic",
            5,
            {"name": ""},
            {"name": "x", "patch": []},
            {"name": "x", "patch": [{"op": "set", "path": "/a", "surprise": 1}]},
        ],
        "seeds": 1,
        "more": 1,
    }
    assert faults_of(client, body).keys() == {
        "/spec/dataset/id",
        "/spec/epochs",
        "/spec/optimizer/nesterov",
        "/factors/0",
        "/factors/1",
        "/factors/2/name",
        "/factors/2/patch",
        "/factors/3/patch",
        "/factors/4/patch/0/op",
        "/factors/4/patch/0/surprise",
        "/seeds",
        "/more",
    }
    assert faults_of(client, {}).keys() == {"/spec", "/factors"}
    assert faults_of(client, request_of([])).keys() == {"/factors"}
    assert faults_of(client, request_of(["dropout"] * 9)).keys() == {"/factors"}
    assert faults_of(client, request_of("dropout")).keys() == {"/factors"}
    assert faults_of(client, request_of(["dropout"]) | {"seeds": 2.5}).keys() == {"/seeds"}


def test_faults_of_the_spec_come_with_those_of_factors(client: FlaskClient) -> None:
    wrong = {"dataset": {"id": "nothing"}, "optimizer": {"nesterov": True}}
    gone = {"name": "gone", "patch": [{"op": "remove", "path": "/nowhere"}]}
    faults = faults_of(client, {"spec": wrong, "factors": ["dropout", "spatial_dropout", gone]})
    assert faults.keys() == {"/spec/dataset/id", "/spec/optimizer/nesterov", "/factors/2"}


REFUSED: list[tuple[Any, str]] = [
    ("mixup", "does not apply"),
    ("collect", "does not apply"),
    ("no_copies", "does not apply"),
    ({"name": "base", "patch": SHORT}, "another arm"),
    ({"name": "all", "patch": SHORT}, "another arm"),
    ({"name": "dropout", "patch": SHORT}, "used twice"),
    (adding("/seed", 3), "/seed"),
    (adding("/dataset/id", "mnist"), "/dataset/id"),
    (adding("/dataset/val_fraction", 0.4), "validation images"),
    (adding("/dataset/split_seed", 0), "/dataset/split_seed"),
    (adding("/epochs", 3), "no effect on training"),
    (adding("/labels/a", "b"), "no effect on training"),
    (adding("/priority", 9), "no effect on training"),
    (adding("/epochs", 0), "with it, /epochs"),
    (adding("/surprise", 0), "with it, /surprise"),
    (adding("/regularization", 5), "with it, /regularization"),
    (adding("", None), "with it, /"),
    (adding("/optimizer/nesterov", True), "with it, /optimizer/nesterov"),
    (adding("/model/channels", [8] * 8), "with it, /model/channels"),
    (adding("/nowhere/at/all", 1), "operation 0 cannot be applied"),
    (adding("epochs", 1), "operation 0 cannot be applied"),
    ({"name": "x", "patch": [*SHORT, {"op": "remove", "path": "/labels/a"}]}, "operation 1 cannot be applied"),
    ({"name": "x", "patch": [*SHORT, {"op": "test", "path": "/epochs", "value": 3}]}, "operation 1 cannot"),
    ({"name": "x", "patch": [{"op": "copy", "from": "", "path": "/labels/x"}] * 32}, "too large"),
]


def test_factor_that_cannot_be_compared_is_refused(client: FlaskClient) -> None:
    for factor, detail in REFUSED:
        faults = faults_of(client, request_of(["dropout", factor], regularization={"mixup_alpha": 0.2}))
        assert faults.keys() == {"/factors/1"}
        assert detail in faults["/factors/1"]


def test_patch_too_long_too_deep_or_not_json_is_refused(client: FlaskClient) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    for value in ("x" * 20_001, deep):
        assert faults_of(client, request_of([adding("/name", value)])).keys() == {"/factors/0/patch"}
    for value in (math.nan, -math.inf):
        faults = faults_of(client, request_of([adding("/name", value)]))
        assert faults.keys() == {"/factors/0/patch/0/value"}


def test_value_that_a_patch_removes_again_may_be_any_json(client: FlaskClient) -> None:
    passing = {"op": "add", "path": "/labels/x", "value": ["\ud800\0", 10**400, {"": None}]}
    ablation = create_ablation(
        client, [{"name": "x", "patch": [passing, {"op": "remove", "path": "/labels/x"}, *SHORT]}]
    )
    assert ablation["arms"][1]["patch"][0] == passing
    assert get_ablation(client, ablation) == ablation


CONTRADICTIONS: list[tuple[list[Any], str]] = [
    (["lower_lr", "higher_lr"], "'lower_lr' has no effect together"),
    (["more_patience", adding("/early_stopping", None)], "'more_patience' has no effect together"),
    ([adding("/early_stopping", None), "more_patience"], "all together: operation 1 cannot be applied"),
    (["mixup", adding("/regularization/mixup_alpha", 0.4)], "'x' has no effect"),
    ([adding("/model", {"arch": "mlp"}), "spatial_dropout"], "all together: with it, /regularization/spatial_dropout"),
    (
        [adding("/epochs", 4), {"name": "y", "patch": [*SHORT, *adding("/batch_size", 8)["patch"]]}],
        "'x' has no effect",
    ),
]


def test_contradicting_factors_are_refused(client: FlaskClient) -> None:
    for factors, detail in CONTRADICTIONS:
        faults = faults_of(client, request_of(factors))
        assert faults.keys() == {"/factors"}
        assert detail in faults["/factors"]


def test_factors_that_build_on_each_other_are_combined(client: FlaskClient) -> None:
    layers = {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear", "features": 9}, {"type": "linear"}]}
    one_more, another = ({"op": "add", "path": f"/model/layers/{i}", "value": {"type": "relu"}} for i in (1, 2))
    ablation = create_ablation(
        client, [{"name": "a", "patch": [one_more]}, {"name": "b", "patch": [another]}], model=layers
    )
    assert ablation["arms"][-1]["patch"] == [one_more, another]
