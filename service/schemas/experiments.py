"""What the requests and the answers of experiments have in common: ablations and folds."""

from typing import Any

from marshmallow import Schema, fields

from service.core.records.experiment import ExperimentStatus
from service.core.spec import JobSpec
from service.http.links import local
from service.schemas.answer_fields import Timestamp, Word
from service.schemas.query_fields import about
from service.schemas.spec import JobSpecSchema


class ExperimentRequestSchema(Schema):
    """A spec that several jobs share."""

    spec = fields.Nested(JobSpecSchema, required=True, metadata=about("the base", "an object: a job's spec"))

    @staticmethod
    def partial_spec(valid: Any) -> JobSpec | None:
        """The spec made of the valid values of a request, None without a data set."""
        spec = valid.get("spec") if isinstance(valid, dict) else None
        return spec if isinstance(spec, JobSpec) else JobSpecSchema.partial_spec(spec)


class ExperimentEntrySchema(Schema):
    """An experiment in a list."""

    id = fields.String()
    created_at = Timestamp()
    status = Word(metadata={"description": f"{', '.join(ExperimentStatus)}; running until all of its jobs have ended"})
    jobs = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        attribute="counts",
        metadata={"description": "number of its jobs by status"},
    )
    seeds = fields.List(fields.Integer())


def experiment_links(kind: str, experiment_id: str) -> dict[str, str]:
    """The address of an experiment of /v1/`kind`, and of its cancellation."""
    base = local(f"/v1/{kind}/{experiment_id}")
    return {"self": base, "cancel": f"{base}/cancel"}
