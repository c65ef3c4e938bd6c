"""The data sets that a form offers."""

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
    return {one.id: f"{one.id}: {one.name}" if one.id in BUILT_IN else f"{one.name} ({one.id})" for one in trainable()}
