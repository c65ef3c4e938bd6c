"""How long the trials of a fit are, in epochs."""

from service.core.records.fit import FitRequest, Trial

FIRST_PART = 4  # a trial pauses after one in so many of its epochs
WHOLE_TRIALS = 24  # that the search can afford; with the others it is about twice as many trials
SHARE_OF_SEARCH = 0.6  # of the time
LEAST_EPOCHS, MOST_EPOCHS = 8, 300
LEAST_MEASURED = 2  # epochs of the base whose time is known before others start


def epochs_in_time(request: FitRequest, seconds: float, is_given: bool) -> int:
    """The full length of trials for a budget of minutes, where an epoch of the base takes `seconds`.

    If the client has given a number of epochs (`is_given`), it is the largest.
    """
    most = request.spec.epochs if is_given else max(MOST_EPOCHS, request.spec.epochs)
    affordable = 60 * (request.minutes or 0.0) * SHARE_OF_SEARCH * request.slots / WHOLE_TRIALS / max(seconds, 1e-6)
    return max(min(LEAST_EPOCHS, most), min(most, int(affordable)))


def pause_of(trial: Trial) -> int | None:
    """The epoch after which the trial pauses, None if it does not."""
    first = trial.epochs // FIRST_PART
    return None if trial.candidate.is_whole or not first else first
