import json

import pytest

from service.core.spec import (
    Cnn,
    Dataset,
    EarlyStopping,
    JobSpec,
    Mlp,
    Optimizer,
    RandAugment,
    contradictions,
    doubts,
)
from service.core.spec.reading import unknown_parts

LAYERS = {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear"}]}
RESIDUAL = {"arch": "layers", "layers": [{"type": "residual", "layers": [{"type": "relu"}]}, *LAYERS["layers"]]}

VERTICAL = {"vertical_flip": True}
FROZEN_VIEWS = {"arch": "cnn", "weights": "job_1", "freeze": "backbone", "cached_views": 3}
NORMED = {"arch": "layers", "layers": [{"type": "residual", "layers": [{"type": "batch_norm"}]}, *LAYERS["layers"]]}


def spec(**changes: object) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, **changes})


def test_defaults_are_the_documented_ones() -> None:
    plain = spec()
    assert (plain.optimizer.name, plain.optimizer.lr) == ("adam", 1e-3)
    assert plain.early_stopping == EarlyStopping(patience=10, min_delta=0.0)
    assert plain.model == Cnn(channels=(32, 64), kernel_size=3, hidden=(128,))
    assert (plain.epochs, plain.batch_size) == (100, 64)


def test_a_spec_survives_json_unchanged() -> None:
    sgd = {"name": "sgd", "lr": 1, "momentum": 0.9}
    mlp = {"arch": "mlp", "hidden": [7]}
    given = spec(model=mlp, optimizer=sgd, early_stopping=None, labels={"a": "b"}, seed=3, name="x")
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
        ({"dataset": {"id": "digits", "fold": {"of": 3, "index": 3}}}, "/dataset/fold/index"),
        ({"optimizer": {"name": "adam", "momentum": 0.9}}, "/optimizer/momentum"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "/optimizer/nesterov"),
        ({"optimizer": {"name": "adamw", "nesterov": True}}, "/optimizer/nesterov"),
        ({"early_stopping": {"monitor": "val_loss", "mode": "max"}}, "/early_stopping/mode"),
        ({"optimizer": {"name": "sgdw", "nesterov": True}}, "/optimizer/nesterov"),
        ({"regularization": {"ema_decay": 0.9, "lookahead_steps": 5}}, "/regularization/lookahead_steps"),
        ({"schedule": {"name": "onecycle", "warmup_epochs": 2}}, "/schedule/warmup_epochs"),
        ({"schedule": {"warmup_epochs": 5}, "epochs": 5}, "/schedule/warmup_epochs"),
        ({"augmentation": {"trivial_augment": True, "rand_augment": {}}}, "/augmentation/rand_augment"),
        ({"regularization": {"class_weights": "balanced", "sampling": "balanced"}}, "/regularization/sampling"),
        ({"regularization": {"class_weights": "balanced", "loss": "logit_adjusted"}}, "/regularization/loss"),
        ({"regularization": {"sampling": "balanced", "loss": "logit_adjusted"}}, "/regularization/loss"),
        ({"model": LAYERS, "regularization": {"dropout": 0.1}}, "/regularization/dropout"),
        ({"model": {"arch": "cnn", "norm": "batch"}, "batch_size": 1}, "/batch_size"),
        ({"model": {"arch": "resnet18"}, "batch_size": 1}, "/batch_size"),
        ({"model": NORMED, "batch_size": 1}, "/batch_size"),
        ({"model": {"arch": "mlp"}, "regularization": {"spatial_dropout": 0.1}}, "/regularization/spatial_dropout"),
        (
            {"model": {"arch": "resnet18"}, "regularization": {"spatial_dropout": 0.1}},
            "/regularization/spatial_dropout",
        ),
        ({"regularization": {"stochastic_depth": 0.1}}, "/regularization/stochastic_depth"),
        ({"model": LAYERS, "regularization": {"stochastic_depth": 0.1}}, "/regularization/stochastic_depth"),
        ({"model": {"arch": "vgg11"}, "regularization": {"stochastic_depth": 0.1}}, "/regularization/stochastic_depth"),
        (
            {"model": {"arch": "resnet18", "freeze": "backbone"}, "regularization": {"stochastic_depth": 0.1}},
            "/regularization/stochastic_depth",
        ),
        ({"model": {"arch": "cnn", "weights": "imagenet"}}, "/model/weights"),
        ({"model": {"arch": "resnet18", "weights": "wgt_1", "pretrained": True}}, "/model/weights"),
        (
            {"model": {"arch": "cnn", "layer_decay": 0.9}, "regularization": {"l1": 0.1, "l1_mode": "proximal"}},
            "/model/layer_decay",
        ),
        ({"model": FROZEN_VIEWS, "gpus": 2}, "/model/cached_views"),
    ],
)
def test_contradiction_is_reported_with_pointer_and_remedy(changes: dict[str, object], pointer: str) -> None:
    faults = list(contradictions(spec(**changes)))
    assert [fault.pointer for fault in faults] == [pointer]
    assert faults[0].detail
    assert faults[0].allowed


@pytest.mark.parametrize(
    ("options", "warnings"),
    [
        ({"focal_gamma": 1.0}, ["regularization.focal_gamma has no effect without loss focal."]),
        (
            {"loss": "focal", "logit_adjustment": 2.0},
            ["regularization.logit_adjustment has no effect without loss logit_adjusted."],
        ),
        ({"loss": "focal", "focal_gamma": 1.0}, []),
    ],
)
def test_an_option_of_another_loss_is_warned_about(options: dict[str, object], warnings: list[str]) -> None:
    assert list(doubts(spec(regularization=options))) == warnings


def test_consistent_spec_has_no_faults() -> None:
    agreeing = JobSpec(Dataset("digits"), optimizer=Optimizer("sgd", momentum=0.9, nesterov=True))
    assert not list(contradictions(agreeing))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"arch": "resnet18"}, "regularization": {"stochastic_depth": 0.1, "dropout": 0.1}},
        {"model": RESIDUAL, "regularization": {"stochastic_depth": 0.1}},
        {"model": {"arch": "cnn"}, "regularization": {"spatial_dropout": 0.1, "mixup_alpha": 0.2, "cutmix_alpha": 1}},
        {"schedule": {"name": "cosine", "warmup_epochs": 4}, "epochs": 5},
        {"regularization": {"class_weights": "balanced", "loss": "focal", "mixup_alpha": 0.2, "label_smoothing": 0.1}},
        {"regularization": {"sampling": "balanced", "loss": "focal"}},
    ],
)
def test_combinations_without_contradiction_are_accepted(changes: dict[str, object]) -> None:
    assert not list(contradictions(spec(**changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": {"name": "cosine"}}, "cosine"),
        ({"schedule": {"name": "onecycle"}}, "onecycle"),
        ({"schedule": {"anneal": "linear"}}, "schedule.anneal has no effect without name onecycle"),
        ({"regularization": {"lookahead_power": 3}}, "lookahead_power has no effect without lookahead_steps"),
        ({"schedule": {"name": "step"}, "epochs": 30}, "step_epochs"),
        ({"schedule": {"name": "plateau"}, "early_stopping": {"patience": 5}}, "plateau_patience"),
        ({"model": {"arch": "mlp", "hidden": []}, "regularization": {"dropout": 0.5}}, "dropout has no effect"),
        ({"regularization": {"decay_norm_and_bias": True}}, "without weight_decay"),
        ({"regularization": {"l1_mode": "proximal"}}, "without l1"),
        ({"model": {"arch": "resnet18", "freeze": "backbone"}}, "random weights"),
        ({"model": {"arch": "cnn", "freeze": "then_all"}}, "random weights"),
        ({"model": {"arch": "cnn", "unfreeze_epoch": 3}}, "model.unfreeze_epoch has no effect without freeze then_all"),
        (
            {"model": {"arch": "cnn", "weights": "job_1", "freeze": "then_all", "unfreeze_epoch": 11}},
            "may end before model.unfreeze_epoch",
        ),
        ({"model": FROZEN_VIEWS}, "cached_views has no effect without augmentation"),
        (
            {"model": FROZEN_VIEWS, "augmentation": {"vertical_flip": True}, "regularization": {"mixup_alpha": 0.2}},
            "cached_views has no effect with mixup",
        ),
        (
            {
                "model": FROZEN_VIEWS,
                "augmentation": {"vertical_flip": True},
                "test_time_augmentation": "mirror",
            },
            "cached_views has no effect with test_time_augmentation",
        ),
        (
            {"model": FROZEN_VIEWS, "augmentation": VERTICAL, "regularization": {"spatial_dropout": 0.1}},
            "cached_views has no effect with this cnn",
        ),
        ({"model": {"arch": "cnn", "cached_views": 3}, "augmentation": {"vertical_flip": True}}, "without freeze"),
        ({"model": {"arch": "resnet18", "pretrained": True}}, "image_size"),
        ({"model": {"arch": "resnet18", "weights": "imagenet"}}, "image_size"),
        ({"device": "cpu", "precision": "bf16"}, "avx512_bf16"),
    ],
)
def test_ineffective_combination_is_a_warning_not_an_error(changes: dict[str, object], words: str) -> None:
    assert not list(contradictions(spec(**changes)))
    (doubt,) = doubts(spec(**changes))
    assert words in doubt


def test_default_job_has_no_warnings() -> None:
    assert not list(doubts(spec()))


def test_a_network_of_layers_survives_json_unchanged() -> None:
    given = spec(model=RESIDUAL, augmentation={"rand_augment": {"magnitude": 3}})
    assert JobSpec.from_dict(json.loads(json.dumps(given.to_dict()))) == given
    assert given.augmentation.rand_augment == RandAugment(magnitude=3)


def test_unknown_parts_of_a_newer_release_are_found_at_any_depth() -> None:
    stored = spec(model=RESIDUAL).to_dict()
    assert list(unknown_parts(stored, spec(model=RESIDUAL).to_dict())) == []
    stored["new"] = 1
    stored["optimizer"]["name2"] = 1
    stored["model"] = json.loads(json.dumps(RESIDUAL))
    stored["model"]["layers"][0]["layers"][0]["type"] = "swish"
    stored["model"]["layers"][1]["beta"] = 2
    unknown = set(unknown_parts(stored, JobSpec.from_dict({**stored}).to_dict()))
    assert unknown == {"/new", "/optimizer/name2", "/model/layers/0/layers/0/type", "/model/layers/1/beta"}
    stored["model"] = {"arch": "perceiver", "depth": 3}
    assert {"/model/arch", "/model/depth"} < set(unknown_parts(stored, JobSpec.from_dict(stored).to_dict()))
