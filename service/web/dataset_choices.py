"""The data sets that a form offers."""

from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import DatasetStatus
from service.http.auth import tenant
from service.schemas.pages import MAX_PAGE
from service.services import services

DEFAULT_DATASET = "digits"


def dataset_choices() -> dict[str, str]:
    """The data sets that can be trained on, in words by their ids: the own ones before the built-in ones."""
    own = services().catalog.list(tenant(), MAX_PAGE).items
    return {
        **{one.id: f"{one.name} ({one.id})" for one in own if one.status is DatasetStatus.READY},
        **{name: f"{name}: {one.name}" for name, one in BUILT_IN.items()},
    }
