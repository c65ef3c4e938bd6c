"""The resource /v1/datasets."""

import secrets
from typing import Any

from flask import Response, request
from flask.views import MethodView

from service.api.blueprint import Blueprint
from service.api.uploads import LabelFile, received
from service.core.actions.delete import delete_dataset
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import BACKGROUNDS
from service.core.storage import Artifact, discard
from service.http.auth import tenant
from service.http.links import local
from service.rendering import dataset_sheet
from service.schemas.datasets import DatasetListSchema, DatasetSchema, UploadQuerySchema
from service.schemas.pages import PageQuerySchema, cursor
from service.services import services

blueprint = Blueprint("datasets", __name__, url_prefix="/v1/datasets", description="Data sets for training")
CREATED = {"Location": {"description": "the address of the data set", "schema": {"type": "string"}}}
FILE = {"type": "string", "format": "binary"}
MEDIA_TYPES = ("application/zip", "application/x-tar", "application/gzip", "application/x-npz")
FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "description": "name of the data set"},
        "file": FILE,
        "labels": FILE | {"description": "label file: CSV, TSV or JSON lines"},
        "skip_broken": {"type": "boolean", "description": "as in the query"},
        "background": {"type": "string", "enum": list(BACKGROUNDS), "description": "as in the query"},
    },
}
BODY = {
    "required": True,
    "content": {name: {"schema": FILE} for name in MEDIA_TYPES} | {"multipart/form-data": {"schema": FORM}},
}


@blueprint.route("")
class Datasets(MethodView):
    @blueprint.arguments(PageQuerySchema, location="query")
    @blueprint.response(200, DatasetListSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List data sets: your own, newest first, then the built-in ones"""
        page = services().catalog.list(tenant(), **query)
        built_in = () if page.next_seq else BUILT_IN.values()
        return {
            "data": [*page.items, *built_in],
            "has_more": page.next_seq is not None,
            "next_cursor": cursor(page.next_seq),
        }

    @blueprint.arguments(UploadQuerySchema, location="query")
    @blueprint.response(202, DatasetSchema, description="Accepted; a worker reads it next", headers=CREATED)
    @blueprint.doc(requestBody=BODY)
    def post(self, query: dict[str, Any]) -> Any:
        """Upload a data set: class folders in an archive, or arrays in an npz"""
        dataset_id = f"ds_{secrets.token_hex(10)}"
        with received(query, services().catalog.room(tenant())) as upload:
            try:
                stored = services().storage.put(f"datasets/{dataset_id}/upload", upload.path)
                sent = (upload.name, upload.format, stored, upload.options, _store(dataset_id, upload.labels))
                added = services().catalog.add(tenant(), dataset_id, *sent)
            except BaseException:  # without a record nothing refers to the stored files
                discard(services().storage, f"datasets/{dataset_id}")
                raise
        return added, 202, {"Location": local(f"/v1/datasets/{dataset_id}")}


def _store(dataset_id: str, labels: LabelFile | None) -> Artifact | None:
    return services().storage.put(f"datasets/{dataset_id}/{labels.name}", labels.path) if labels else None


@blueprint.route("/<dataset_id>")
class OneDataset(MethodView):
    @blueprint.response(200, DatasetSchema)
    def get(self, dataset_id: str) -> Any:
        """Get a data set"""
        return services().catalog.get(tenant(), dataset_id)

    @blueprint.response(204)
    def delete(self, dataset_id: str) -> None:
        """Delete a data set; no unfinished job may use it"""
        delete_dataset(services().catalog, services().storage, tenant(), dataset_id)


@blueprint.route("/<dataset_id>/samples.png")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def pictures(dataset_id: str) -> Response:
    """Get sample pictures of a data set: a row of 6 for each of its first 10 classes"""
    dataset = services().catalog.get(tenant(), dataset_id)
    answer = Response(mimetype="image/png")
    answer.set_etag(f"{dataset.sha256 or dataset.id}-{dataset_sheet.CLASSES}x{dataset_sheet.OF_A_CLASS}")
    if request.if_none_match.contains_weak(answer.get_etag()[0] or ""):
        answer.status_code = 304
        return answer
    answer.data = dataset_sheet.draw(services().packs, dataset)
    return answer
