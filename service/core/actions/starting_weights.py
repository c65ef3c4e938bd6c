"""Checks the weights that a spec starts from: they exist, and belong to a network like that of the spec."""

from dataclasses import dataclass

from service.core.errors import Fault, NotFound
from service.core.records.artifact_names import BEST_MODEL
from service.core.records.job import Status
from service.core.spec import JobSpec, Torchvision
from service.core.spec.models import is_same_network, weights_of
from service.core.spec.transfer import IMAGENET
from service.core.sql.jobs.queries import JobQueries
from service.core.sql.weights import WeightsStore

POINTER = "/model/weights"
STEADY = (Status.SUCCEEDED, Status.CANCELLED)  # of jobs whose best model changes no more: a failed job may be retried


@dataclass(frozen=True)
class StartingWeights:
    """The weights of all tenants: uploaded ones, and the best models of jobs."""

    jobs: JobQueries
    uploads: WeightsStore

    def fault(self, tenant: str, spec: JobSpec) -> Fault | None:
        """Why a job of this tenant cannot start from the weights of the spec; None if it can, or names none."""
        source = weights_of(spec.model)
        if source is None or source == IMAGENET:
            return None
        try:
            if source.startswith("job_"):
                return self._of_job(tenant, source, spec)
            return self._of_upload(tenant, source, spec)
        except NotFound as error:
            allowed = "the id of uploaded weights or of a job of yours, imagenet, or null"
            return Fault(POINTER, str(error), allowed)

    def _of_upload(self, tenant: str, source: str, spec: JobSpec) -> Fault | None:
        weights = self.uploads.get(tenant, source)
        if isinstance(spec.model, Torchvision) and spec.model.arch == weights.arch:
            return None
        detail = f"the weights are of {weights.arch}, and the network is {spec.model.arch}"
        return Fault(POINTER, detail, f"arch {weights.arch}, or other weights", ("/model/arch",))

    def _of_job(self, tenant: str, source: str, spec: JobSpec) -> Fault | None:
        job = self.jobs.get(tenant, source)
        if job.status not in STEADY or all(each.name != BEST_MODEL for each in self.jobs.artifacts(tenant, source)):
            detail = f"job {source} is {job.status} and has no best model that stays"
            return Fault(POINTER, detail, "a job that has succeeded, or was cancelled after an epoch")
        if not is_same_network(job.spec.model, spec.model):
            return Fault(POINTER, f"job {source} trained another network", "the network of that job", ("/model",))
        return None
