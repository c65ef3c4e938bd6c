"""The rules of training under every option of the spec."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from service.core.errors import CompilerUnavailable
from tests.workers.training.small import CPU, Data, network, spec, trained, training_data
from workers.training.evaluate import evaluate
from workers.training.loop import fit
from workers.training.precision import choose_precision, compiled

CNN = {"arch": "cnn", "channels": [8, 16], "hidden": [32], "norm": "batch"}
RESIDUAL = {
    "arch": "layers",
    "layers": [
        {"type": "conv2d", "channels": 8},
        {"type": "residual", "layers": [{"type": "conv2d", "channels": 8}, {"type": "relu"}]},
        {"type": "flatten"},
        {"type": "linear"},
    ],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "dropout": {"regularization": {"dropout": 0.3}},
    "spatial dropout": {"regularization": {"spatial_dropout": 0.2}},
    "stochastic depth": {"model": RESIDUAL, "regularization": {"stochastic_depth": 0.3}},
    "coupled decay": {"regularization": {"weight_decay": 1e-4}},
    "decoupled decay": {"optimizer": {"name": "adamw", "lr": 3e-3}, "regularization": {"weight_decay": 0.01}},
    "decay of everything": {"regularization": {"weight_decay": 1e-4, "decay_norm_and_bias": True}},
    "l1 in the loss": {"regularization": {"l1": 1e-6}},
    "proximal l1": {"regularization": {"l1": 1e-6, "l1_mode": "proximal"}},
    "gradient clipping": {"regularization": {"gradient_clip_norm": 1.0}},
    "max norm": {"regularization": {"max_norm": 4.0}},
    "moving average": {"regularization": {"ema_decay": 0.9}},
    "class weights": {"regularization": {"class_weights": "balanced"}},
    "balanced sampling": {"regularization": {"sampling": "balanced"}},
    "focal loss": {"regularization": {"loss": "focal", "focal_gamma": 1.0}},
    "logit adjustment": {"regularization": {"loss": "logit_adjusted"}},
    "Lookahead": {"regularization": {"lookahead_steps": 3, "lookahead_alpha": 0.8}},
    "sgd": {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}},
    "cosine": {"schedule": {"name": "cosine", "warmup_epochs": 5}},
    "onecycle": {"optimizer": {"lr": 1e-2}, "schedule": {"name": "onecycle"}},
    "linear onecycle": {"optimizer": {"lr": 1e-2}, "schedule": {"name": "onecycle", "anneal": "linear"}},
    "sgd with decoupled decay": {
        "optimizer": {"name": "sgdw", "lr": 0.1, "momentum": 0.9},
        "regularization": {"weight_decay": 1e-3},
    },
    "plateau": {"schedule": {"name": "plateau", "plateau_patience": 50}},
    "step": {"schedule": {"name": "step", "step_epochs": 100}},
    "without normalization": {"augmentation": {"normalize": False}},
    "group norm": {"model": {**CNN, "norm": "group"}},
    "larger images": {"dataset": {"id": "digits", "train_limit": 32, "image_size": 12}},
    "bf16": {"precision": "bf16"},
}
# Options with which the training loss cannot reach zero: random images or soft targets.
SOFT: dict[str, dict[str, Any]] = {
    "label smoothing": {"regularization": {"label_smoothing": 0.1}},
    "mixup": {"regularization": {"mixup_alpha": 0.4}},
    "cutmix": {"regularization": {"cutmix_alpha": 1.0}},
    "crop": {"augmentation": {"crop_padding": 1}},
    "flip": {"augmentation": {"horizontal_flip": True}},
    "alternating flip": {"augmentation": {"horizontal_flip": "alternating"}},
    "vertical flip": {"augmentation": {"vertical_flip": True}},
    "resized crop": {"augmentation": {"random_resized_crop": 0.5}},
    "color jitter": {"augmentation": {"color_jitter": 0.3}},
    "rotation": {"augmentation": {"rotation_degrees": 10}},
    "TrivialAugment": {"augmentation": {"trivial_augment": True}},
    "AugMix": {"augmentation": {"augmix": True}},
    "RandAugment": {"augmentation": {"rand_augment": {}}},
    "random erasing": {"augmentation": {"random_erasing": 0.5}},
}
# Stronger values of options whose values above have no effect within two epochs.
SOONER: dict[str, dict[str, Any]] = {
    "max norm": {"regularization": {"max_norm": 0.5}},
    "step": {"schedule": {"name": "step", "step_epochs": 1}},
    "plateau": {
        "optimizer": {"name": "sgd", "lr": 1e-12},  # no improvement
        "schedule": {"name": "plateau", "plateau_patience": 0},
        "epochs": 3,
    },
    "larger images": {"dataset": {"id": "digits", "train_limit": 200, "image_size": 12}},
    "class weights": {
        "dataset": {"id": "digits", "train_limit": 195},
        "regularization": {"class_weights": "balanced"},
    },
}
EVERY = pytest.mark.parametrize("changes", (OPTIONS | SOFT).values(), ids=(OPTIONS | SOFT).keys())


def one_batch(changes: dict[str, Any]) -> dict[str, Any]:
    few = {"id": "digits", "train_limit": 16, "val_fraction": 0.05}
    return {"dataset": few, "model": CNN, "optimizer": {"lr": 1e-2}} | {"epochs": 60, "early_stopping": None} | changes


@EVERY
def test_one_batch_is_memorized_under_every_option(changes: dict[str, Any]) -> None:
    """Scored without dropout and augmentation. With options of `SOFT` the loss stays higher."""
    last = trained(spec(**one_batch(changes)))[2][-1]
    assert last.train_loss_clean is not None
    assert last.train_loss_clean < (0.01 if changes in OPTIONS.values() else 0.7)


@EVERY
def test_val_loss_is_cross_entropy_of_unchanged_images(changes: dict[str, Any]) -> None:
    given = spec(**{"model": CNN, "epochs": 1} | changes)
    model, data = network(given), Data(given)
    stored = data.prepared.images.stored.clone()
    run = training_data(given)
    fitted = fit(model, run, given)
    best = network(given)
    assert fitted.best_weights is not None
    best.load_state_dict(fitted.best_weights)  # with a moving average, its weights were scored
    ((images, labels),) = run.validation.in_order(10_000)
    best.eval()
    with torch.no_grad():
        expected = F.cross_entropy(best(images), labels).item()
    assert fitted.history[0].val_loss == pytest.approx(expected, rel=1e-5)
    assert torch.equal(data.prepared.images.stored, stored)


@EVERY
def test_fresh_network_has_the_loss_of_a_guess(changes: dict[str, Any]) -> None:
    given = spec(**{"model": {**CNN, "norm": "none"}} | changes)
    assert evaluate(network(given), Data(given).validation).loss == pytest.approx(math.log(10), rel=0.15)


@pytest.mark.parametrize("changes", (OPTIONS | SOFT | SOONER).values(), ids=(OPTIONS | SOFT | SOONER).keys())
def test_every_option_changes_the_run(changes: dict[str, Any]) -> None:
    def seen(options: dict[str, Any]) -> list[float]:
        given = spec(**{"model": CNN, "epochs": 2, "optimizer": {"lr": 3e-3}} | options)
        return [value for r in trained(given)[2] for value in (r.train_loss, r.val_loss, r.lr)]

    setting = {name: value for name, value in changes.items() if name in ("model", "dataset", "optimizer", "epochs")}
    if "dataset" in setting:
        setting["dataset"] = {name: value for name, value in setting["dataset"].items() if name != "image_size"}
    assert seen(changes) != seen(setting if setting != changes else {})


def test_mixing_that_leaves_every_image_whole_is_plain_training() -> None:
    """Beta(a, a) with a tiny a gives a share of 0 or 1, so a batch stays the same or is permuted."""
    few = {"dataset": {"id": "digits", "train_limit": 64}, "model": CNN, "epochs": 1}
    mixed = trained(spec(**few, regularization={"mixup_alpha": 1e-6}))[2][0]
    plain = trained(spec(**few))[2][0]
    assert mixed.train_loss == pytest.approx(plain.train_loss, rel=1e-5)
    assert mixed.train_accuracy == pytest.approx(plain.train_accuracy)
    assert mixed.val_loss == pytest.approx(plain.val_loss, rel=1e-3)


def test_streamed_run_equals_resident_run_exactly() -> None:
    given = spec(
        model=CNN,
        dataset={"id": "digits", "train_limit": 150, "image_size": 10},
        augmentation={"crop_padding": 1, "trivial_augment": True},
        regularization={"dropout": 0.2},
    )
    streamed, resident = ([(r.train_loss, r.val_loss) for r in trained(given, size)[2]] for size in (0, None))
    assert streamed == resident


@pytest.mark.long
def test_compiling_trains_the_same_network_with_clean_names() -> None:
    given = spec(model=CNN, compile="on")
    model = network(given)
    assert compiled(given, model, CPU) is not model
    assert compiled(spec(model=CNN), model, CPU) is model
    plain, on = (trained(spec(model=CNN, epochs=2, compile=word)) for word in ("off", "on"))
    assert on[2][-1].val_loss == pytest.approx(plain[2][-1].val_loss, rel=1e-2)
    assert on[1].best_weights is not None
    assert plain[1].best_weights is not None
    assert on[1].best_weights.keys() == plain[1].best_weights.keys()
    assert all("_orig_mod" not in name for name in on[1].best_weights)


def test_a_frozen_backbone_stays_as_it_is_with_its_batch_norm() -> None:
    given = spec(
        model={"arch": "resnet18", "freeze": "backbone"}, epochs=1, dataset={"id": "digits", "train_limit": 64}
    )
    before = network(given).state_dict()
    model, _, _ = trained(given)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_learning_rate_of_each_epoch_is_reported() -> None:
    given = spec(epochs=4, optimizer={"lr": 0.01}, schedule={"name": "step", "step_epochs": 2, "gamma": 0.5})
    assert [r.lr for r in trained(given)[2]] == pytest.approx([0.01, 0.01, 0.005, 0.005])


def test_the_kept_weights_are_the_averaged_ones() -> None:
    given = spec(epochs=2, optimizer={"lr": 0.03}, regularization={"ema_decay": 0.99})
    model, fitted, _ = trained(given)
    assert fitted.best_weights is not None
    assert any(not torch.equal(fitted.best_weights[name], t) for name, t in model.state_dict().items())


LARGE = {"arch": "cnn", "channels": [64, 64], "hidden": [32]}
SLOW_IN_BF16 = {"arch": "mobilenet_v3_small"}


@pytest.mark.parametrize(
    ("model", "instructions", "precision", "chosen"),
    [
        (LARGE, {"avx512_bf16": True}, "auto", "bf16"),
        (LARGE, {"amx_bf16": True}, "auto", "bf16"),
        (LARGE, {"avx512_f": True, "avx512_bf16": False}, "auto", "fp32"),
        (LARGE, {"avx512_bf16": True}, "fp32", "fp32"),
        (LARGE | {"norm": "group"}, {"avx512_bf16": True}, "auto", "fp32"),
        ({"arch": "mlp", "hidden": [16]}, {"avx512_bf16": True}, "auto", "fp32"),
        (SLOW_IN_BF16, {"avx512_bf16": True}, "auto", "fp32"),
        ({"arch": "mlp", "hidden": [16]}, {}, "bf16", "bf16"),
    ],
)
def test_auto_is_bf16_where_cpu_and_network_gain_from_it(
    model: dict[str, Any],
    instructions: dict[str, bool],
    precision: str,
    chosen: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    given = spec(model=model, precision=precision)
    built = network(given)
    modes = [module.training for module in built.modules()]
    random = torch.get_rng_state()
    assert choose_precision(given, built, (1, 8, 8), CPU) == chosen
    assert [module.training for module in built.modules()] == modes
    assert not any(module._forward_hooks for module in built.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_precision_that_was_chosen_is_the_one_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses(precision: str, **instructions: bool) -> list[float]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
        _, fitted, results = trained(spec(model=LARGE, precision=precision, epochs=1))
        assert fitted.precision == ("bf16" if instructions or precision == "bf16" else "fp32")
        return [result.train_loss for result in results]

    assert losses("auto", avx512_bf16=True) == losses("bf16") != losses("fp32")
    assert losses("auto") == losses("fp32")


@pytest.mark.parametrize(("device", "needed"), [("cpu", "g\\+\\+"), ("cuda", "gcc")])
def test_compiling_without_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch, device: str, needed: str) -> None:
    monkeypatch.setenv("PATH", "")
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    given = spec(compile="on")
    with pytest.raises(CompilerUnavailable, match=f"{needed}.*compile off"):
        compiled(given, network(given), torch.device(device))
