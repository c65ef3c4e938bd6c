"""Accepting a job: check what only the whole spec can show, fill what was left open, store it, then send the hint."""

import logging
import secrets
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from service.core import datasets
from service.core.errors import Fault, Invalid, NotFound
from service.core.jobs import Job
from service.core.plan import Limits, Plan, plan
from service.core.queue import HintQueue
from service.core.spec import JobSpec, contradictions
from service.core.store import IdempotencyKey, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """Takes specs in, up to the limits."""

    store: Store
    queue: HintQueue
    limits: Limits

    def faults(self, spec: JobSpec) -> tuple[Fault, ...]:
        """Everything wrong with a spec whose single values are right."""
        found = list(contradictions(spec))
        try:
            plan(spec, datasets.find(spec.dataset.id), self.limits)
        except NotFound as error:
            found.append(Fault("/dataset/id", str(error), ", ".join(datasets.BUILT_IN)))
        except Invalid as error:
            found.extend(error.faults)
        return tuple(found)

    def plan(self, spec: JobSpec) -> Plan:
        """What the job would be, without storing anything. Raises Invalid with every fault."""
        if found := self.faults(spec):
            raise Invalid(found)
        return plan(spec.filled(secrets.randbits(32)), datasets.find(spec.dataset.id), self.limits)

    def submit(self, tenant: str, spec: JobSpec, key: IdempotencyKey | None = None) -> tuple[Job, bool]:
        """Store the job, then tell the workers: once it is stored, it will be run whatever happens to the hint.

        Returns it and whether it is new. Raises Invalid, and KeyReused.
        """
        if key and (known := self.store.known(tenant, key)):
            return known, False
        job, is_new = self.store.submit(tenant, self.plan(spec).spec, key)
        if is_new:
            self.hint(job)
        return job, is_new

    def hint(self, job: Job) -> None:
        """Tell the workers that a job has been queued."""
        if not self.queue.send(job.id):
            try:
                self.store.forget_hints(job.id)
            except SQLAlchemyError as error:  # the dispatcher will find the hint too old
                log.warning("the hint of %s is late: %s", job.id, error)
