"""Accepts a job: checks the whole spec, fills in its open values, stores the job, then sends the hint."""

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

from service.core.actions.starting_weights import StartingWeights
from service.core.broker.hints import HintQueue
from service.core.errors import DatabaseError, Fault, Invalid, NotFound
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import Contents, DatasetStatus
from service.core.records.job import Job
from service.core.records.plan import Limits, Plan, plan
from service.core.records.submission import NOWHERE, IdempotencyKey, NewJob, Origin
from service.core.spec import JobSpec, contradictions
from service.core.sql.datasets import DatasetStore
from service.core.sql.jobs.store import Store
from service.core.telemetry.correlation import current
from service.core.text.hosts import Network
from service.core.webhooks.addresses import fault

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobSubmitter:
    """Accepts specs that stay within the limits."""

    store: Store
    catalog: DatasetStore
    queue: HintQueue
    limits: Limits
    weights: StartingWeights
    webhook_networks: tuple[Network, ...] = ()

    def faults(self, tenant: str, spec: JobSpec) -> tuple[Fault, ...]:
        """Every fault of a spec whose single values are valid."""
        return self._planned(tenant, spec)[1]

    def plan(self, tenant: str, spec: JobSpec) -> Plan:
        """Plan the job without storing anything. Raises Invalid with every fault."""
        planned, faults = self._planned(tenant, spec)
        if faults or planned is None:
            raise Invalid(faults)
        return planned

    def submit(
        self, tenant: str, spec: JobSpec, key: IdempotencyKey | None = None, origin: Origin = NOWHERE
    ) -> tuple[Job, bool]:
        """Store the job, then send a hint: a stored job runs even if its hint is lost.

        Returns the job and whether it is new. Raises Invalid and KeyReused.
        """
        if key and (known := self.store.actions.submitted_with(tenant, key)):
            return known, False
        new = NewJob.planned(self.plan(tenant, spec), from_request(origin))
        job, is_new = self.store.actions.submit(tenant, new, key)
        if is_new:
            self.hint(job)
        return job, is_new

    def resume(self, tenant: str, job_id: str, gpus: int | None) -> tuple[Job, bool]:
        """Queue a paused job again, on `gpus` processes (None: as many as before).

        Raises Invalid, NotFound and Conflict.
        """
        return self.store.actions.resume(tenant, job_id, self._replanned(tenant, job_id, gpus))

    def retry(self, tenant: str, job_id: str, gpus: int | None) -> tuple[Job, bool]:
        """Queue a failed job again, on `gpus` processes (None: as many as before).

        Raises Invalid, NotFound and Conflict.
        """
        return self.store.actions.retry(tenant, job_id, self._replanned(tenant, job_id, gpus))

    def _replanned(self, tenant: str, job_id: str, gpus: int | None) -> Plan | None:
        """The plan of the job on `gpus` processes, None if their number stays."""
        if gpus is None:
            return None
        return self.plan(tenant, replace(self.store.queries.get(tenant, job_id).spec, gpus=gpus))

    def hint(self, job: Job) -> None:
        """Send the hint of a queued job."""
        self.hint_all([job.id])

    def hint_all(self, job_ids: Iterable[str]) -> None:
        """Send the hints of queued jobs."""
        unsent = [job_id for job_id in job_ids if not self.queue.send(job_id)]
        if unsent:
            try:
                self.store.hints.forget_hints(*unsent)
            except DatabaseError as error:  # the dispatcher will find the hints too old
                log.warning("hints are late, the first of %s: %s", unsent[0], error)

    def contents(self, tenant: str, dataset_id: str) -> Contents | None:
        """The contents of the tenant's data set, None if it cannot be trained on."""
        try:
            return self._contents(tenant, dataset_id)
        except Invalid:
            return None

    def _planned(self, tenant: str, spec: JobSpec) -> tuple[Plan | None, tuple[Fault, ...]]:
        """The plan of the effective spec, None if there is none, and every fault of the spec."""
        faults, planned = list(contradictions(spec)), None
        if misfit := self.weights.fault(tenant, spec):
            faults.append(misfit)
        if spec.webhook and (refused := fault(spec.webhook.url, self.webhook_networks, "/webhook/url")):
            faults.append(refused)
        try:
            contents = self._contents(tenant, spec.dataset.id)
            planned = plan(_effective(spec, contents), contents, self.limits)
        except Invalid as error:
            faults.extend(error.faults)
        return planned, tuple(faults)

    def _contents(self, tenant: str, dataset_id: str) -> Contents:
        """The contents of the tenant's data set. Raises Invalid if it cannot be trained on."""
        try:
            dataset = self.catalog.get(tenant, dataset_id)
        except NotFound as error:
            allowed = f"{', '.join(BUILT_IN)}, or the id of a data set of yours"
            raise Invalid([Fault("/dataset/id", str(error), allowed)]) from error
        if dataset.contents is None or dataset.status is not DatasetStatus.READY:
            detail = f"the data set is {dataset.status}, not ready"
            raise Invalid([Fault("/dataset/id", detail, "a data set whose status is ready")])
        return dataset.contents


def from_request(origin: Origin = NOWHERE) -> Origin:
    """The origin together with the request at hand, whose ids are in logs and traces."""
    request = current()
    return replace(origin, request_id=request.request_id, traceparent=request.traceparent)


def _effective(spec: JobSpec, contents: Contents) -> JobSpec:
    """The spec with a random seed, unless it has one, and with an image size for images of several sizes."""
    if spec.dataset.image_size is None and not contents.is_uniform:
        spec = replace(spec, dataset=replace(spec.dataset, image_size=contents.shape[1]))
    return spec.filled(secrets.randbits(32))
