"""Requests for fits as JSON."""

from typing import Any, get_args

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from service.core.records.fit_request import Range
from service.core.spec import JobSpec
from service.core.spec.parts import Dataset, Monitor, Webhook
from service.schemas.answer_fields import AnyValue
from service.schemas.fields import Flag, Number, ShortList, Whole
from service.schemas.query_fields import about, choice, integer
from service.schemas.spec import schema_of

SAID_BY_THE_FIT = ("dataset", "seed", "name", "labels", "webhook", "recipe")  # members of a spec that a fit has itself
LEAST_MINUTES, MOST_MINUTES = 0.2, 7 * 24 * 60
LEAST_JOBS, MOST_JOBS = 2, 1000
MOST_SEEDS = 10
LARGEST_SEED = 2**32 - 1
MOST_OPTIONS, MOST_CHOICES = 32, 32
AUTO = "auto"

BaseSpecSchema = schema_of(JobSpec)(exclude=SAID_BY_THE_FIT)
of_job = schema_of(JobSpec)().fields


class RangeSchema(Schema):
    """The values that an option may take: choices, or the numbers from low to high."""

    low = Number(metadata=about("lowest value", "a number"))
    high = Number(metadata=about("highest value", "a number above low"))
    log = Flag(load_default=False, metadata=about("draw evenly on a logarithmic scale", "true or false"))
    choices = ShortList(
        AnyValue(), 1, MOST_CHOICES, metadata=about("all values to try", f"a list of 1 to {MOST_CHOICES} values")
    )

    @validates_schema
    def _is_one_kind(self, data: dict[str, Any], **kwargs: Any) -> None:
        if "choices" in data:
            if "low" in data or "high" in data:
                raise ValidationError("Must have either choices, or low and high.")
        elif not ("low" in data and "high" in data):
            raise ValidationError("Must have choices, or low and high.")
        elif data["low"] >= data["high"]:
            raise ValidationError("Must be above low.", "high")
        elif data["log"] and data["low"] <= 0:
            raise ValidationError("Must be above 0 with log.", "low")

    @post_load
    def _build(self, data: dict[str, Any], **kwargs: Any) -> Range:
        return Range(**{**data, "choices": tuple(data.get("choices", ()))})


class SpaceField(fields.Field[Any]):
    """`auto`, or ranges by the JSON pointer of their option."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if value == AUTO:
            return None
        if not isinstance(value, dict) or not 1 <= len(value) <= MOST_OPTIONS:
            raise ValidationError(f"Must be {AUTO!r}, or an object with 1 to {MOST_OPTIONS} options.")
        loaded, wrong = {}, {}
        for path, given in value.items():
            try:
                loaded[path] = RangeSchema().load(given)
            except ValidationError as error:
                wrong[path] = error.messages
        if wrong:
            raise ValidationError(wrong)
        return loaded


class FitRequestSchema(Schema):
    """The data, the budget, and what may change."""

    dataset = fields.Nested(
        schema_of(Dataset),
        required=True,
        metadata=about(
            "the images and their split, as in a job. A share of 0.2 is held out for the test, unless test_fraction is "
            "given. Test images are used for no choice",
            "an object",
        ),
    )
    minutes = Number(
        load_default=None,
        allow_none=True,
        validate=validate.Range(LEAST_MINUTES, MOST_MINUTES, error=f"Must be {LEAST_MINUTES} to {MOST_MINUTES}."),
        metadata=about(
            "the budget in minutes of wall time, from the start of the first job. Give either this or jobs",
            f"a number, {LEAST_MINUTES} to {MOST_MINUTES}",
        ),
    )
    jobs = integer("the budget as a number of jobs. Give either this or minutes", LEAST_JOBS, MOST_JOBS, None, Whole)
    spec = fields.Nested(
        BaseSpecSchema,
        load_default=dict,
        metadata=about("the base, with which all trials are compared: options of a job's spec", "an object"),
    )
    space = SpaceField(
        load_default=None,
        metadata={
            "type": ["string", "object"],
            **about(
                "auto: Rightfit chooses the options and their ranges for the data and the network, and tries recipes. "
                "Or ranges by the JSON pointer of an option in the spec, each {low, high, log} or {choices}",
                "auto, or an object of ranges",
            ),
        },
    )
    objective = choice(
        "the measure that chooses the best trial; losses are lowered, other measures raised", get_args(Monitor)
    )
    seeds = integer(
        "how many times a leader is trained in total. Each repeat has another seed; where the validation part is "
        "small it also validates on another fold. Default: 3, with minutes more for a small set",
        1,
        MOST_SEEDS,
        None,
        Whole,
    )
    ensemble = Flag(
        load_default=False,
        metadata=about(
            "also average the probabilities of the leaders, if that scores better: ensemble.zip. The best single model "
            "remains the result",
            "true or false",
        ),
    )
    seed = integer(
        "seed of the split, of the training and of the search; null: a random one", 0, LARGEST_SEED, None, Whole
    )
    name = of_job["name"]
    labels = of_job["labels"]
    webhook = fields.Nested(
        schema_of(Webhook),
        load_default=None,
        allow_none=True,
        metadata=about(
            "where to send a message when the fit has ended. Of the events a fit has succeeded, failed and cancelled",
            "an object",
        ),
    )

    @validates_schema
    def _has_one_budget(self, data: dict[str, Any], **kwargs: Any) -> None:
        if (data.get("minutes") is None) == (data.get("jobs") is None):
            raise ValidationError("Give either minutes or jobs.", "minutes")


def base_of(given: dict[str, Any]) -> JobSpec:
    """The base spec of a loaded request."""
    return JobSpec.from_dict({"dataset": given["dataset"], **given["spec"], "seed": given["seed"]})
