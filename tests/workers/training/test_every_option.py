"""Every option of regularization and augmentation changes a run. The options come from the dataclasses."""

import types
import typing
from dataclasses import Field, fields, is_dataclass
from typing import Any, Literal

import pytest

from service.core.spec import Augmentation, RandAugment, Regularization, contradictions
from service.core.spec.options import default_of
from tests.workers.training.small import (
    EVERY_REGULARIZATION,
    WITH_CLASS_WEIGHTS,
    WITH_LOGIT_ADJUSTMENT,
    spec,
    trained,
)

CNN = {"arch": "cnn", "channels": [4, 8], "hidden": [16], "norm": "batch"}
RESIDUAL = {
    "arch": "layers",
    "layers": [
        {"type": "conv2d", "channels": 4},
        {"type": "residual", "layers": [{"type": "conv2d", "channels": 4}, {"type": "relu"}]},
        {"type": "flatten"},
        {"type": "linear"},
    ],
}
UNBALANCED = {"id": "digits", "train_limit": 195}
LAYERS = {"dropout", "spatial_dropout", "stochastic_depth"}  # regularizers that only some networks have
SMALL = 0.1  # a valid value of every share and strength
VALUES: dict[str, Any] = {"rotation_degrees": 30.0}  # for options whose default plus SMALL has no visible effect
SETTINGS: dict[str, dict[str, Any]] = {"stochastic_depth": {"model": RESIDUAL}}  # other settings that an option needs

PARTS: dict[Any, tuple[str, ...]] = {
    Regularization: ("regularization",),
    Augmentation: ("augmentation",),
    RandAugment: ("augmentation", "rand_augment"),
}
OPTIONS = [pytest.param(kind, f, id=f"{'.'.join(path)}.{f.name}") for kind, path in PARTS.items() for f in fields(kind)]


def other_value(kind: Any, f: Field[Any]) -> Any:
    """A valid value of the option that differs from its default."""
    hint, default = typing.get_type_hints(kind)[f.name], default_of(f)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # the latter where a part is a Literal
        hint = typing.get_args(hint)[0]
    if f.name in VALUES:
        return VALUES[f.name]
    if typing.get_origin(hint) is Literal:
        return next(choice for choice in typing.get_args(hint) if choice != default)
    if is_dataclass(hint):
        return {}
    return {bool: not default, int: (default or 0) + 1, float: (default or 0) + SMALL}[hint]


def losses(path: tuple[str, ...], options: dict[str, Any], setting: dict[str, Any]) -> list[float]:
    """The losses of a short run with these options of the part at `path`, and those of the epochs to be averaged."""
    part: dict[str, Any] = options
    for name in reversed(path):
        part = {name: part}
    given = spec(**{"model": CNN, "dataset": UNBALANCED, "epochs": 2} | setting | part)
    _, fitted, results = trained(given)
    averaged = [candidate.value for candidate in fitted.candidates]
    return [loss for result in results for loss in (result.train_loss, result.val_loss)] + averaged


@pytest.mark.parametrize(("kind", "f"), OPTIONS)
def test_an_option_changes_the_run(kind: Any, f: Field[Any]) -> None:
    siblings = {sibling.name: sibling for sibling in fields(kind)}
    option = f.metadata["option"]
    needed = {name: other_value(kind, siblings[name]) for name in option.needs}
    needed |= dict([option.only_with]) if option.only_with else {}
    path, setting = PARTS[kind], SETTINGS.get(f.name, {})
    changed = losses(path, needed | {f.name: other_value(kind, f)}, setting)
    assert changed != losses(path, needed, setting)


def test_every_regularizer_is_in_a_run_with_all_that_fit() -> None:
    """Those runs are resumed and repeated by several processes. A new option belongs in EVERY_REGULARIZATION."""
    together = (EVERY_REGULARIZATION, WITH_CLASS_WEIGHTS, WITH_LOGIT_ADJUSTMENT)
    changed = {
        f.name for f in fields(Regularization) for each in together if each.get(f.name, default_of(f)) != default_of(f)
    }
    assert changed == {f.name for f in fields(Regularization)} - LAYERS
    assert not [fault for each in together for fault in contradictions(spec(regularization=each))]
