"""Training on a GPU: no synchronization in an epoch, streaming, and learning."""

from typing import Any

import pytest
import torch

from tests.workers.training.small import EVERY_AUGMENTATION, EVERY_REGULARIZATION, network, spec
from workers.training.data.batches import Batches
from workers.training.data.prepare import prepare
from workers.training.evaluate import Scorer
from workers.training.group import SINGLE_PROCESS
from workers.training.loop import TrainingData, fit
from workers.training.state import EpochResult, State
from workers.training.step import Step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

CNN = {"arch": "cnn", "channels": [8, 16], "hidden": [32], "norm": "batch"}
EVERYTHING: dict[str, Any] = {
    "model": CNN,
    "schedule": {"name": "cosine", "warmup_epochs": 1},
    "regularization": {**EVERY_REGULARIZATION, "dropout": 0.2, "spatial_dropout": 0.1},
    "augmentation": {**EVERY_AUGMENTATION, "trivial_augment": True},
}


def on_gpu(changes: dict[str, Any], resident_bytes: int | None = None) -> list[EpochResult]:
    given = spec(**changes)
    prepared = prepare(given)
    batches = prepared.on(torch.device("cuda"), resident_bytes)
    model = network(given).to("cuda").to(memory_format=torch.channels_last)
    parts = TrainingData(batches(prepared.split.train), batches(prepared.split.validation), batches(prepared.clean))
    return fit(model, parts, given).history


@pytest.mark.parametrize("policy", [{}, {"trivial_augment": False, "rand_augment": {"operations": 2, "magnitude": 9}}])
def test_no_step_of_an_epoch_waits_for_the_gpu(policy: dict[str, Any]) -> None:
    given = spec(**EVERYTHING | {"augmentation": EVERYTHING["augmentation"] | policy})
    prepared, device = prepare(given), torch.device("cuda")
    batches = prepared.on(device)
    train: Batches = batches(prepared.split.train)
    model = network(given).to(device).to(memory_format=torch.channels_last).train()
    state = State.fresh(given, model, 10, device)
    step = Step(state, train, SINGLE_PROCESS)
    for pixels, labels in train.shuffled(64, state.order):  # the first steps initialize lazily and may synchronize
        step(pixels, labels, 1e-3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for pixels, labels in train.shuffled(64, state.order):
            step(pixels, labels, 1e-3)
        Scorer(batches(prepared.split.validation), 64).logits(state.scored)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_streamed_run_nearly_equals_resident_run() -> None:
    streamed, resident = (on_gpu(EVERYTHING | {"precision": "fp32"}, size) for size in (0, None))
    assert [r.val_loss for r in streamed] == pytest.approx([r.val_loss for r in resident], rel=0.05)


@pytest.mark.parametrize("options", [{"precision": "fp32"}, {"precision": "auto"}, {"compile": "on"}])
def test_a_small_network_learns(options: dict[str, Any]) -> None:
    history = on_gpu({"model": CNN, "epochs": 30, "dataset": {"id": "digits"}} | options)
    assert max(r.val_accuracy for r in history) > 0.95
