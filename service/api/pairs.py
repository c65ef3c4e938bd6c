"""The differences of jobs image by image, where their published predictions are of the same images."""

import logging
from collections.abc import Sequence

from service.core.errors import StorageError
from service.core.evaluation.by_image import ByImage, by_image
from service.core.evaluation.paired import Paired, paired
from service.core.experiments.conclusions import Conclusions
from service.core.experiments.difference import Pairs, PartDifference, of_pair
from service.core.experiments.statistics import ERROR_RATE
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.job import Job
from service.core.records.lineage import Relative
from service.core.storage import Artifact
from service.services import services

MOST_FORKS = 100  # of a family whose predictions are read

log = logging.getLogger(__name__)


def pairs_with_first(jobs: Sequence[Job]) -> dict[str, Pairs]:
    """By id, the differences of jobs of one tenant from the first of them."""
    first, *others = jobs
    comparable = [job.id for job in others if job.spec.dataset.id == first.spec.dataset.id]
    found = services().store.queries.published(first.tenant, [first.id, *comparable], PREDICTIONS)
    if first.id not in found:
        return {}
    return {job_id: pairs_of(found[first.id], found[job_id]) for job_id in comparable if job_id in found}


def pairs_with_parents(tenant: str, family: Sequence[Relative]) -> dict[str, PartDifference]:
    """By id, the difference of each of the newest MOST_FORKS forks of a family from its parent on the same validation
    images.
    """
    datasets = {kin.id: kin.dataset for kin in family}
    forks = [kin for kin in family if kin.parent and datasets.get(kin.parent) == kin.dataset][-MOST_FORKS:]
    ids = {job_id for kin in forks for job_id in (kin.id, kin.parent) if job_id}
    found = services().store.queries.published(tenant, sorted(ids), PREDICTIONS)
    differences = {}
    for kin in forks:
        if (
            kin.parent in found
            and kin.id in found
            and (pair := _paired(found[kin.parent], found[kin.id], "validation"))
        ):
            differences[kin.id] = of_pair(pair)
    return differences


def effects_by_image(tenant: str, conclusions: Conclusions) -> dict[str, ByImage]:
    """By the name of the arm, its effect image by image over the seeds under which it and the base have a result, where
    all of these jobs have predictions.
    """
    base, *others = conclusions.arms
    jobs = [run.id for arm in conclusions.arms for run in arm.runs if run.seed in arm.losses]
    found = services().store.queries.published(tenant, jobs, PREDICTIONS)
    of_base = {run.seed: found.get(run.id) for run in base.runs}
    effects = {}
    for arm in others:
        seeds = base.losses.keys() & arm.losses.keys()
        pairs = [(of_base.get(run.seed), found.get(run.id)) for run in arm.runs if run.seed in seeds]
        if effect := _by_image(pairs, 1 - ERROR_RATE / len(others)):
            effects[arm.arm.name] = effect
    return effects


def _by_image(pairs: Sequence[tuple[Artifact | None, Artifact | None]], level: float) -> ByImage | None:
    known = [(first, second) for first, second in pairs if first and second]
    if len(known) < len(pairs):
        return None
    reader = services().predictions
    try:
        read = [
            (reader.outcomes(first, "validation"), reader.outcomes(second, "validation")) for first, second in known
        ]
    except StorageError as error:  # the recorded losses can be compared without the files
        log.warning("predictions cannot be compared: %s", error)
        return None
    return by_image(read, level)


def pairs_of(first: Artifact, second: Artifact) -> Pairs:
    """The differences of two jobs on one data set, from their predictions."""
    return Pairs(_paired(first, second, "validation"), _paired(first, second, "test"))


def _paired(first: Artifact, second: Artifact, part: str) -> Paired | None:
    reader = services().predictions
    try:
        return paired(reader.outcomes(first, part), reader.outcomes(second, part))
    except StorageError as error:  # the recorded losses can be compared without the files
        log.warning("predictions cannot be compared: %s", error)
        return None
