"""Predictions of a job or of a cross-validation with what their evaluation needs: classes and addresses of images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.core.errors import Conflict, Fault, Invalid, NotFound
from service.core.evaluation.evaluation import Evaluation
from service.core.records.artifact_names import LABELS, PREDICTIONS
from service.core.records.job import Job
from service.core.storage import Artifact
from service.http.auth import tenant
from service.http.links import local
from service.predictions import Source
from service.schemas.fields import not_known
from service.services import services

MOST_ALLOWED = 50  # classes that an error message lists


@dataclass(frozen=True)
class Evaluated:
    """Predictions for images of a data set, with a title. `has_images` says whether the data set still exists."""

    title: str
    dataset: str
    predictions: Source
    classes: tuple[str, ...]
    has_images: bool

    @property
    def parts(self) -> list[str]:
        """The parts of which there are images."""
        return services().predictions.parts(self.predictions)

    def part(self, asked: str | None) -> str:
        """The part that was asked for, by default the test images if there are any."""
        return asked or self.parts[-1]

    def evaluation(self, part: str) -> Evaluation:
        """Raises NotFound if the part has no image, and StorageError."""
        return services().predictions.evaluate(self.predictions, part)

    def image(self, index: int) -> str | None:
        """The address of an image of the data set, None if the set is gone."""
        return local(f"/v1/datasets/{self.dataset}/images/{index}") if self.has_images else None

    def cell(self, label: str | None, guess: str | None) -> dict[str, int | None]:
        """The places of the classes `label` and `guess`. Raises Invalid for names that no class has."""
        return {name: self._place(name, given) for name, given in (("label", label), ("guess", guess))}

    def _place(self, name: str, given: str | None) -> int | None:
        if given is None:
            return None
        if given not in self.classes:
            some = ", ".join(self.classes[:MOST_ALLOWED])
            more = ", …" if len(self.classes) > MOST_ALLOWED else ""
            raise Invalid([Fault(f"/{name}", not_known(given, self.classes), some + more)])
        return self.classes.index(given)


def evaluated(title: str, dataset: str, predictions: Source, labels: Artifact | None) -> Evaluated:
    """Predictions with the names of the classes, from the data set or, if it is gone, from labels.json of a job.

    Raises NotFound without names, and StorageError.
    """
    contents = services().submission.contents(tenant(), dataset)
    if contents is not None:
        return Evaluated(title, dataset, predictions, contents.classes, has_images=True)
    if labels is None:
        raise NotFound("the data set is gone, and with it the names of the classes")
    with services().storage.open(labels.key) as file:
        return Evaluated(title, dataset, predictions, tuple(json.load(file)["classes"]), has_images=False)


def evaluated_job(job: Job, published: Mapping[str, Artifact]) -> Evaluated:
    """The published predictions of a job. Raises NotFound and StorageError as above."""
    title, dataset = job.spec.name or job.id, job.spec.dataset.id
    return evaluated(title, dataset, published[PREDICTIONS], published.get(LABELS))


def published_predictions(job_id: str) -> tuple[Job, Mapping[str, Artifact]]:
    """The job and its artifacts by name, predictions.npz among them. Raises NotFound, and Conflict without it."""
    job = services().store.queries.get(tenant(), job_id)
    published = services().store.queries.artifacts(tenant(), job_id)
    return job, require_predictions(job, published)


def require_predictions(job: Job, published: Sequence[Artifact]) -> Mapping[str, Artifact]:
    """The artifacts of a job by name. Raises Conflict, which says why there are no predictions, without them."""
    by_name = {artifact.name: artifact for artifact in published}
    if PREDICTIONS in by_name:
        return by_name
    if not job.is_terminal:
        raise Conflict(f"the job is {job.status}; it has predictions once it has ended")
    reason = (
        "no epoch ended with a finite loss"
        if job.best is None
        else "it was trained before release 0.2.0, or it was killed"
    )
    raise Conflict(f"the job has published no {PREDICTIONS}: {reason}")
