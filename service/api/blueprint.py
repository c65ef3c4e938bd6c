"""The blueprint all resources are made of: strict about what it is sent."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from flask import Request, current_app
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from service.core.errors import Fault, Invalid
from service.core.spec import JobSpec
from service.http.auth import tenant
from service.schemas.ablations import AblationRequestSchema
from service.schemas.problem import faults
from service.schemas.spec import JobSpecSchema
from service.services import services

MOST_FAULTS = 100  # in one answer; nobody reads more


class StrictParser(FlaskParser):
    """Unknown names are refused, in a query too, and a body that is not declared as JSON is not read as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.DEFAULT_UNKNOWN_BY_LOCATION = self.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE, "json": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType("send the body with Content-Type: application/json")
        most = current_app.config["MAX_CONTENT_LENGTH"]
        if len(req.get_data()) >= most:  # a chunked body ends there without a word
            raise RequestEntityTooLarge(f"the body must be smaller than {most} bytes")
        try:
            return super().load_json(req, schema)
        except RecursionError as error:
            raise BadRequest("the body is nested too deeply") from error
        except ValueError as error:  # a number of thousands of digits
            raise BadRequest("the body is not valid JSON") from error

    def handle_error(  # type: ignore[override]  # it never returns
        self, error: ValidationError, req: Request, schema: Schema, *, error_status_code: Any, error_headers: Any
    ) -> None:
        """Raise Invalid with the faults of single values and those that right values show together."""
        ((location, messages),) = error.messages_dict.items()
        data = req.get_json(silent=True) if location == "json" else None
        found = list(islice(faults(messages, schema, data), MOST_FAULTS))
        if isinstance(schema, JobSpecSchema):
            found += _together(schema.partial_spec(error.valid_data), found, "")
        elif isinstance(schema, AblationRequestSchema):
            found += _together(schema.partial_spec(error.valid_data), found, "/spec")
        raise Invalid(found)


def _together(spec: JobSpec | None, found: Sequence[Fault], at: str) -> list[Fault]:
    """What is wrong with the spec at a pointer beside the faults of its single values."""
    wrong = tuple(fault.pointer.removeprefix(at) for fault in found if fault.pointer.startswith(at))
    more = services().submission.faults(tenant(), spec) if spec else ()
    return [replace(fault, pointer=at + fault.pointer) for fault in more if not _is_doubtful(fault, wrong)]


def _is_doubtful(fault: Fault, wrong: tuple[str, ...]) -> bool:
    """Whether a fault rests on a value that is wrong itself, and was judged by its default."""
    return any(pointer.startswith((fault.pointer, *fault.follows_from)) for pointer in wrong)


class Blueprint(SmorestBlueprint):
    ARGUMENTS_PARSER = StrictParser()
