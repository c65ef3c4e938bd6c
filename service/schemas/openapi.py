"""How our own fields and errors appear in the API document."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields, validate

from service.schemas.answer_fields import SpecField, Timestamp
from service.schemas.fields import Tagged, WordOrObject
from service.schemas.spec import JobSpecSchema


def document_fields(plugin: MarshmallowPlugin) -> None:
    """Teach the plugin the types of our own fields."""
    converter: Any = plugin.converter
    converter.add_attribute_function(_references)
    converter.add_attribute_function(_open_bounds)
    converter.map_to_openapi_type(Timestamp, "string", "date-time")
    converter.map_to_openapi_type(Tagged, None, None)
    converter.map_to_openapi_type(SpecField, None, None)


def _references(converter: Any, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
    """The schemas that a field of ours refers to (an attribute function of apispec)."""
    if isinstance(field, SpecField):
        reference: dict[str, Any] = converter.resolve_nested_schema(JobSpecSchema())
        return reference
    if isinstance(field, WordOrObject):
        word = {"type": "string", "enum": list(field.words)}
        return {"oneOf": [word, converter.resolve_nested_schema(field.schema)]}
    if not isinstance(field, Tagged):
        return {}
    references = {tag: converter.resolve_nested_schema(schema) for tag, schema in field.choices.items()}
    mapping = {tag: reference["$ref"] for tag, reference in references.items()}
    distinct = [{"$ref": address} for address in dict.fromkeys(mapping.values())]  # several tags can share a schema
    return {"oneOf": distinct, "discriminator": {"propertyName": field.tag, "mapping": mapping}}


def _open_bounds(converter: Any, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
    """The bounds that a number must not reach, which apispec states as inclusive ones (an attribute function)."""
    bounds: dict[str, Any] = {}
    for check in field.validators:
        if isinstance(check, validate.Range):
            bounds |= {} if check.min_inclusive else {"exclusiveMinimum": check.min}
            bounds |= {} if check.max_inclusive else {"exclusiveMaximum": check.max}
    return bounds


def document_problems(spec: APISpec) -> None:
    """Give every error the media type application/problem+json."""
    for response in spec.components.responses.values():
        content = response.get("content", {})
        if "application/json" in content:
            response["content"] = {"application/problem+json": content["application/json"]}


def document_keys(spec: APISpec) -> None:
    """Require an API key for every request."""
    spec.components.security_scheme("key", {"type": "http", "scheme": "bearer", "description": "an API key, rf_…"})
    spec.options["security"] = [{"key": []}]
