"""The cures that the diagnosis of a trial advises, as changes of the base."""

from functools import lru_cache

from service.api.case import diagnose_job
from service.core.diagnosis import Advice
from service.core.errors import NotFound
from service.core.records.fit import Trial
from service.core.records.fit_request import Candidate, Source
from service.services import services

NOT_CHANGED = ("/dataset", "/seed", "/early_stopping", "/max_seconds")  # parts of a spec that no trial changes
MOST_KEPT = 1000  # diagnoses of ended jobs


def cures_of(tenant: str, job_id: str, trial: Trial) -> tuple[Candidate, ...]:
    """The cures of an ended job of the trial, the most promising first; none if the job was deleted."""
    return tuple(
        Candidate(
            patch=(*trial.candidate.patch, *advice.patch),
            source=Source.CURE,
            why=f"{advice.title}, for trial {trial.number} ({advice.verdict}). {advice.reason}",
            of=trial.number,
            cure=advice.id,
        )
        for advice in _advice(tenant, job_id)
        if advice.patch and not any(step["path"].startswith(NOT_CHANGED) for step in advice.patch)
    )


@lru_cache(MOST_KEPT)
def _advice(tenant: str, job_id: str) -> tuple[Advice, ...]:
    try:
        return diagnose_job(*services().store.queries.history(tenant, job_id)).advice
    except NotFound:
        return ()
