"""How our own fields look in the API document."""

from typing import Any

from apispec import APISpec
from marshmallow import fields

from service.schemas.fields import Tagged, WordOrObject


def document_tagged(converter: Any, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
    """A Tagged field is oneOf its schemas, told apart by its tag, and a WordOrObject either (an attribute function of
    apispec).
    """
    if isinstance(field, WordOrObject):
        word = {"type": "string", "enum": list(field.words)}
        return {"oneOf": [word, converter.resolve_nested_schema(field.schema)]}
    if not isinstance(field, Tagged):
        return {}
    references = {tag: converter.resolve_nested_schema(schema) for tag, schema in field.choices.items()}
    mapping = {tag: reference["$ref"] for tag, reference in references.items()}
    return {"oneOf": list(references.values()), "discriminator": {"propertyName": field.tag, "mapping": mapping}}


def document_problems(spec: APISpec) -> None:
    """Every error is application/problem+json."""
    for response in spec.components.responses.values():
        content = response.get("content", {})
        if "application/json" in content:
            response["content"] = {"application/problem+json": content["application/json"]}


def document_keys(spec: APISpec) -> None:
    """Every request carries an API key."""
    spec.components.security_scheme("key", {"type": "http", "scheme": "bearer", "description": "an API key, rf_…"})
    spec.options["security"] = [{"key": []}]
