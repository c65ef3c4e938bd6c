"""Weights to start from: upload, list, read and delete them."""

import os
from pathlib import Path
from urllib.parse import quote

from service.client.transport import Transport, given
from service.client.types import Json, Progress
from service.client.upload import Archive

MEDIA_TYPE = "application/octet-stream"


class Weights:
    """The uploaded weights of a client: `client.weights`. Its methods raise what those of the client raise."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def push(self, path: Path, arch: str, name: str | None = None, progress: Progress | None = None) -> Json:
        """Upload a file of weights of the network `arch`; returns them with their id.

        The file is safetensors, or a state_dict saved by torch.save. The service checks it and executes nothing in
        it. If the same file was uploaded before, the existing weights are returned. `notes` in the
        answer list the parts of the file that were left out.
        """
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            source = Archive(path.name, file, MEDIA_TYPE, size)
            params = given({"arch": arch, "name": name})
            return self._transport.json("POST", "/v1/weights", params=params, **source.content(None, progress))

    def get(self, weights_id: str) -> Json:
        """The weights of this id."""
        return self._transport.json("GET", _path(weights_id))

    def list(self, limit: int = 100) -> list[Json]:
        """Your weights, newest first."""
        return self._transport.pages("/v1/weights", limit)

    def delete(self, weights_id: str) -> None:
        """Delete weights. The service refuses it while a queued, running or paused job starts from them."""
        self._transport.call("DELETE", _path(weights_id))


def _path(weights_id: str) -> str:
    return f"/v1/weights/{quote(weights_id, safe='')}"
