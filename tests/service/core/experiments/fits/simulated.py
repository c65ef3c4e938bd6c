"""Fits with simulated runs: a run takes time and has a value, and nothing is trained."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from service.core.experiments.fits.decision import BeginFinals, End, Promote, Repeat, Start, Wait
from service.core.experiments.fits.lengths import epochs_of, length, pause_of
from service.core.experiments.fits.sampler import sample
from service.core.experiments.fits.search import decide
from service.core.experiments.fits.state import FitState
from service.core.records.fit import Run, Trial
from service.core.records.fit_request import Candidate, FitRequest, Range, Source
from service.core.spec import Dataset, JobSpec

SPACE = {"/optimizer/lr": Range(1e-4, 1e-1, log=True), "/batch_size": Range(choices=(32, 64))}
Value = Callable[[Trial, int, bool], float | None]  # of a trial, a repeat, and whether it is the first part
Seconds = Callable[[Trial, int], float]  # of an epoch


def request(**given: object) -> FitRequest:
    usual: dict[str, object] = {
        "spec": JobSpec(Dataset("digits"), seed=1),
        "minutes": None,
        "jobs": None,
        "objective": "val_loss",
        "seeds": 3,
        "folds": None,
        "space": SPACE,
        "recipes": (),
        "slots": 2,
    }
    return FitRequest(**{**usual, **given})  # type: ignore[arg-type]


@dataclass
class Simulation:
    """Runs a fit to its end. `seconds` gives the time of an epoch, `proves` whether first trainings prove a gain."""

    request: FitRequest
    value: Value
    seconds: Seconds = lambda trial, repeat: 0.1
    cures: Callable[[int], Sequence[Candidate]] = lambda trial: ()
    samples: bool = False
    proves: Callable[[FitState], bool] = lambda state: False
    state: FitState = field(init=False)
    time: float = 0.0
    decisions: list[object] = field(default_factory=list)
    _under_way: list[tuple[float, int]] = field(default_factory=list)

    def run(self) -> "Simulation":
        self.state = FitState(self.request, untried=self.request.recipes)
        while True:
            decision = decide(self._now(), self.cures, self._sample)
            if isinstance(decision, Wait):
                if not self._finish_one():
                    raise AssertionError("the fit waits for nothing")
                if (self._now().left or 1) <= 0:
                    return self
                continue
            self.decisions.append(decision)
            if isinstance(decision, End):
                return self
            self._apply(decision)

    def _now(self) -> FitState:
        minutes = self.request.minutes
        self.state = replace(self.state, left=None if minutes is None else 60 * minutes - self.time)
        if self.state.length is None:
            self.state = replace(self.state, length=length(self.request, None, self.state.runs))
        self.state = replace(self.state, has_proof=self.proves(self.state))
        return self.state

    def _apply(self, decision: object) -> None:
        match decision:
            case Start(candidate):
                number = len(self.state.trials) + 1
                trial = Trial(number, candidate, epochs_of(self.request, candidate, self.state.length))
                untried = tuple(each for each in self.state.untried if each != candidate)
                self.state = replace(self.state, trials=(*self.state.trials, trial), untried=untried)
                self._begin(trial, 0, pause_of(trial, self.state.length))
            case Promote(number, _):
                self._begin(self.state.trials[number - 1], 0, None)
            case Repeat(number, repeat, _):
                self._begin(self.state.trials[number - 1], repeat, None)
            case BeginFinals(finals, _):
                self.state = replace(self.state, finals=finals)

    def _begin(self, trial: Trial, repeat: int, until: int | None) -> None:
        """Start a run as soon as a slot is free."""
        run = Run(trial.number, repeat, until is not None, is_done=False)
        busy = sorted(end for end, _ in self._under_way)[-self.request.slots :]
        start = max(self.time, busy[0] if len(busy) == self.request.slots else 0.0)
        done = max(
            (each.epochs for each in self.state.runs if (each.trial, each.repeat) == (trial.number, repeat)), default=0
        )
        seconds = ((until or trial.epochs) - done) * self.seconds(trial, repeat)
        heapq.heappush(self._under_way, (start + seconds, len(self.state.runs)))
        self.state = replace(self.state, runs=(*self.state.runs, run))

    def _finish_one(self) -> bool:
        if not self._under_way:
            return False
        self.time, place = heapq.heappop(self._under_way)
        run = self.state.runs[place]
        trial = self.state.trials[run.trial - 1]
        value = self.value(trial, run.repeat, run.is_first_part)
        epochs = (pause_of(trial, self.state.length) or trial.epochs) if run.is_first_part else trial.epochs
        done = replace(run, is_done=True, value=value, epochs=epochs, seconds=epochs * self.seconds(trial, run.repeat))
        self.state = replace(self.state, runs=(*self.state.runs[:place], done, *self.state.runs[place + 1 :]))
        return True

    def _sample(self, known: Sequence[Run]) -> Candidate:
        if self.samples:
            patch = sample(self.request.spec, self.request.space, self.state.trials, known, len(self.decisions))
        else:
            patch = [{"op": "replace", "path": "/optimizer/lr", "value": 1e-3 * (1 + len(self.state.trials))}]
        return Candidate(tuple(patch), Source.SAMPLER, "drawn")
