"""How long the trials of a fit are, in epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.records.fit import Run, Trial, TrialJob
from service.core.records.fit_request import Candidate, FitRequest, Source

FIRST_PART = 4  # a trial pauses after 1 / FIRST_PART of its epochs
WHOLE_TRIALS = 8  # that the search can afford; with the others it is about twice as many trials
MANY_TRIALS = 40  # trials get more than USUAL_EPOCHS only if the search can afford this number of them
SHARE_OF_SEARCH = 0.6  # of the time
LEAST_EPOCHS, USUAL_EPOCHS, MOST_EPOCHS = 30, 60, 150
LEAST_MEASURED = 2  # epochs of the base whose time is known before others start
# Of a whole trial. A pause costs about a second, so that it saves little then, and after the first part of their epochs
# trials with more augmentation look worse than they become.
SHORT_SECONDS = 6.0


@dataclass(frozen=True)
class Length:
    """The length of trials, and whether they pause after a part of it."""

    epochs: int
    pauses: bool


def length(request: FitRequest, base: TrialJob | None, runs: Sequence[Run]) -> Length | None:
    """The length of trials; None while the time of an epoch is not known. `base` is the running job of the base.

    With a budget of jobs, it is that of the base. With a budget of minutes, it is what the time can pay for: up to
    USUAL_EPOCHS for a few trials, and more of them only for many trials. If the client has given a number of epochs,
    that is the largest.
    """
    if request.seconds is None:
        return Length(request.spec.epochs, pauses=True)
    done = runs[0] if runs and runs[0].is_done else None
    epochs, seconds = (done.epochs, done.seconds) if done else (base.epochs, base.seconds) if base else (0, 0.0)
    if epochs < LEAST_MEASURED and not (done and epochs):
        return None
    most = request.spec.epochs if request.keeps_epochs else max(MOST_EPOCHS, request.spec.epochs)
    time = request.seconds * SHARE_OF_SEARCH * request.slots
    of_epoch = max(request.cost * seconds / epochs, 1e-6)
    of_few, of_many = (int(time / trials / of_epoch) for trials in (WHOLE_TRIALS, MANY_TRIALS))
    chosen = min(most, max(LEAST_EPOCHS, min(USUAL_EPOCHS, of_few), of_many))
    return Length(chosen, pauses=chosen * of_epoch > SHORT_SECONDS)


def epochs_of(request: FitRequest, candidate: Candidate, usual: Length | None) -> int:
    """The epochs of a new trial: those of its patch, else the usual ones. The base has those of its spec."""
    own = [step["value"] for step in candidate.patch if step["path"] == "/epochs"]
    if own:
        return int(own[-1])
    return request.spec.epochs if candidate.source is Source.BASE or usual is None else usual.epochs


def pause_of(trial: Trial, usual: Length | None) -> int | None:
    """The epoch after which the trial pauses, None if it does not."""
    if trial.candidate.is_whole or usual is None or not usual.pauses:
        return None
    return trial.epochs // FIRST_PART or None
