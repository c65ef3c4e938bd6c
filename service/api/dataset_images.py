"""The resource /v1/datasets/{id}/images/{index}."""

import http
import re
from typing import Any

from flask import Response, request

from service.api.blueprint import Blueprint
from service.core.errors import NotFound
from service.http.auth import tenant
from service.rendering.thumbnail import png, scaled
from service.schemas.datasets import MOST_SIDE, ImageQuerySchema
from service.services import services

INDEX = re.compile("[0-9]{1,18}")

blueprint = Blueprint("dataset_images", __name__, url_prefix="/v1/datasets", description="Single images of data sets")


@blueprint.route("/<dataset_id>/images/<index>")
@blueprint.arguments(ImageQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def image(query: dict[str, Any], dataset_id: str, index: str) -> Response:
    """Get one image of a data set as PNG; images of built-in sets exist after the first job on the set"""
    dataset = services().catalog.get(tenant(), dataset_id)
    answer = Response(mimetype="image/png")
    answer.set_etag(f"{dataset.sha256 or dataset.id}-{index}-{query['size']}")
    answer.make_conditional(request)
    if answer.status_code == http.HTTPStatus.OK:
        (picture,) = services().packs.images(services().packs.pack(dataset), [_number(index)])
        side = query["size"] or min(MOST_SIDE, max(picture.size))
        answer.data = png(picture if side == max(picture.size) else scaled(picture, side))
    return answer


def _number(index: str) -> int:
    if not INDEX.fullmatch(index):
        raise NotFound(f"there is no image {index!r}; images are numbered from 0 on")
    return int(index)
