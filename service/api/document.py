"""The API document, and its page."""

import json
from functools import lru_cache
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Flask, Response, render_template, request, url_for
from flask_smorest import Api

from service.api.resources import RESOURCES
from service.core.settings import Settings
from service.schemas.openapi import document_fields, document_keys, document_problems
from service.schemas.problem import ProblemSchema

SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
MOST_PREFIXES = 8  # path prefixes of proxies whose API document is kept; only trusted proxies may send one


class ProblemApi(Api):
    """flask-smorest with our shape of errors in the document."""

    ERROR_SCHEMA = ProblemSchema


def register(app: Flask, settings: Settings) -> None:
    """Serve /openapi.json, /docs and what the page loads."""
    blueprint = Blueprint("api-docs", __name__)
    needs_keys = settings.auth == "keys"

    @blueprint.get("/openapi.json")
    def openapi_json() -> Response:
        """The API document. Behind a proxy with a path prefix, it names the prefix of its paths."""
        answer = Response(_document(request.script_root, needs_keys), mimetype="application/json")
        answer.add_etag()
        answer.make_conditional(request)
        return answer

    @blueprint.get("/docs")
    def openapi_swagger_ui() -> str:
        """The page of the API, with the header of all pages. Its addresses are relative: a proxy may add a prefix."""
        address = url_for("api-docs.openapi_json")
        return render_template("api.html", spec_url=address, swagger_ui_url="docs/assets/")

    app.register_blueprint(blueprint)
    app.register_blueprint(Blueprint("swagger_ui", __name__, static_folder=SWAGGER_UI, static_url_path="/docs/assets"))


@lru_cache(MOST_PREFIXES)
def _document(prefix: str, needs_keys: bool) -> bytes:
    """Written when it is first requested: that takes longer than all else that makes an app.

    flask-smorest writes it from the resources, in an app that serves nothing.
    """
    app = Flask("document", static_folder=None)
    app.config.update(
        API_TITLE="Rightfit",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": "Training as a service for image classifiers."}},
    )
    api = ProblemApi(app)
    document_fields(api.ma_plugin)
    for resource in RESOURCES:
        api.register_blueprint(resource)
    document_problems(api.spec)
    if needs_keys:
        document_keys(api.spec)
    servers = {"servers": [{"url": prefix}]} if prefix else {}
    return json.dumps(api.spec.to_dict() | servers, indent=2).encode()
