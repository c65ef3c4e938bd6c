"""One epoch as JSON, made from the declared measures. A non-finite number is null; `flag` says nan or inf."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields

from service.core.records.epoch import MEASURES, Measure

FIELD_OF_TYPE: Mapping[type, type[fields.Field[Any]]] = {
    int: fields.Integer,
    float: fields.Float,
    bool: fields.Boolean,
    str: fields.String,
}


def _measure_field(measure: Measure) -> fields.Field[Any]:
    return FIELD_OF_TYPE[measure.type](allow_none=measure.is_nullable, metadata={"description": measure.meaning})


EpochSchema = Schema.from_dict({measure.name: _measure_field(measure) for measure in MEASURES}, name="EpochSchema")
