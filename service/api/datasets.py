"""The resource /v1/datasets."""

from typing import Any

from service.api.blueprint import Blueprint
from service.core import datasets
from service.schemas.datasets import DatasetListSchema, DatasetSchema

blueprint = Blueprint("datasets", __name__, url_prefix="/v1/datasets", description="What can be trained on")


@blueprint.route("")
@blueprint.response(200, DatasetListSchema)
def all_datasets() -> Any:
    """List the data sets"""
    return {"data": list(datasets.BUILT_IN.values())}


@blueprint.route("/<dataset_id>")
@blueprint.response(200, DatasetSchema)
def dataset(dataset_id: str) -> Any:
    """Look at a data set"""
    return datasets.find(dataset_id)
