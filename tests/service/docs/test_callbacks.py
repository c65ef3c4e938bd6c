"""The callbacks of the page on diagnoses, driven by stand-ins that call them as their frameworks document."""

import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.core.experiments.foreign_runs import diagnose_history
from tests.service.docs.callbacks import verdict_class

LOSSES = [(2 * 0.75**at, max(0.6, 1 - at / 10) + 0.05 * max(0, at - 5)) for at in range(20)]
EPOCHS = [{"epoch": at, "train_loss": train, "val_loss": val} for at, (train, val) in enumerate(LOSSES, start=1)]


class Base:
    """The class from which callbacks derive."""


@pytest.fixture(autouse=True)
def frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that the callbacks import."""
    stand_ins: dict[str, dict[str, Any]] = {
        "keras": {"callbacks": SimpleNamespace(Callback=Base)},
        "pytorch_lightning": {"Callback": Base},
        "transformers": {"TrainerCallback": Base},
    }
    for name, members in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


def run_keras(callback: Any, losses: list[tuple[float, float]]) -> None:
    for at, (train, val) in enumerate(losses):
        callback.on_epoch_end(at, logs={"loss": np.float64(train), "val_loss": np.float64(val)})
    callback.on_train_end()


def run_lightning(callback: Any, losses: list[tuple[float, float]]) -> None:
    trainer = SimpleNamespace(callback_metrics={}, current_epoch=0, is_global_zero=True)
    for at, (train, val) in enumerate(losses):
        trainer.current_epoch = at
        trainer.callback_metrics |= {"train_loss": np.float64(train), "val_loss": np.float64(val)}
        callback.on_train_epoch_end(trainer, None)
    trainer.current_epoch += 1
    callback.on_fit_end(trainer, None)


def run_transformers(callback: Any, losses: list[tuple[float, float]]) -> None:
    log: list[dict[str, Any]] = []
    for at, (train, val) in enumerate(losses, start=1):
        log += [
            {"loss": train, "epoch": float(at), "step": 9 * at},
            {"eval_loss": val, "epoch": float(at), "step": 9 * at},
        ]
    log.append({"train_loss": 0.7, "train_runtime": 3.1, "epoch": float(len(losses)), "step": 9 * len(losses)})
    state = SimpleNamespace(log_history=log, is_world_process_zero=True)
    callback.on_train_end(None, state, None, model=None)


RUNS = {"keras": run_keras, "pytorch_lightning": run_lightning, "transformers": run_transformers}


@pytest.mark.parametrize("framework", RUNS)
def test_callback_says_the_verdict(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    RUNS[framework](verdict_class(framework)(classes=10, validation_images=900), LOSSES)
    expected = diagnose_history(EPOCHS, classes=10, validation_images=900)
    assert capsys.readouterr().out == f"{expected['verdict']}: {expected['summary']}\n"
    assert expected["verdict"] in ("overfitting", "overconfident")


@pytest.mark.parametrize("framework", RUNS)
def test_callback_says_that_a_run_diverged(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    RUNS[framework](verdict_class(framework)(), [*LOSSES[:5], (math.nan, math.nan)])
    assert capsys.readouterr().out.startswith("diverged: ")
