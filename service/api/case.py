"""The diagnosis of a job, for the views that return it and those that draw it."""

from collections.abc import Sequence

from service.core.diagnosis import Diagnosis, RunContext, diagnose
from service.core.diagnosis.patches import Family
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.core.records.lineage import Relative
from service.services import services


def diagnose_job(job: Job, epochs: Sequence[Epoch]) -> Diagnosis:
    """The diagnosis of a job from all of its epochs; final when the job has ended."""
    stop_reason = (job.stop_reason or job.status) if job.is_terminal else None
    return diagnose(epochs, case_of(job), job.facts, stop_reason, services().submission.limits)


def case_of(job: Job) -> RunContext:
    """The input of the advice: the spec of a job, the known facts about its data, and what its family tried."""
    contents = services().submission.contents(job.tenant, job.spec.dataset.id)
    return RunContext(job.spec, contents, job.facts, job.stop_reason, _family(job))


def _family(job: Job) -> Family:
    """What the forks that led to a job changed, and what cures did to the job and its ancestors."""
    kin = {each.id: each for each in services().store.queries.lineage(job.tenant, job.id)}
    line = list(_line(job.id, kin))
    ancestors, _ = services().store.queries.get_many(job.tenant, line[1:]) if line[1:] else ((), {})
    changes: dict[str, float] = {}
    for fork in kin.values():
        parent = kin.get(fork.parent or "")
        if parent is None or parent.id not in line or fork.advice is None:
            continue
        if fork.best_val_loss is not None and parent.best_val_loss is not None:
            changes[fork.advice] = fork.best_val_loss - parent.best_val_loss
    return Family(tuple(ancestor.spec for ancestor in ancestors), changes)


def _line(job_id: str, kin: dict[str, Relative]) -> Sequence[str]:
    """The job and its ancestors, the nearest first."""
    line = [job_id]
    while (parent := kin[line[-1]].parent) in kin:
        line.append(str(parent))
    return line
