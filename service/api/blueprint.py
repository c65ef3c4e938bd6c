"""The blueprint of all resources, with a strict parser of requests."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from flask import Request, current_app, request
from flask_smorest import Blueprint as SmorestBlueprint
from jsonpointer import escape
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from service.api.recipes import with_recipe
from service.core.errors import Fault, Invalid
from service.core.spec import JobSpec
from service.http.auth import tenant
from service.http.json_body import MOST_FAULTS, json_body
from service.schemas.experiments import ExperimentRequestSchema
from service.schemas.fields import not_known
from service.schemas.problem import faults
from service.schemas.spec import JobSpecSchema
from service.services import services

HAS_QUERY = "has_query"  # attribute of a view with a schema of its query
NO_QUERY = "no query parameters"

View = TypeVar("View", bound=Callable[..., Any])


class StrictParser(FlaskParser):
    """Refuses unknown names, also in a query, and a body without the media type of JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.DEFAULT_UNKNOWN_BY_LOCATION = self.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE, "json": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType("send the body with Content-Type: application/json")
        most = current_app.config["MAX_CONTENT_LENGTH"]
        if len(req.get_data()) >= most:  # werkzeug cuts a chunked body at the limit without an error
            raise RequestEntityTooLarge(f"the body must be smaller than {most} bytes")
        return with_recipe(json_body(), schema)

    def handle_error(  # type: ignore[override]  # it never returns
        self, error: ValidationError, req: Request, schema: Schema, *, error_status_code: Any, error_headers: Any
    ) -> None:
        """Raise Invalid with the faults of single values and those of combinations of valid values."""
        ((location, messages),) = error.messages_dict.items()
        data = with_recipe(json_body(), schema) if location == "json" else None
        single = list(islice(faults(messages, schema, data), MOST_FAULTS))
        if isinstance(schema, JobSpecSchema):
            single += _combined(schema.partial_spec(error.valid_data), single, "")
        elif isinstance(schema, ExperimentRequestSchema):
            single += _combined(schema.partial_spec(error.valid_data), single, "/spec")
        raise Invalid(single)


def _combined(spec: JobSpec | None, single: Sequence[Fault], at: str) -> list[Fault]:
    """The faults of combinations of values in the spec at a pointer, given the faults of its single values."""
    wrong = tuple(fault.pointer.removeprefix(at) for fault in single if fault.pointer.startswith(at))
    combined = services().submission.faults(tenant(), spec) if spec else ()
    return [replace(fault, pointer=at + fault.pointer) for fault in combined if not _is_doubtful(fault, wrong)]


def _is_doubtful(fault: Fault, wrong: tuple[str, ...]) -> bool:
    """Whether a fault depends on an invalid value, in whose place the default was checked."""
    return any(pointer.startswith((fault.pointer, *fault.follows_from)) for pointer in wrong)


class Blueprint(SmorestBlueprint):
    """Refuses every query parameter on a view without a schema of its query."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before_request(_refuse_query)

    def arguments(self, schema: Any, *, location: str = "json", **kwargs: Any) -> Callable[[View], View]:
        made = schema() if isinstance(schema, type) else schema  # once: creating a schema costs more than using it
        parse = super().arguments(made, location=location, **kwargs)

        def decorate(view: View) -> View:
            decorated: View = parse(view)
            if location == "query":
                setattr(decorated, HAS_QUERY, True)  # functools.wraps copies it to further decorations
            return decorated

        return decorate


def _refuse_query() -> None:
    """Raise Invalid for query parameters of a view that reads none."""
    if request.args and not _reads_query():
        raise Invalid([Fault(f"/{escape(name)}", not_known(name, ()), NO_QUERY) for name in request.args])


def _reads_query() -> bool:
    view = current_app.view_functions[request.endpoint or ""]
    method = "get" if request.method == "HEAD" else request.method.lower()
    return request.method == "OPTIONS" or hasattr(getattr(getattr(view, "view_class", None), method, view), HAS_QUERY)
