"""Cross-validations as JSON."""

from types import SimpleNamespace

from marshmallow import Schema, fields

from service.core.experiments.folds import FoldResults
from service.core.records.folds import MOST_SEEDS, SCORES
from service.core.records.job import Status
from service.core.spec.parts import LARGEST_SEED, LEAST_FOLDS, MOST_FOLDS
from service.schemas.answer_fields import TEXT_BY_NAME, Word
from service.schemas.evaluation import EvaluationQuerySchema, PartQuerySchema
from service.schemas.experiments import ExperimentEntrySchema, ExperimentRequestSchema, experiment_links
from service.schemas.fields import Whole
from service.schemas.pages import NextCursor
from service.schemas.plan import PlanSchema
from service.schemas.query_fields import integer

FOLDS = 5


class FoldsRequestSchema(ExperimentRequestSchema):
    """Each fold validates once under each seed and the other folds train, as ordinary jobs."""

    folds = integer("number of folds", LEAST_FOLDS, MOST_FOLDS, FOLDS, Whole)
    seeds = integer(
        "number of times that the set is divided into folds. Each division has its own seed, also for the training. "
        "The seeds count up from the spec's seed; without one they are random",
        1,
        MOST_SEEDS,
        1,
        Whole,
    )


class FoldsPlanSchema(PlanSchema):
    """The spec that the jobs share, and what the first of them needs."""

    folds = fields.Integer()
    seeds = fields.List(fields.Integer())
    jobs = fields.Integer(metadata={"description": "number of jobs"})


class FoldRunSchema(Schema):
    """The job that validates one fold under one seed."""

    id = fields.String()
    seed = fields.Integer()
    fold = fields.Integer(metadata={"description": "the fold that validates, counted from 0"})
    status = Word(metadata={"description": ", ".join(Status)})
    best = fields.Dict(
        keys=fields.String(),
        values=fields.Float(allow_none=True),
        attribute="measures",
        metadata={"description": f"measures of the best epoch, null without one: {', '.join(SCORES)}"},
    )


class FoldScoreSchema(Schema):
    """A measure over the jobs that succeeded and those that diverged after some epochs."""

    measure = fields.String(metadata={"description": ", ".join(SCORES)})
    runs = fields.Integer(metadata={"description": "number of jobs with the measure"})
    mean = fields.Float(allow_none=True)
    deviation = fields.Float(
        allow_none=True, metadata={"description": "standard deviation over the jobs; null with fewer than 2"}
    )
    interval = fields.List(
        fields.Float(),
        allow_none=True,
        metadata={
            "description": "[low, high]: the 95 % interval of the mean by Student's t. It accounts for the training "
            "images that the jobs share (Nadeau and Bengio, 2003). Null with fewer than 2 jobs"
        },
    )


class FoldsEntrySchema(ExperimentEntrySchema):
    """A cross-validation in a list."""

    folds = fields.Integer(metadata={"description": "number of folds"})
    links = fields.Function(lambda found: links(found.id), metadata=TEXT_BY_NAME)


class FoldsSchema(FoldsEntrySchema):
    """A cross-validation and its results so far."""

    spec = fields.Raw(metadata={"type": "object", "description": "the base, with every default filled in"})
    runs = fields.List(fields.Nested(FoldRunSchema), metadata={"description": "its jobs, seed by seed, fold by fold"})
    scores = fields.List(fields.Nested(FoldScoreSchema))
    summary = fields.String(metadata={"description": "the results in one or two sentences"})


class FoldsListSchema(Schema):
    """A page of cross-validations, newest first."""

    data = fields.List(fields.Nested(FoldsEntrySchema))
    has_more = fields.Boolean()
    next_cursor = NextCursor()


class OfSeedSchema(Schema):
    seed = integer("only the folds of this seed; default: those of all seeds", 0, LARGEST_SEED, None)


class FoldsEvaluationQuerySchema(OfSeedSchema, EvaluationQuerySchema):
    """Which images to evaluate, and how to show it."""


class FoldsPictureQuerySchema(OfSeedSchema, PartQuerySchema):
    """Which images to draw."""


def to_answer(found: FoldResults) -> SimpleNamespace:
    """The object that FoldsSchema serializes."""
    results = {"runs": found.runs, "scores": found.scores, "summary": found.summary}
    return SimpleNamespace(**vars(found.validation), status=found.validation.status, **results)


def links(folds_id: str) -> dict[str, str]:
    """The addresses of a cross-validation, of its cancellation, of its predictions and of their evaluation."""
    own = experiment_links("folds", folds_id)
    return own | {"predictions": f"{own['self']}/predictions.npz", "evaluation": f"{own['self']}/evaluation"}
