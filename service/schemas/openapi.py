"""How our own fields look in the API document."""

from typing import Any

from marshmallow import fields

from service.schemas.fields import Tagged


def document_tagged(converter: Any, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
    """A Tagged field is oneOf its schemas, told apart by its tag (an attribute function of apispec)."""
    if not isinstance(field, Tagged):
        return {}
    references = {tag: converter.resolve_nested_schema(schema) for tag, schema in field.choices.items()}
    mapping = {tag: reference["$ref"] for tag, reference in references.items()}
    return {"oneOf": list(references.values()), "discriminator": {"propertyName": field.tag, "mapping": mapping}}
