"""Makes the decisions of running fits.

Safe in any number of processes: a fit is conducted under a lease, each decision is one transaction with its job, and
the state is read anew from SQL for each of them. A process that dies leaves nothing behind but its lease.
"""

import logging
import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from flask import Flask

from service.api.cancel import cancel_all
from service.conductor.conclusion import conclude, has_proof, untested
from service.conductor.sources import Cures, Sample
from service.core.errors import Conflict, Invalid, LeaseLost, NotFound, QuotaExceeded
from service.core.experiments.fits.decision import Act, BeginFinals, End, Promote, Repeat, Start, Wait
from service.core.experiments.fits.learned import lessons_of
from service.core.experiments.fits.lengths import epochs_of, length, pause_of
from service.core.experiments.fits.progress import job_of, outcome_of, state_of
from service.core.experiments.fits.search import decide
from service.core.experiments.fits.state import FitState
from service.core.experiments.fits.trial_spec import of_trial, trial_spec
from service.core.records.fit import BASE, Fit, StepKind, Trial
from service.core.records.fit_request import Candidate
from service.core.records.job import TERMINAL, Job, Status
from service.core.records.submission import NewJob, Origin
from service.core.sql.fit_leases import Conducted, FitLease, NewStep
from service.core.system.resilience import attempt
from service.core.text import counted
from service.services import services

TURN_SECONDS = 0.25  # between two looks at the running fits
LEASE_SECONDS = 15.0
SECONDS_TO_END = 300.0  # the predictions of all leaders are read
AT_ONCE = 8  # decisions in a row about one fit, before the next fit has its turn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pause:
    """How long a fit has nothing to decide: until the time `until`, unless it changes after `version`, or one of the
    `jobs` comes to rest. Times are monotonic.
    """

    version: int
    jobs: tuple[str, ...]
    until: float


NO_PAUSE = Pause(0, (), 0.0)


@dataclass(frozen=True)
class Held:
    """A fit that this process conducts: the time of the last renewal of its lease, and its pause."""

    renewed: float
    pause: Pause = NO_PAUSE


@dataclass(frozen=True)
class Conductor:
    """Run by every API process."""

    app: Flask
    _held: dict[FitLease, Held] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Conduct fits until stopped; an unavailable database is tried again."""
        with self.app.app_context():
            while not stop.wait(TURN_SECONDS):
                attempt(self.turn, "conduct fits")

    def turn(self) -> None:
        """Take over the fits that no process conducts, and go on with each of those held."""
        started = time.monotonic()
        while lease := services().fit_leases.claim(LEASE_SECONDS):
            self._held[lease] = Held(started)
        for lease in tuple(self._held):
            attempt(partial(self._go_on, lease), f"conduct {lease.fit_id}")

    def _go_on(self, lease: FitLease) -> None:
        """Go on with one fit. After an error it is left to whoever claims it once its lease has run out."""
        held = self._held.pop(lease)
        started = time.monotonic()
        with suppress(LeaseLost):  # also once the fit has ended
            if started - held.renewed > LEASE_SECONDS / 3:
                services().fit_leases.renew(lease, LEASE_SECONDS)
                held = replace(held, renewed=started)
            if started >= held.pause.until or services().fit_leases.has_news(
                lease, held.pause.version, held.pause.jobs
            ):
                held = replace(held, pause=conduct(lease))
            self._held[lease] = held


def conduct(lease: FitLease) -> Pause:
    """Bring a fit forward until it must wait. Raises LeaseLost."""
    for _ in range(AT_ONCE):
        if pause := _go_on(lease):
            return pause
    return NO_PAUSE


def _go_on(lease: FitLease) -> Pause | None:
    """Bring a fit forward by one step; None if there may be another one at once. Raises LeaseLost."""
    read = _settled(lease)
    fit, state = read.fit, state_of(read.fit, read.time)
    if fit.cancel_requested or state.is_over:
        return _stop(lease, read)
    if state.length is None and (usual := length(fit.request, read.open_jobs.get(BASE), state.runs)):
        pauses = "pause after the first part" if usual.pauses else "do not pause"
        why = f"trials have {counted(usual.epochs, 'epoch')} and {pauses}"
        return _advance(lease, fit, NewStep(StepKind.LENGTH, {"why": why, **asdict(usual)}))
    state = replace(state, has_proof=has_proof(fit, state))
    decision = decide(state, Cures(fit, state), Sample(fit, state))
    return _pause(read, state) if isinstance(decision, Wait) else _apply(lease, read, state, decision)


def _pause(read: Conducted, state: FitState) -> Pause:
    """The pause of a fit that waits for its open jobs, at most until its time is over."""
    if state.length is None or read.fit.started_at is None:  # each epoch of the base counts
        return NO_PAUSE
    return _until_news(read, math.inf if state.left is None else state.left)


def _until_news(read: Conducted, seconds: float = math.inf) -> Pause:
    """A pause of at most these seconds, until the fit changes or one of its open jobs comes to rest."""
    return Pause(read.fit.version, tuple(job.id for job in read.open_jobs.values() if job), time.monotonic() + seconds)


def _settled(lease: FitLease) -> Conducted:
    """The fit, after the outcomes of all runs that are done have been recorded."""
    leases = services().fit_leases
    read = leases.read(lease)
    begun = [job.started_at for job in read.open_jobs.values() if job and job.started_at]
    if read.fit.started_at is None and begun:
        leases.begin(lease, min(begun))
        read = leases.read(lease)
    until = {step.number: step.until_epoch for step in read.fit.steps}
    outcomes = {
        number: outcome_of(read.fit, job, until[number], read.time)
        for number, job in read.open_jobs.items()
        if job is None or job.is_at_rest
    }
    if not outcomes:
        return read
    leases.settle(lease, outcomes)
    steps = tuple(replace(step, outcome=outcomes.get(step.number, step.outcome)) for step in read.fit.steps)
    still_open = {number: job for number, job in read.open_jobs.items() if number not in outcomes}
    return replace(read, fit=replace(read.fit, steps=steps, version=read.fit.version + 1), open_jobs=still_open)


def _apply(lease: FitLease, read: Conducted, state: FitState, decision: Act) -> Pause | None:
    fit = read.fit
    match decision:
        case Start(candidate):
            return _start(lease, fit, state, candidate)
        case Promote(trial, why):
            _promote(lease, fit, trial, why)
            return None
        case Repeat(trial, number, why):
            try:
                job = _planned(fit, state.trials[trial - 1], number)
            except Invalid:  # the data set is gone
                return _stop(lease, read)
            return _advance(lease, fit, NewStep(StepKind.REPEAT, {"why": why, "repeat": number}, trial, job=job))
        case BeginFinals(finals, why):
            _cancel(fit, (Status.PAUSED,))
            cancel_all(fit.tenant, _first_parts(read))
            return _advance(lease, fit, NewStep(StepKind.FINALS, {"why": why, "finals": asdict(finals)}))
        case End():
            return _stop(lease, read)


def _start(lease: FitLease, fit: Fit, state: FitState, candidate: Candidate) -> Pause | None:
    """Start a trial, or record why it cannot be run."""
    stored = {"why": candidate.why, "candidate": asdict(candidate)}
    try:
        trial = Trial(len(state.trials) + 1, candidate, epochs_of(fit.request, candidate, state.length))
        until = pause_of(trial, state.length)
        job = replace(_planned(fit, trial), pause_after=until)
    except Invalid as error:
        why = "; ".join(fault.detail for fault in error.faults)
        return _advance(lease, fit, NewStep(StepKind.REFUSED, {**stored, "why": f"it cannot be run: {why}"}))
    step = NewStep(StepKind.START, {**stored, "epochs": trial.epochs}, trial.number, until, job)
    return _advance(lease, fit, step)


def _promote(lease: FitLease, fit: Fit, trial: int, why: str) -> None:
    """Let a paused trial go on. A trial that its owner has resumed or ended meanwhile is over for the fit."""
    step = NewStep(StepKind.PROMOTE, {"why": why}, trial, resumed=job_of(fit, trial))
    try:
        _store(lease, step)
    except (Conflict, NotFound):
        first = next(each for each in fit.steps if each.kind is StepKind.START and each.trial == trial)
        over = {**(first.outcome or {}), "value": None, "is_over": True, "detail": "its owner resumed or ended it"}
        services().fit_leases.settle(lease, {first.number: over})


def _planned(fit: Fit, trial: Trial, repeat: int = 0) -> NewJob:
    """The job of a trial's training. Raises Invalid."""
    spec = trial_spec(fit.request, trial, repeat)
    again = f" · repeat {repeat}" if repeat else ""
    spec = replace(spec, name=f"{fit.name or fit.id} · trial {trial.number}{again}", labels=fit.labels)
    planned = services().submission.plan(fit.tenant, spec)
    origin = Origin(fit=fit.id, trial=trial.number, patch=trial.candidate.patch or None)
    return of_trial(NewJob.planned(planned, origin), fit.request.slots)


def _advance(lease: FitLease, fit: Fit, step: NewStep) -> Pause | None:
    """Store a step, to be tried again where the queue has no room for its job now, or where the data set is gone."""
    try:
        _store(lease, step)
    except (QuotaExceeded, Conflict, NotFound) as error:
        log.info("%s waits: %s", fit.id, error)
        if isinstance(error, QuotaExceeded):
            _make_room(fit)
        return NO_PAUSE
    return None


def _store(lease: FitLease, step: NewStep) -> None:
    """Store a step and send the hint of its job. Raises what `FitLeases.advance` raises."""
    if job_id := services().fit_leases.advance(lease, step):
        services().submission.hint_all([job_id])


def _make_room(fit: Fit) -> None:
    """End the paused trials, which count as waiting jobs, if nothing else of the fit is under way."""
    alive = [status for _, status in services().fits.jobs_of(fit.tenant, fit.id) if status not in TERMINAL]
    if all(status is Status.PAUSED for status in alive):
        _cancel(fit, (Status.PAUSED,))


def _stop(lease: FitLease, read: Conducted) -> Pause:
    """End the fit once all of its jobs have ended. Those that still train are cancelled; then what is kept is scored on
    the test images, unless the owner has cancelled the fit and does not wait for it.
    """
    fit = read.fit
    is_scoring = any(step.kind is StepKind.TEST and step.outcome is None for step in fit.steps)
    if is_scoring and not fit.cancel_requested:
        return _until_news(read)
    if _cancel(fit, tuple(Status)):
        return NO_PAUSE
    services().fit_leases.renew(lease, SECONDS_TO_END)
    if not fit.cancel_requested and sum(_score(lease, fit, job) for job in untested(fit)):
        services().fit_leases.renew(lease, LEASE_SECONDS)
        return NO_PAUSE
    status, result = conclude(fit)
    services().fit_leases.end(lease, status, result, lessons_of(fit, result))
    log.info("%s %s", fit.id, status)
    return NO_PAUSE


def _score(lease: FitLease, fit: Fit, model: Job) -> bool:
    """Score a model on the test images; whether to wait for it. False if its files or its data set are gone."""
    try:
        planned = services().submission.plan(fit.tenant, replace(model.spec, gpus=1, name=f"{model.spec.name} · test"))
        job = replace(NewJob.planned(planned, Origin(fit=fit.id, trial=model.trial)), scores=model.id)
        why = "the test images are scored once, for what is kept"
        _store(lease, NewStep(StepKind.TEST, {"why": why, "of": model.id}, model.trial, job=job))
    except QuotaExceeded as error:
        log.info("%s waits: %s", fit.id, error)
    except (Invalid, Conflict, NotFound) as error:
        log.warning("%s is not scored on its test images: %s", model.id, error)
        return False
    return True


def _first_parts(read: Conducted) -> list[tuple[str, Status]]:
    """The open jobs that train the first part of a trial, with their statuses."""
    pausing = (step.number for step in read.fit.steps if step.until_epoch is not None)
    return [(job.id, job.status) for number in pausing if (job := read.open_jobs.get(number))]


def _cancel(fit: Fit, statuses: Sequence[Status]) -> bool:
    """Cancel the living jobs of these statuses; whether a job is still alive."""
    fits = services().fits
    cancel_all(fit.tenant, [job for job in fits.jobs_of(fit.tenant, fit.id) if job[1] in statuses])
    return any(status not in TERMINAL for _, status in fits.jobs_of(fit.tenant, fit.id))
