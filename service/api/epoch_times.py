"""The time of an epoch of jobs that are not trained yet, by the newest jobs of the tenant and the live workers."""

from collections.abc import Mapping
from contextlib import suppress

from service.core.errors import Invalid
from service.core.experiments.epoch_time import EpochTime, Timed, epoch_time
from service.core.experiments.recipes import DataFacts
from service.core.records.dataset import Contents
from service.core.records.passes import TRAINED
from service.core.records.plan import Plan
from service.core.spec import Cnn, Dataset, JobSpec, Mlp
from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.features import keeps_features
from service.http.auth import tenant
from service.services import services

MOST_TIMED = 10  # earlier jobs that a time is estimated from


def planned_time(plan: Plan, contents: Contents) -> EpochTime | None:
    """The time of an epoch of a planned job on a data set with these contents; None where nothing is known."""
    dataset = plan.spec.dataset
    images = DataFacts.of(contents, dataset).images
    past = _past(dataset.id, on_features=keeps_features(plan.spec, 1))
    return epoch_time(plan.work, images, past, is_on_gpu=on_gpu(plan.spec.device))


def times(dataset_id: str, contents: Contents) -> Mapping[str, float]:
    """Seconds of an epoch of a data set by network, for those whose time is known: of own networks with their default
    sizes.
    """
    past, is_on_gpu = _past(dataset_id, on_features=False), on_gpu("auto")
    images = DataFacts.of(contents, Dataset(dataset_id)).images
    _, height, width = contents.shape
    work = {
        name: TRAINED * known.multiplications(height, width)
        for name, known in ARCHITECTURES.items()
        if min(height, width) >= known.least_side
    }
    for model in (Cnn(), Mlp()):
        spec = JobSpec(Dataset(dataset_id), model=model)
        with suppress(Invalid):  # its layers do not fit the images
            work[model.arch] = services().submission.plan(tenant(), spec).work
    found = {name: epoch_time(count, images, past, is_on_gpu=is_on_gpu) for name, count in work.items()}
    return {name: time.seconds for name, time in found.items() if time}


def _past(dataset_id: str, *, on_features: bool) -> list[Timed]:
    """The newest jobs on a data set, or on any if there are none. An epoch on kept features is many times as fast as
    one on images, so only jobs of one kind are compared.
    """
    return _timed(dataset_id, on_features=on_features) or _timed(None, on_features=on_features)


def _timed(dataset_id: str | None, *, on_features: bool) -> list[Timed]:
    past: list[Timed] = []
    for known, seconds in services().store.queries.epoch_seconds(tenant(), dataset_id, MOST_TIMED):
        if keeps_features(known, 1) != on_features:
            continue
        if contents := services().submission.contents(tenant(), known.dataset.id):
            with suppress(Invalid):  # limits may have changed since
                work = services().submission.plan(tenant(), known).work
                images = DataFacts.of(contents, known.dataset).images
                past.append(Timed(work, images, seconds, is_alike=dataset_id is not None))
    return past


def on_gpu(device: str) -> bool:
    """Whether a live worker trains on a GPU with this device of the spec."""
    alive = services().registry.live_workers(within=services().settings.lease_seconds)
    return any(worker.runs_on_gpu(device) for worker in alive.values())
