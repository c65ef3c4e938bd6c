"""Words for diagnoses of runs that were trained elsewhere, from the plain data that the API answers."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

RECOGNIZED = ("keras", "lightning", "timm")  # frameworks that the name of a format tells
USUAL = "pytorch"


def framework(file_format: str) -> str:
    """The framework whose code fits a run in a file of this format."""
    return next((name for name in RECOGNIZED if name in file_format.lower()), USUAL)


def early_stopping(replayed: Json | None) -> str:
    """What early stopping would have done with the recorded losses, in one sentence."""
    if replayed is None:
        return "Without a finite validation loss, the effect of early stopping is unknown."
    actual, settings = replayed["actual"], [each for each in replayed["data"] if each["min_delta"] == 0]
    free = [each for each in settings if each["best_epoch"] == actual["best_epoch"] and each["epochs_saved"]]
    if not free:
        return _costly(actual, settings)
    patience, stop = (_span([each[name] for each in free]) for name in ("patience", "stop_epoch"))
    return (
        f"Early stopping with a patience of {patience} would have kept the same best epoch {actual['best_epoch']} and "
        f"ended the run at epoch {stop} instead of {actual['stop_epoch']}."
    )


def _span(numbers: Sequence[int]) -> str:
    return str(min(numbers)) if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"


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
