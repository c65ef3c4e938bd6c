"""The events of a fit: one for each of its steps, and one for its end."""

from collections.abc import Sequence

from service.core.experiments.fits.standing import outcome_words
from service.core.records.fit import Fit, FitStep
from service.core.records.job_event import Event


def fit_events(fit: Fit, after: int, limit: int) -> tuple[bool, Sequence[Event]]:
    """Whether the fit has ended, and at most `limit` of its events after the one with the id `after`.

    The id of a step's event is the number of the step; the event of the end has the next one. The outcome of a step is
    that known now, None while its run is under way.
    """
    events = [_of_step(fit, step) for step in fit.steps]
    if fit.is_terminal:
        data = {"status": fit.status, "error": (fit.result or {}).get("error")}
        events.append(Event(len(events) + 1, "status", fit.finished_at or 0.0, data))
    return fit.is_terminal, [event for event in events if event.id > after][:limit]


def _of_step(fit: Fit, step: FitStep) -> Event:
    data = {
        "kind": step.kind,
        "trial": step.trial,
        "job": step.job_id,
        "why": step.data["why"],
        "outcome": outcome_words(fit, step),
    }
    return Event(step.number, "step", step.at, data)
