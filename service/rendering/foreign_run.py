"""Words for diagnoses of runs that were trained elsewhere, from the plain data that the API answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.core.text import counted

Json = Mapping[str, Any]

RECOGNIZED = ("keras", "lightning", "timm")  # frameworks that the name of a format tells
USUAL = "pytorch"


def framework(file_format: str) -> str:
    """The framework whose code fits a run in a file of this format."""
    return next((name for name in RECOGNIZED if name in file_format.lower()), USUAL)


def early_stopping(replayed: Json | None) -> str:
    """What early stopping would have done with the recorded losses, in one sentence."""
    if replayed is None:
        return "Without a validation loss it is not known what early stopping would have done."
    actual, settings = replayed["actual"], [each for each in replayed["data"] if each["min_delta"] == 0]
    if actual["best_epoch"] is None:
        return "No validation loss is finite, so early stopping has nothing to keep."
    same = [each for each in settings if each["best_epoch"] == actual["best_epoch"]]
    best = max(same, key=_saved, default=None)
    if best and best["epochs_saved"]:
        return (
            f"Early stopping with a patience of {best['patience']} would have ended the run at epoch "
            f"{best['stop_epoch']} instead of {actual['stop_epoch']} and kept the same best epoch "
            f"{actual['best_epoch']}: {counted(best['epochs_saved'], 'epoch')} less."
        )
    return _costly(actual, settings)


def _saved(setting: Json) -> tuple[int, int]:
    """Orders settings by the epochs that they save; of equal ones the most patient is last."""
    return setting["epochs_saved"], setting["patience"]


def _costly(actual: Json, settings: Sequence[Json]) -> str:
    """The sentence for a run that no patience ends earlier without a loss."""
    kept = f"the best epoch {actual['best_epoch']} of {actual['stop_epoch']}"
    cheapest = min((each for each in settings if each["loss_given_up"]), key=_given_up, default=None)
    if cheapest is None:
        return f"Early stopping would not have ended the run earlier: {kept} is too near its end."
    return (
        f"Early stopping would have saved nothing without a cost: a patience of {cheapest['patience']} ends the run at "
        f"epoch {cheapest['stop_epoch']}, before {kept}, with a loss that is {cheapest['loss_given_up']:.3g} higher."
    )


def _given_up(setting: Json) -> float:
    given_up: float = setting["loss_given_up"]
    return given_up
