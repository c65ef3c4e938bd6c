"""The cure `temperature`: the logits of the best model are divided by one number, without another training."""

from service.core.diagnosis.patches import Patch
from service.core.diagnosis.run_context import RunContext
from service.core.records.facts import CalibrationFact
from service.core.text import format_number


def change(case: RunContext) -> Patch | None:
    """An empty patch for a run that has ended; None while it runs, or where the temperature is known not to help."""
    known = _known(case)
    if case.stop_reason is None or (known and known.loss_after >= known.loss):
        return None
    return []


def gain(case: RunContext) -> str | None:
    """The measured effect in words, None if it is not known."""
    if (known := _known(case)) is None:
        return None
    before, after = format_number(known.loss), format_number(known.loss_after)
    divided = f"dividing the logits by {known.temperature:.2g}"
    return f"{divided} lowers the validation loss from {before} to {after} and changes no predicted class"


def _known(case: RunContext) -> CalibrationFact | None:
    return case.facts.calibration if case.facts else None
