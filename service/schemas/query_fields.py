"""Fields of queries. Each states its bounds once, for the check, the error message and the API document."""

from collections.abc import Sequence

from marshmallow import fields, validate

from service.schemas.fields import WholeText

UNBOUNDED = 2**31 - 1  # with this limit, messages name only the lower bound


def about(description: str, allowed: str) -> dict[str, str]:
    """The metadata of a field: its meaning for the API document, the allowed values for error messages."""
    return {"description": description, "allowed": allowed}


def integer(
    description: str, low: int, high: int, default: int | None, kind: type[fields.Integer] = WholeText
) -> fields.Integer:
    """A whole number from `low` to `high`. `kind` is the field of a query, which also takes text, or one of JSON."""
    return kind(
        load_default=default,
        validate=validate.Range(low, high, error=f"Must be {_bounds(low, high)}."),
        metadata=about(description, f"a whole number, {_bounds(low, high)}"),
    )


def seconds(description: str, high: float, default: float) -> fields.Float:
    """A number of seconds from 0 to `high`."""
    return fields.Float(
        load_default=default,
        validate=validate.Range(0, high, error=f"Must be 0 to {high:g}."),
        metadata=about(description, f"a number, 0 to {high:g}"),
    )


def choice(description: str, choices: Sequence[str]) -> fields.String:
    """One of some words; the first is the default."""
    allowed = ", ".join(choices)
    return fields.String(
        load_default=choices[0],
        validate=validate.OneOf(choices, error=f"Must be one of: {allowed}."),
        metadata=about(description, allowed),
    )


def _bounds(low: int, high: int) -> str:
    return f"{low} or more" if high == UNBOUNDED else f"{low} to {high}"
