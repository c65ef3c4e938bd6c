"""The resource /v1/weights."""

import hashlib
import secrets
import tempfile
from pathlib import Path
from typing import Any

from flask import request
from flask.views import MethodView
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from service.api.blueprint import Blueprint
from service.api.incoming import IncomingFile, allowance_of
from service.api.uploads import checked_name
from service.core.actions.delete import delete_weights
from service.core.errors import Fault, Invalid
from service.core.records.weights import WEIGHTS, NewWeights, Weights
from service.core.storage import discard
from service.http.auth import tenant
from service.http.links import local
from service.schemas.pages import PageQuerySchema, cursor
from service.schemas.weights import WeightsListSchema, WeightsQuerySchema, WeightsSchema
from service.services import services
from service.weights.convert import convert
from service.weights.stored_tensor import UnreadableFile

blueprint = Blueprint("weights", __name__, url_prefix="/v1/weights", description="Weights to start from")
MEDIA_TYPE = "application/octet-stream"
BODY = {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
CREATED = {"Location": {"description": "the address of the weights", "schema": {"type": "string"}}}
ALLOWED = "safetensors, or a state_dict saved by torch.save"


@blueprint.route("")
class AllWeights(MethodView):
    @blueprint.arguments(PageQuerySchema, location="query")
    @blueprint.response(200, WeightsListSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List your weights, newest first"""
        page = services().weights.list(tenant(), **query)
        return {"data": page.items, "has_more": page.next_seq is not None, "next_cursor": cursor(page.next_seq)}

    @blueprint.arguments(WeightsQuerySchema, location="query")
    @blueprint.response(201, WeightsSchema, description="Checked and stored", headers=CREATED)
    @blueprint.alt_response(200, schema=WeightsSchema, description="This file was uploaded before; nothing changes")
    @blueprint.doc(requestBody=BODY)
    def post(self, query: dict[str, Any]) -> Any:
        """Upload weights of an architecture: safetensors, or a state_dict saved by torch.save"""
        arch, name = query["arch"], checked_name(query["name"] or query["arch"])
        if request.mimetype != MEDIA_TYPE:
            raise UnsupportedMediaType(f"send the file as it is, with Content-Type: {MEDIA_TYPE}")
        allowance = allowance_of(services().settings, services().weights.room(tenant()))
        request.max_content_length = allowance.most
        with (
            services().uploading.hold(tenant(), "too many uploads are running; try again"),
            IncomingFile(allowance) as file,
        ):
            file.receive_body()
            if not file.size:
                raise BadRequest(f"the body is empty; send {ALLOWED}")
            file.finish()
            added, notes = _add(arch, name, file)
        answer = vars(added) | ({"notes": notes} if notes else {})
        return answer, 200 if notes is None else 201, {"Location": local(f"/v1/weights/{added.id}")}


def _add(arch: str, name: str, file: IncomingFile) -> tuple[Weights, tuple[str, ...] | None]:
    """The weights of a received file, and what was noted about it, None if it was sent before.

    Raises Invalid, QuotaExceeded and StorageError.
    """
    with file.path.open("rb") as sent:
        sha256 = hashlib.file_digest(sent, "sha256").hexdigest()
    if known := services().weights.same_file(tenant(), arch, sha256):
        return known, None
    weights_id = f"wgt_{secrets.token_hex(10)}"
    folder = f"{WEIGHTS}/{weights_id}"
    with tempfile.NamedTemporaryFile(dir=services().settings.home / "uploads") as target:
        try:
            checked = convert(arch, file.path, target.file)
        except UnreadableFile as error:
            raise Invalid([Fault("", f"the file cannot be used: {error}", ALLOWED)]) from error
        target.flush()
        try:
            stored = services().storage.put(f"{folder}/{sha256}.safetensors", Path(target.name))
            sizes = (checked.classes, checked.channels, file.size)
            new = NewWeights(weights_id, name, arch, *sizes, sha256, stored)
            return services().weights.add(tenant(), new), checked.notes
        except BaseException:  # without a record nothing refers to the stored file
            discard(services().storage, folder)
            raise


@blueprint.route("/<weights_id>")
class OneWeights(MethodView):
    @blueprint.response(200, WeightsSchema)
    def get(self, weights_id: str) -> Any:
        """Get weights"""
        return services().weights.get(tenant(), weights_id)

    @blueprint.response(204)
    def delete(self, weights_id: str) -> None:
        """Delete weights; no unfinished job may start from them"""
        delete_weights(services().weights, services().storage, tenant(), weights_id)
