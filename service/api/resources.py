"""The resources of the API. A new resource is added to this list, and nowhere else."""

from service.api import (
    ablations,
    artifacts,
    compare,
    counterfactual,
    dataset_images,
    datasets,
    diagnoses,
    diagnosis,
    evaluation,
    events,
    export,
    history,
    jobs,
    logs,
    predict,
    webhooks,
)

RESOURCES = (
    jobs.blueprint,
    history.blueprint,
    diagnosis.blueprint,
    evaluation.blueprint,
    diagnoses.blueprint,
    counterfactual.blueprint,
    events.blueprint,
    logs.blueprint,
    artifacts.blueprint,
    export.blueprint,
    predict.blueprint,
    compare.blueprint,
    ablations.blueprint,
    datasets.blueprint,
    dataset_images.blueprint,
    webhooks.blueprint,
)
