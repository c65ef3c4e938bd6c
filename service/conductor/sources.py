"""Where the new changes of a fit come from, for one decision."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from service.conductor.cures import cures_of
from service.core.experiments.fits.progress import job_of
from service.core.experiments.fits.sampler import sample
from service.core.experiments.fits.starts import resets
from service.core.experiments.fits.state import FitState
from service.core.records.fit import Fit, Run
from service.core.records.fit_request import Candidate, Source

UNKNOWN = 0.5  # the order of a cure that no earlier fit has tried


@dataclass(frozen=True)
class Cures:
    """The untried cures of a trial."""

    fit: Fit
    state: FitState

    def __call__(self, trial: int) -> tuple[Candidate, ...]:
        tried = {
            (step.data["candidate"]["of"], step.data["candidate"]["cure"])
            for step in self.fit.steps
            if "candidate" in step.data
        }
        own = cures_of(self.fit.tenant, job_of(self.fit, trial), self.state.trials[trial - 1])
        untried = (cure for cure in own if (cure.of, cure.cure) not in tried)
        order = self.fit.request.cures
        return tuple(sorted(untried, key=lambda cure: order.get(cure.cure or "", UNKNOWN)))


@dataclass(frozen=True)
class Sample:
    """A new change from the space. Each decision of a fit draws with a seed of its own."""

    fit: Fit
    state: FitState

    def __call__(self, known: Sequence[Run]) -> Candidate:
        request, number = self.fit.request, len(self.fit.steps)
        seed = zlib.crc32(f"{request.spec.seed} {number}".encode())
        patch = sample(request.spec, request.space, self.state.trials, known, seed)
        return Candidate((*resets(request.spec), *patch), Source.SAMPLER, "similar to earlier good trials")
