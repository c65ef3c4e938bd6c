"""JSON Patches (RFC 6902) of job specs as JSON."""

import json
from itertools import islice
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.core.errors import Invalid
from service.core.spec import JobSpec
from service.core.spec.patch import is_too_large
from service.schemas.answer_fields import AnyValue
from service.schemas.fields import ShortList, Text
from service.schemas.problem import faults
from service.schemas.query_fields import about
from service.schemas.spec import JobSpecSchema

MOST_OPERATIONS, MOST_CHARACTERS = 32, 20_000  # of a patch; every job that it creates stores it
MOST_FAULTS = 10  # reported for the spec that a patch creates
OPERATIONS = {"add": "value", "remove": None, "replace": "value", "move": "from", "copy": "from", "test": "value"}
SPEC = JobSpecSchema()


def read_spec(data: Any) -> JobSpec:
    """Check plain data and build the spec. Raises Invalid."""
    try:
        spec: JobSpec = SPEC.load(data)
    except ValidationError as error:
        raise Invalid(list(islice(faults(error.messages, SPEC, data), MOST_FAULTS))) from error
    return spec


class OperationSchema(Schema):
    """One operation of a JSON Patch (RFC 6902)."""

    op = fields.String(
        required=True,
        validate=validate.OneOf(OPERATIONS, error=f"Must be one of: {', '.join(OPERATIONS)}."),
        metadata={"allowed": ", ".join(OPERATIONS)},
    )
    path = Text(required=True, metadata=about("a JSON pointer into the spec", "a JSON pointer"))
    source = Text(
        data_key="from", attribute="from", metadata=about("for move and copy: a JSON pointer", "a JSON pointer")
    )
    value = AnyValue(metadata=about("for add, replace and test", "a value of the spec"))

    @validates_schema
    def _has_its_members(self, data: dict[str, Any], **kwargs: Any) -> None:
        needed = OPERATIONS[data["op"]]
        if needed and needed not in data:
            raise ValidationError(f"{data['op']} needs a {needed}.", needed)


class Patch(ShortList):
    """A list of operations, limited in size."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        metadata = about(
            description,
            f"a list of 1 to {MOST_OPERATIONS} operations of RFC 6902, at most {MOST_CHARACTERS} characters",
        )
        super().__init__(fields.Nested(OperationSchema), 1, MOST_OPERATIONS, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        patch = super()._deserialize(value, *args, **kwargs)
        if is_too_large(patch):
            raise ValidationError(f"Must have at most {MOST_CHARACTERS} characters.")
        if len(json.dumps(patch)) > MOST_CHARACTERS:
            raise ValidationError(f"Must have at most {MOST_CHARACTERS} characters.")
        return patch
