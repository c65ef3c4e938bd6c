"""Frozen layers, features that are computed once, unfreezing, and learning rates by depth."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from service.core.spec import JobSpec
from service.core.spec.features import keeps_features
from tests.workers.training.small import Data, network, spec, training_data
from workers.training import loop
from workers.training.checkpoint import Weights, weights_of
from workers.training.data.augmentation.flip import horizontal_flip
from workers.training.data.augmentation.random_erasing import random_erasing
from workers.training.evaluate import eval_mode, evaluate
from workers.training.features import may_keep_features
from workers.training.loop import TrainingResult, fit
from workers.training.models.classifier import head_of, tail_of
from workers.training.models.depth import layers_by_depth
from workers.training.models.meta import build_on_meta
from workers.training.optim import build_optimizer
from workers.training.seeds import generator

CNN: dict[str, Any] = {"arch": "cnn", "channels": [4, 8], "hidden": [16], "norm": "batch"}
FROZEN = CNN | {"freeze": "backbone"}
RESNET = {"arch": "resnet18", "freeze": "backbone"}
ALEXNET, LARGE = {"arch": "alexnet", "freeze": "backbone"}, {"id": "digits", "image_size": 64}
ENDS_SCALED: list[dict[str, Any]] = [{"type": "flatten"}, {"type": "linear"}, {"type": "scale", "factor": 0.1}]
SCALED = {"arch": "layers", "layers": ENDS_SCALED, "freeze": "backbone"}


def run(given: JobSpec, **options: Any) -> tuple[Weights, TrainingResult, Weights]:
    """(weights before, result, weights after)."""
    model = network(given)
    before = weights_of(model)
    return before, fit(model, training_data(given), given, **options), weights_of(model)


def changed(before: Weights, after: Weights) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def head_names(given: JobSpec) -> set[str]:
    name, head = head_of(network(given))
    return {f"{name}.{each}" for each in head.state_dict()}


def computed_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "may_keep_features", lambda *_: False)


@pytest.mark.parametrize("model", [FROZEN, {"arch": "mlp", "hidden": [16], "freeze": "backbone"}])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_kept_features_train_as_computed_ones(
    monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], dropout: float
) -> None:
    given = spec(model=model, epochs=5, regularization={"dropout": dropout}, optimizer={"lr": 0.02})
    before, kept, after = run(given)
    assert changed(before, after) == head_names(given)
    computed_each_epoch(monkeypatch)
    before, computed, after = run(given)
    assert changed(before, after) == head_names(given)
    for one, other in zip(kept.history, computed.history, strict=True):
        assert one.val_loss == pytest.approx(other.val_loss, rel=1e-3)
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
    assert kept.history[-1].val_loss < kept.history[0].val_loss


def test_recorded_loss_is_that_of_the_whole_network() -> None:
    given = spec(model=FROZEN, optimizer={"lr": 0.02}, regularization={"ema_decay": 0.9})
    _, result, _ = run(given)
    assert result.best_epoch is not None
    assert result.best_weights is not None
    model = network(given)
    model.load_state_dict(result.best_weights)
    recorded = result.history[result.best_epoch - 1].val_loss
    assert evaluate(model, Data(given).validation).loss == pytest.approx(recorded, rel=1e-6)


def test_images_pass_the_frozen_layers_once() -> None:
    given = spec(model=FROZEN, epochs=6, precision="fp32")  # to choose one takes a pass
    model, seen = network(given), list[int]()
    next(model.children()).register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    data = training_data(given)
    fit(model, data, given)
    assert data.clean is not None
    assert sum(seen) == len(data.train) + len(data.validation) + len(data.clean)


def test_each_epoch_draws_from_the_cached_views() -> None:
    views, changes = 3, {"horizontal_flip": True, "random_erasing": 0.5}
    given = spec(
        model=FROZEN | {"cached_views": views}, epochs=4, batch_size=1000, augmentation=changes, precision="fp32"
    )
    model, passed, inputs = network(given), list[int](), list[torch.Tensor]()
    data, prepared = training_data(given), Data(given).prepared
    pixels = prepared.images.take(prepared.split.train)
    random, table = generator(given.seed, "views"), list[torch.Tensor]()
    _, head = head_of(model)
    with torch.no_grad(), eval_mode(model):
        hook = head.register_forward_pre_hook(lambda _module, args: table.append(args[0]))
        for _ in range(views):
            flipped = data.train.normalized(horizontal_flip(pixels, random))
            model(random_erasing(flipped, 0.5, random))
        hook.remove()
    next(model.children()).register_forward_hook(lambda _module, args, _output: passed.append(len(args[0])))
    head.register_forward_pre_hook(lambda module, args: inputs.append(args[0]) if module.training else None)
    fit(model, data, given)
    assert data.clean is not None
    assert sum(passed) == views * len(data.train) + len(data.validation) + len(data.clean)
    known, used = torch.cat(table), list[torch.Tensor]()
    for epoch in inputs:
        distance, place = torch.cdist(epoch.float(), known).min(1)
        assert distance.max() < 0.02, "rounded to float16"
        assert sorted((place % len(data.train)).tolist()) == list(range(len(data.train))), "each image once"
        used.append(place // len(data.train))
    assert len(inputs) == 4
    assert {tuple(torch.bincount(view).shape) for view in used} == {(views,)}
    assert not torch.equal(used[0], used[1])


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({"model": FROZEN}, True),
        ({"model": RESNET}, True),
        ({"model": RESNET, "regularization": {"dropout": 0.3}}, True),
        ({"model": FROZEN, "augmentation": {"normalize": False}}, True),
        ({"model": FROZEN, "regularization": {"label_smoothing": 0.1, "sam_rho": 0.05}}, True),
        ({"model": CNN}, False),
        ({"model": FROZEN, "augmentation": {"horizontal_flip": True}}, False),
        ({"model": FROZEN, "augmentation": {"random_erasing": 0.1}}, False),
        ({"model": FROZEN | {"cached_views": 2}, "augmentation": {"random_erasing": 0.1}}, True),
        ({"model": FROZEN | {"cached_views": 2}, "regularization": {"mixup_alpha": 0.1}}, False),
        ({"model": FROZEN, "gpus": 2}, False),
        ({"model": FROZEN, "regularization": {"mixup_alpha": 0.1}}, False),
        ({"model": FROZEN, "regularization": {"spatial_dropout": 0.1}}, False),
        ({"model": FROZEN | {"hidden": [16, 16]}, "regularization": {"dropout": 0.1}}, False),
        ({"model": {"arch": "squeezenet1_1", "freeze": "backbone"}}, False),
        ({"model": ALEXNET, "dataset": LARGE}, True),
        ({"model": ALEXNET, "dataset": LARGE, "regularization": {"dropout": 0.1}}, False),
        ({"model": SCALED}, False),
    ],
)
def test_features_are_kept_where_each_epoch_has_the_same(changes: dict[str, Any], is_kept: bool) -> None:
    given = spec(**changes)
    assert may_keep_features(given, network(given), 1) == keeps_features(given, 1) == is_kept


@pytest.mark.parametrize("arch", ["densenet121", "efficientnet_b0", "maxvit_t", "swin_t", "vit_b_32", "googlenet"])
def test_end_of_a_network_computes_its_logits(arch: str) -> None:
    options = {"init_weights": False, "aux_logits": False} if arch == "googlenet" else {}
    model = get_model(arch, num_classes=3, **options).eval()
    tail, inputs = tail_of(model), list[torch.Tensor]()
    assert tail is not None
    assert (tail.dropout is not None) == (arch in ("efficientnet_b0", "googlenet"))
    tail.head.register_forward_pre_hook(lambda _module, args: inputs.append(args[0]))
    with torch.no_grad():
        logits = model(torch.zeros(1, 3, 224, 224))
        assert torch.equal(tail(inputs[0]), logits)


def test_last_layer_trains_first_and_then_all_layers() -> None:
    given = spec(model=CNN | {"freeze": "then_all", "unfreeze_epoch": 3}, epochs=4, early_stopping=None)
    states: list[Weights] = []
    model = network(given)
    first = weights_of(model)
    fit(model, training_data(given), given, on_epoch=lambda _: states.append(weights_of(model)))
    assert changed(first, states[0]) == changed(states[0], states[1]) == head_names(given)
    assert changed(states[1], states[2]) == changed(states[2], states[3]) == set(first)


def test_stop_while_features_are_computed_ends_the_run() -> None:
    given = spec(model=FROZEN)
    _, result, _ = run(given, should_stop=lambda: "cancelled")
    assert (result.stop_reason, result.epochs) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("make", "layers"),
    [
        (lambda: get_model("resnet18"), 1 + 8 + 1),
        (lambda: get_model("vit_b_32"), 1 + 12 + 1),
        (lambda: get_model("vgg11_bn"), 8 + 3),
        (lambda: network(spec(model=CNN)), 4),
        (lambda: network(spec(model={"arch": "mlp", "hidden": []})), 1),
    ],
)
def test_layers_are_blocks_or_have_weights(make: Callable[[], nn.Module], layers: int) -> None:
    model = build_on_meta(make)
    found = layers_by_depth(model)
    assert len(found) == layers
    assert {id(p) for layer in found for p in layer} == {id(p) for p in model.parameters()}
    assert sum(map(len, found)) == len(list(model.parameters()))


def test_learning_rate_falls_from_the_last_layer_to_the_first() -> None:
    given = spec(model=CNN | {"layer_decay": 0.5}, optimizer={"name": "sgd", "lr": 0.1})
    model = network(given)
    rates = {"0": 0.0125, "1": 0.0125, "4": 0.025, "5": 0.025, "9": 0.05, "11": 0.1}
    optimizer = build_optimizer(model, given.optimizer, 1e-4, decay_norm_and_bias=False, layer_decay=0.5)
    found = {id(p): group["lr_scale"] * 0.1 for group in optimizer.param_groups for p in group["params"]}
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == set(rates)
    assert all(found[id(p)] == pytest.approx(rates[name.partition(".")[0]]) for name, p in model.named_parameters())


def test_one_step_moves_each_layer_by_its_own_rate() -> None:
    plain = spec(model={"arch": "mlp", "hidden": [8]}, optimizer={"name": "sgd", "lr": 0.1}, epochs=1, batch_size=200)
    decayed = spec(
        model={"arch": "mlp", "hidden": [8], "layer_decay": 0.25},
        optimizer={"name": "sgd", "lr": 0.1},
        epochs=1,
        batch_size=200,
    )
    before, result, whole = run(plain)
    _, slower, parts = run(decayed)
    assert result.history[0].lr == slower.history[0].lr == 0.1
    for name in before:
        factor = 0.25 if name.startswith("1.") else 1.0
        torch.testing.assert_close(
            parts[name] - before[name], factor * (whole[name] - before[name]), rtol=1e-3, atol=1e-6
        )
