"""The data sets that a form offers."""

from collections import Counter

from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import Dataset, DatasetStatus
from service.http.auth import tenant
from service.schemas.pages import MAX_PAGE
from service.services import services

DEFAULT_DATASET = "digits"


def trainable() -> tuple[Dataset, ...]:
    """The data sets that can be trained on: the own ones before the built-in ones."""
    own = services().catalog.list(tenant(), MAX_PAGE).items
    return (*(one for one in own if one.status is DatasetStatus.READY), *BUILT_IN.values())


def dataset_choices() -> dict[str, str]:
    """The data sets that can be trained on, in words by their ids."""
    found = trainable()
    uses = Counter(one.name for one in found)
    return {one.id: _words(one, is_alone=uses[one.name] == 1) for one in found}


def _words(dataset: Dataset, *, is_alone: bool) -> str:
    if dataset.id in BUILT_IN:
        return f"{dataset.id}: {dataset.name}"
    return dataset.name if is_alone else f"{dataset.name} ({dataset.id})"
