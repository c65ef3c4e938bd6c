"""A client for tests: each JSON answer of /v1 must have the shape that the API document gives it."""

import re
from functools import cached_property
from typing import Any, ClassVar

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

JSON, PROBLEM = "application/json", "application/problem+json"


class ApiDocument:
    """The API document: finds the schema of an answer."""

    def __init__(self, app: Flask) -> None:
        self.content: dict[str, Any] = FlaskClient(app, app.response_class).get("/openapi.json").json or {}
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
        paths = self.content["paths"].items()
        return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations) for path, operations in paths]

    def errors(self, answer: TestResponse) -> list[str]:
        """Where the body of a JSON answer differs from its documented shape; one error if it has no such shape."""
        if answer.mimetype == PROBLEM:
            return self._differences({"$ref": "#/components/schemas/Problem"}, answer.json)
        method, path = answer.request.method.lower(), answer.request.path
        operations = next((operations for pattern, operations in self._paths if pattern.fullmatch(path)), {})
        content = operations.get(method, {}).get("responses", {}).get(str(answer.status_code), {}).get("content", {})
        if JSON not in content:
            return [f"{method} {path} has no documented JSON answer with status {answer.status_code}"]
        return self._differences(content[JSON]["schema"], answer.json)

    def _differences(self, schema: dict[str, Any], body: Any) -> list[str]:
        """Where the body does not fit the schema."""
        if repr(schema) not in self._validators:
            components = {"components": self.content["components"]}
            self._validators[repr(schema)] = Draft202012Validator(schema | components)
        errors = self._validators[repr(schema)].iter_errors(body)
        return [f"{error.json_path}: {error.message}" for error in errors]


class DocumentedClient(FlaskClient):
    """Raises AssertionError for an answer of another shape. The document is made once for all tests of a process."""

    document: ClassVar[ApiDocument | None] = None

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        answer = super().open(*args, **kwargs)
        has_whole_body = answer.status_code not in {204, 206} and answer.request.method != "HEAD"
        if has_whole_body and answer.mimetype in {JSON, PROBLEM} and answer.request.path.startswith("/v1/"):
            errors = self._document().errors(answer)
            assert not errors, f"{answer.request.method} {answer.request.path}: {errors}"
        return answer

    def _document(self) -> ApiDocument:
        if DocumentedClient.document is None:
            DocumentedClient.document = ApiDocument(self.application)
        return DocumentedClient.document
