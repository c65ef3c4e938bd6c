"""Cures that change several options which belong together."""

from typing import Any

from service.core.diagnosis import RunContext
from service.core.diagnosis.advice import cured
from service.core.diagnosis.cures import CURES
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.spec import Cnn, JobSpec, contradictions


def changed(cure: str, **options: Any) -> JobSpec | None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, **options}).filled(1)
    patch = CURES[cure].change(RunContext(spec, CONTENTS_OF["digits"]))
    then = cured(spec, patch) if patch else None
    assert then is None or not list(contradictions(then))
    return then


def test_the_rate_shrinks_and_falls_together() -> None:
    then = changed("rate_and_schedule", optimizer={"lr": 0.03})
    assert then
    assert (round(then.optimizer.lr, 6), then.schedule.name, then.early_stopping) == (0.01, "cosine", None)
    assert changed("rate_and_schedule", schedule={"name": "cosine"}) is None


def test_a_deeper_network_is_normalized() -> None:
    then = changed("deeper_and_normalized", model={"arch": "cnn", "channels": [4, 8]})
    assert then
    assert isinstance(then.model, Cnn)
    assert (then.model.channels, then.model.norm) == ((4, 8, 16), "batch")
    assert changed("deeper_and_normalized", model={"arch": "cnn", "channels": [4, 8, 16]}) is None  # 8 pixels a side
    assert changed("deeper_and_normalized", model={"arch": "mlp"}) is None


def test_optimizers_change_with_their_usual_rates() -> None:
    then = changed("other_optimizer", optimizer={"name": "adam", "lr": 0.1}, regularization={"weight_decay": 0.01})
    assert then
    assert (then.optimizer.name, then.optimizer.lr, then.optimizer.momentum) == ("sgd", 0.05, 0.9)
    assert then.regularization.weight_decay == 1e-3
    back = changed("other_optimizer", optimizer={"name": "sgd", "lr": 1.0, "momentum": 0.9, "nesterov": True})
    assert back
    assert (back.optimizer.name, back.optimizer.lr, back.optimizer.momentum) == ("adamw", 1e-3, 0.0)


def test_decay_is_decoupled_with_adam_only() -> None:
    then = changed("decoupled_decay", optimizer={"name": "adam"})
    assert then
    assert (then.optimizer.name, then.regularization.weight_decay) == ("adamw", 0.05)
    assert changed("decoupled_decay", optimizer={"name": "sgd"}) is None
