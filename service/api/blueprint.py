"""The blueprint all resources are made of: strict about what it is sent."""

from typing import Any

from flask import Request
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import RAISE, Schema
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType


class StrictParser(FlaskParser):
    """Unknown names are refused, in a query too, and a body that is not declared as JSON is not read as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.DEFAULT_UNKNOWN_BY_LOCATION = self.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE, "json": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType("send the body with Content-Type: application/json")
        try:
            return super().load_json(req, schema)
        except RecursionError as error:
            raise BadRequest("the body is nested too deeply") from error


class Blueprint(SmorestBlueprint):
    ARGUMENTS_PARSER = StrictParser()
