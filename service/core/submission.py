"""Accepting a job: check what only the whole spec can show, fill what was left open, store it, then send the hint."""

import secrets
from dataclasses import dataclass

from service.core import datasets
from service.core.errors import Fault, Invalid, NotFound
from service.core.jobs import Job
from service.core.plan import Plan, plan
from service.core.queue import HintQueue
from service.core.spec import JobSpec, contradictions
from service.core.store import Store


@dataclass(frozen=True)
class Submission:
    """Takes specs in. `max_parameters` bounds the size of a model."""

    store: Store
    queue: HintQueue
    max_parameters: int

    def plan(self, spec: JobSpec) -> Plan:
        """What the job would be, without storing anything. Raises Invalid with every fault."""
        faults = list(contradictions(spec))
        try:
            dataset = datasets.find(spec.dataset.id)
        except NotFound as error:
            faults.append(Fault("/dataset/id", str(error), ", ".join(datasets.BUILT_IN)))
        if faults:
            raise Invalid(faults)
        return plan(spec.filled(secrets.randbits(32)), dataset, self.max_parameters)

    def submit(self, tenant: str, spec: JobSpec) -> Job:
        """Store the job, then tell the workers: once this returns, it will be run whatever happens to the hint."""
        job = self.store.submit(tenant, self.plan(spec).spec)
        if not self.queue.send(job.id):
            self.store.forget_hints(job.id)
        return job
