"""The schema of a spec and its messages agree with the dataclasses that declare the options."""

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from service.core.spec import Cnn, JobSpec, Mlp, Regularization, Torchvision, tags_of
from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.layers import Conv2d, Layers, PlainLayer, Residual
from service.schemas.problem import faults
from service.schemas.spec import JobSpecSchema

MINIMAL = {"dataset": {"id": "digits"}}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def load(data: Any) -> JobSpec:
    spec: JobSpec = JobSpecSchema().load(data)
    return spec


def pointers(data: Any) -> dict[str, str | None]:
    """The allowed values of each fault, by pointer."""
    schema = JobSpecSchema()
    with pytest.raises(ValidationError) as caught:
        schema.load(data)
    return {fault.pointer: fault.allowed for fault in faults(caught.value.messages, schema, data)}


def test_a_minimal_spec_takes_every_default() -> None:
    assert load(MINIMAL) == JobSpec.from_dict(MINIMAL)


def test_every_field_of_every_part_can_be_set_to_its_own_default() -> None:
    whole = JobSpec.from_dict(MINIMAL).to_dict()
    assert load(json.loads(json.dumps(whole))) == JobSpec.from_dict(MINIMAL)
    assert load(whole | {"model": {"arch": "mlp", "hidden": [3]}}).model == Mlp(hidden=(3,))


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("epochs", [1, 100_000], [0, 100_001, 1.5, "3", True, None]),
        ("batch_size", [1, 65_536], [0, -1]),
        ("seed", [0, 2**32 - 1, None], [-1, 2**32, 0.5]),
        ("max_seconds", [1, 0.5e9, None], [0, "60", math.nan, math.inf, 10**400]),
        ("priority", [0, 9], [-1, 10]),
        ("device", ["auto", "cpu", "cuda"], ["tpu", None, 3]),
        ("name", ["", "x", "ü" * 100, None], ["x" * 101, 3, "a\x00b", "\ud800"]),
        ("labels", [{}, {"a/b.c-d_1": ""}], [{"": "x"}, {"a b": "x"}, {"a": 1}, {"a": "x" * 256}, [], {"a": "\x07"}]),
        ("train_loss_clean", [True, False], [1, 0, "true", None]),
        ("dataset.val_fraction", [0.05, 0.5], [0, 0.049, 0.51, "0.2"]),
        ("dataset.train_limit", [2, 2.0, None], [1, 2.5, 1.0]),
        ("optimizer.lr", [1e-9, 10, 1], [0, -1, 10.1]),
        ("optimizer.betas", [[0, 0.5]], [[0.9], [0.9, 1], [0.9, 0.9, 0.9], 0.9]),
        ("optimizer.momentum", [0, 0.99], [1, -0.1]),
        ("regularization.dropout", [0, 0.99], [1, -0.01]),
        ("regularization.l1_mode", ["loss", "proximal"], ["l2"]),
        ("model.channels", [[1], [4096] * 16], [[], [0], [1.5], [8] * 17, "8"]),
        ("model.hidden", [[], [1]], [[0], [65_537], None]),
        ("early_stopping", [None, {}], [False, []]),
        ("early_stopping.patience", [1], [0, 1.5]),
        ("early_stopping.min_delta", [0, 1e6], [-1e-9]),
        ("model", [{}, {"arch": "mlp"}], [None, "cnn", {"arch": "vit"}, {"arch": None}, {"arch": "layers"}]),
        ("model.whitening", [True, False], [None, 1, "yes"]),
        ("model.arch", ["resnet18", "vit_b_16", "convnext_tiny"], ["resnet", "", 18]),
        ("model.layers", [], [[], {}, None, [[]]]),
        ("dataset.image_size", [None, 8, 512], [7, 513, 8.5]),
        ("precision", ["auto", "fp32", "bf16"], ["fp16", None]),
        ("compile", ["auto", "off", "on"], [True]),
        ("optimizer.name", ["adam", "adamw", "sgd", "sgdw"], ["muon", None]),
        ("schedule.anneal", ["cosine", "linear"], ["exponential", None]),
        ("schedule.name", ["constant", "cosine", "onecycle", "plateau", "step"], ["linear"]),
        ("schedule.warmup_epochs", [0, 50], [-1, 0.5]),
        ("schedule.gamma", [0.5], [0, 1]),
        ("regularization.spatial_dropout", [0, 0.5], [1]),
        ("regularization.stochastic_depth", [0, 0.5], [1, -0.1]),
        ("regularization.label_smoothing", [0, 0.99], [1, -0.1]),
        ("regularization.mixup_alpha", [0, 0.2, 100], [-1, 101]),
        ("regularization.gradient_clip_norm", [None, 1e-3], [0, -1]),
        ("regularization.max_norm", [None, 3], [0]),
        ("regularization.ema_decay", [None, 0.999], [0, 1]),
        ("regularization.lookahead_steps", [None, 1, 1000], [0, 1001, 2.5]),
        ("regularization.lookahead_alpha", [0.2, 1], [0, 1.1, None]),
        ("regularization.lookahead_power", [0, 3, 10], [-1, 10.1, None]),
        ("test_time_augmentation", ["none", "mirror", "mirror_shift"], [None, True, "flip"]),
        ("regularization.class_weights", ["none", "balanced"], [None, True]),
        ("regularization.sampling", ["natural", "balanced"], ["uniform", None]),
        ("regularization.loss", ["cross_entropy", "focal", "logit_adjusted"], ["hinge", None]),
        ("regularization.focal_gamma", [0, 2, 10], [-0.1, 10.1, None]),
        ("regularization.logit_adjustment", [0, 1, 10], [-0.1, 10.1, None]),
        ("dataset.fold", [None, {}, {"of": 20, "index": 19}], [True, {"of": 1}, {"of": 21}, {"index": -1}]),
        ("regularization.average_best", [None, 2, 20], [0, 1, 21, 2.5, True]),
        ("augmentation.horizontal_flip", [True, False, "alternating"], ["true", "random", 1, 0, None, ["alternating"]]),
        ("augmentation.crop_padding", [0, 4], [-1, 1.5]),
        ("augmentation.rotation_degrees", [0, 180], [-1, 181]),
        ("augmentation.rand_augment", [None, {}, {"operations": 3, "magnitude": 30}], [True, {"magnitude": 31}]),
        ("augmentation.random_erasing", [0, 1], [1.1, True]),
    ],
)
def test_range_limits_of_each_option(path: str, good: list[Any], bad: list[Any]) -> None:
    part, _, name = path.rpartition(".")

    def spec(value: Any) -> dict[str, Any]:
        return {**MINIMAL, part: {**MINIMAL.get(part, {}), name: value}} if part else {**MINIMAL, name: value}

    for value in good:
        load(spec(value))
    for value in bad:
        allowed = pointers(spec(value))
        assert all(pointer.startswith("/" + path.replace(".", "/")) for pointer in allowed), (value, allowed)
        assert all(allowed.values()), (value, allowed)


def test_a_truth_value_in_quotes_is_named_as_such() -> None:
    with pytest.raises(ValidationError, match="Must be true without quotes"):
        load({**MINIMAL, "augmentation": {"horizontal_flip": "true"}})


def test_all_faults_are_reported_together_with_allowed_values() -> None:
    data = {
        "dataset": {"val_fraction": 2},
        "epochs": "many",
        "optimizer": {"lr": -1},
        "regularization": {"dropout": 1.5, "dropuot": 0.1},
        "model": {"arch": "mlp", "channels": [8]},
        "what": 1,
    }
    assert pointers(data) == {
        "/dataset/id": "text of 1 to 100 characters",
        "/dataset/val_fraction": "a number, 0.05 to 0.5",
        "/epochs": "a whole number, 1 to 100000",
        "/optimizer/lr": "a number, above 0 to 10",
        "/regularization/dropout": "a number, 0 to below 1",
        "/regularization/dropuot": f"only {', '.join(f.name for f in fields(Regularization))}",
        "/model/channels": "only arch, hidden, weights, freeze, unfreeze_epoch, cached_views, layer_decay",
        "/what": f"only {', '.join(f.name for f in fields(JobSpec))}",
    }


def test_unknown_architecture_error_lists_the_known_ones() -> None:
    allowed = pointers(MINIMAL | {"model": {"arch": "vit"}})
    assert allowed == {"/model/arch": f"cnn, mlp, layers, {', '.join(ARCHITECTURES)}"}


def test_faults_inside_layers_are_reported_with_their_pointers() -> None:
    layers: list[Any] = [
        {"type": "conv2d", "channels": "x", "kernel": 3},
        {"type": "swish"},
        {},
        3,
        {"type": "conv2d"},
        {"type": "residual", "layers": [{"type": "dropout", "p": 2}, {"type": "residual", "layers": []}]},
    ]
    allowed = pointers(MINIMAL | {"model": {"arch": "layers", "layers": layers}})
    plain = (
        "conv2d, linear, relu, gelu, max_pool2d, avg_pool2d, global_avg_pool, batch_norm, group_norm, dropout, "
        "dropout2d, flatten, scale"
    )
    assert allowed == {
        "/model/layers/0/channels": "a whole number, 1 to 65536",
        "/model/layers/0/kernel": f"only {', '.join(f.name for f in fields(Conv2d))}",
        "/model/layers/1/type": f"{plain}, residual, whitening",
        "/model/layers/2/type": f"{plain}, residual, whitening",
        "/model/layers/3": f"an object whose type is one of {plain}, residual, whitening",
        "/model/layers/4/channels": "a whole number, 1 to 65536",
        "/model/layers/5/layers/0/p": "a number, 0 to below 1",
        "/model/layers/5/layers/1/type": plain,
    }


def test_network_with_every_layer_is_accepted() -> None:
    layers: list[dict[str, Any]] = [{"type": tag} for kind in get_args(PlainLayer) for tag in tags_of(kind)]
    needed = {"conv2d": {"channels": 3}, "scale": {"factor": 2}}
    layers = [layer | needed.get(layer["type"], {}) for layer in layers]
    model = load(
        MINIMAL | {"model": {"arch": "layers", "layers": [*layers, {"type": "residual", "layers": layers}]}}
    ).model
    assert isinstance(model, Layers)
    assert [layer.type for layer in model.layers] == [*[layer["type"] for layer in layers], "residual"]


def test_a_pointer_escapes_what_rfc_6901_says() -> None:
    assert set(pointers(MINIMAL | {"a/b~c": 1})) == {"/a~1b~0c"}


@given(st.dictionaries(st.sampled_from([f.name for f in fields(JobSpec)]), anything, max_size=4))
def test_any_json_is_accepted_or_refused_without_a_crash(data: dict[str, Any]) -> None:
    schema = JobSpecSchema()
    messages = schema.validate(data)
    assert all(fault.detail for fault in faults(messages, schema, data))


def test_every_option_has_a_meaning() -> None:
    def parts(kind: Any) -> list[Any]:
        nested = [hint for hint in get_type_hints(kind).values() if is_dataclass(hint)]
        return [kind, *[part for inner in nested for part in parts(inner)]]

    for kind in [*parts(JobSpec), Cnn, Mlp, Layers, Torchvision, *get_args(PlainLayer), Residual]:
        assert all(f.metadata["option"].meaning for f in fields(kind)), kind


def test_unknown_field_is_reported_even_if_named_key_or_value() -> None:
    data = MINIMAL | {"model": {"key": 1}, "optimizer": {"value": 1}}
    assert set(pointers(data)) == {"/model/key", "/optimizer/value"}
    assert set(pointers(MINIMAL | {"labels": {"key": 1, "": "x"}})) == {"/labels/key", "/labels/"}
