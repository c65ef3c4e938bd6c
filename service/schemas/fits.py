"""Fits as JSON."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from marshmallow import Schema, fields

from service.core.experiments.fits.accept import Accepted
from service.core.experiments.fits.cost import TrialCost
from service.core.experiments.fits.standing import Standing, outcome_words, standings
from service.core.records.fit import BASE, Fit, FitPhase, FitStatus, FitStep, TrialResult
from service.core.records.fit_request import Source, Space
from service.http.links import local
from service.schemas.answer_fields import TEXT_BY_NAME, TEXTS, SpecField, Timestamp, Word
from service.schemas.pages import NextCursor
from service.schemas.patches import OperationSchema
from service.schemas.plan import TIME_SOURCES, PlanSchema

INTERVAL = {"description": "[low, high]"}


def _object(description: str) -> fields.Raw:
    return fields.Raw(allow_none=True, metadata={"type": "object", "description": description})


def _interval() -> fields.List[Any]:
    description = "95 % interval over the images, [low, high]; null while the fit runs, and without predictions"
    return fields.List(fields.Float(), allow_none=True, metadata={"description": description})


class BudgetSchema(Schema):
    """What the fit may spend and what it has spent."""

    minutes = fields.Float(allow_none=True)
    jobs = fields.Integer(allow_none=True)
    spent_minutes = fields.Float(metadata={"description": "wall time from the start of the first job"})
    spent_jobs = fields.Integer()


class ModelSchema(Schema):
    """A trial with its model."""

    trial = fields.Integer(metadata={"description": "its number, counted from 1; 1 is the base"})
    job = fields.String(metadata={"description": "the job that has the model"})
    patch = fields.List(fields.Nested(OperationSchema), metadata={"description": "changes of the base (RFC 6902)"})
    val_loss = fields.Float(allow_none=True)
    val_loss_interval = _interval()
    val_accuracy = fields.Float(allow_none=True)
    val_accuracy_interval = _interval()
    mean_val_loss = fields.Float(allow_none=True, metadata={"description": "mean over all of its trainings"})
    trainings = fields.Integer()


class GainSchema(Schema):
    """The best trial minus the base on the same validation images; negative is better."""

    trial = fields.Integer()
    val_loss = fields.Float(
        attribute="difference",
        metadata={
            "description": "mean difference of the losses in nats; if the objective is no loss, of the shares of "
            "wrong guesses"
        },
    )
    interval = fields.List(
        fields.Float(),
        metadata={
            "description": "[low, high] with the confidence 1 - 0.05 / looks. A trial is kept if high is below 0: "
            "one that is not better is kept with a probability of at most 0.05"
        },
    )
    images = fields.Integer()
    looks = fields.Integer(
        metadata={
            "description": "by which the 0.05 is divided: the number of compared trials; on further folds 2, 4, 8, … "
            "by the order of the repeated leaders, 1 if there is one; twice as many with folds and a budget of minutes"
        }
    )
    beats_guessing = fields.Boolean()
    is_proved = fields.Boolean(metadata={"description": "whether the interval excludes 0 and the model beats guessing"})


class StandingSchema(Schema):
    """A trial."""

    trial = fields.Integer()
    source = Word(metadata={"description": ", ".join(Source)})
    job = fields.String(metadata={"description": "its first job"})
    patch = fields.List(fields.Nested(OperationSchema))
    val_loss = fields.Float(allow_none=True, metadata={"description": "of the best epoch of the first job"})
    accuracy = fields.Float(allow_none=True)
    mean = fields.Float(allow_none=True, metadata={"description": "mean of the objective over all trainings"})
    trainings = fields.Integer()
    epochs = fields.Integer(metadata={"description": "complete epochs of the first job"})
    of_epochs = fields.Integer()
    state = fields.String(
        metadata={
            "description": "queued, running, paused, stopped early, trained, kept, cancelled, failed, deleted; lost: "
            "paused or cancelled by its owner"
        }
    )
    why = fields.String(metadata={"description": "why it was tried"})


class StepSchema(Schema):
    """A decision."""

    number = fields.Integer()
    at = Timestamp()
    what = fields.String(
        attribute="kind", metadata={"description": "start, promote, repeat, length, finals, refused, test"}
    )
    trial = fields.Integer(allow_none=True)
    job = fields.String(attribute="job_id", allow_none=True)
    why = fields.String()
    outcome = fields.String(allow_none=True)


class ShareSchema(Schema):
    """How much an option mattered."""

    option = fields.String(metadata={"description": "JSON pointer in the spec"})
    share = fields.Float(metadata={"description": "0 to 1; the shares sum to 1"})


class FitEntrySchema(Schema):
    """A fit in a list."""

    id = fields.String()
    name = fields.String(allow_none=True)
    labels = fields.Dict(keys=fields.String(), values=fields.String())
    dataset = fields.String(metadata={"description": "id of the data set"})
    status = Word(metadata={"description": ", ".join(FitStatus)})
    phase = Word(allow_none=True, metadata={"description": f"{', '.join(FitPhase)}; null once the fit has ended"})
    objective = fields.String()
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    links = fields.Function(lambda found: links(found.id), metadata=TEXT_BY_NAME)


class FitSchema(FitEntrySchema):
    """A fit and its results so far."""

    version = fields.Integer()
    spec = SpecField(metadata={"type": "object", "description": "the base, with every default filled in"})
    seeds = fields.Integer()
    folds = fields.Integer(allow_none=True, metadata={"description": "null: all trials have the same validation part"})
    space = fields.Raw(metadata={"type": "object", "description": "the options that are varied, with their values"})
    budget = fields.Nested(BudgetSchema)
    base = fields.Nested(ModelSchema, allow_none=True)
    best = fields.Nested(
        ModelSchema,
        allow_none=True,
        metadata={"description": "the model that is kept; while the fit runs: the best so far"},
    )
    gain = fields.Nested(GainSchema, allow_none=True, metadata={"description": "null while the fit runs"})
    test = _object(
        "the kept model on the test images, which are used for no choice and are scored once, by `job`; null while the "
        "fit runs, without test images, and for a fit that was cancelled"
    )
    ensemble = _object(
        "with ensemble in the request: its members, and its scores on the validation images, which chose them, "
        "and on the test images; null if no leader improves on the best model"
    )
    leaderboard = fields.List(fields.Nested(StandingSchema))
    steps = fields.List(fields.Nested(StepSchema))
    importance = fields.List(
        fields.Nested(ShareSchema),
        allow_none=True,
        metadata={"description": "how much each option mattered (PED-ANOVA); null with fewer than 10 whole trials"},
    )
    error = _object("why there is no model: code and detail; null for any other fit")
    summary = fields.String(metadata={"description": "the result in a few sentences"})


class FitListSchema(Schema):
    """A page of fits, newest first."""

    data = fields.List(fields.Nested(FitEntrySchema))
    has_more = fields.Boolean()
    next_cursor = NextCursor()


class TrialCostSchema(Schema):
    """What a usual trial costs on one slot, estimated."""

    epochs = fields.Integer()
    epoch_seconds = fields.Float()
    seconds = fields.Float()
    source = fields.String(metadata={"description": TIME_SOURCES})


class FitPlanSchema(PlanSchema):
    """The plan of the base, the space, and the first changes."""

    space = fields.Raw(metadata={"type": "object"})
    folds = fields.Integer(allow_none=True)
    slots = fields.Integer(metadata={"description": "number of jobs that the live workers train at once"})
    trial_cost = fields.Nested(
        TrialCostSchema,
        allow_none=True,
        metadata={"description": "null on GPUs until a job has trained"},
    )
    first_trials = fields.List(fields.String(), metadata=TEXTS | {"description": "what is tried first, in words"})


class LearnedEffectSchema(Schema):
    """What a cure did in earlier fits with one kind of network and images."""

    cure = fields.String(metadata={"description": "id of the advice"})
    network = fields.String(metadata={"description": "cnn or mlp: the nearest kind of network"})
    channels = fields.Integer(metadata={"description": "of the images"})
    objective = fields.String()
    trials = fields.Integer()
    better = fields.Integer(metadata={"description": "trials that were better with the cure than without"})
    mean = fields.Float(metadata={"description": "mean change of the objective, lower is better"})


class LearnedSchema(Schema):
    """What your newest fits have shown, the best cures first."""

    data = fields.List(fields.Nested(LearnedEffectSchema))


def to_plan(accepted: Accepted, cost: TrialCost | None) -> SimpleNamespace:
    """The object that FitPlanSchema serializes."""
    request = accepted.request
    return SimpleNamespace(
        **vars(accepted.base),
        space=_space(request.space),
        folds=request.folds,
        slots=request.slots,
        trial_cost=cost,
        first_trials=["the base", *(recipe.why for recipe in request.recipes)],
    )


def to_entry(fit: Fit) -> SimpleNamespace:
    """The object that FitEntrySchema serializes."""
    shown = {name: value for name, value in vars(fit).items() if name not in ("request", "steps", "result")}
    phase = None if fit.is_terminal else fit.phase
    own = {"dataset": fit.request.spec.dataset.id, "objective": fit.request.objective, "phase": phase}
    return SimpleNamespace(**{**shown, **own})


def to_answer(fit: Fit, results: Sequence[TrialResult], summary: str, time: float) -> SimpleNamespace:
    """The object that FitSchema serializes; `time` is now, in unix seconds."""
    board, request, end = standings(fit, results), fit.request, fit.result or {}
    spent = max(0.0, (fit.finished_at or time) - fit.started_at) / 60 if fit.started_at else 0.0
    return SimpleNamespace(
        **vars(to_entry(fit)),
        spec=request.spec,
        seeds=request.seeds,
        folds=request.folds,
        space=_space(request.space),
        budget={"minutes": request.minutes, "jobs": request.jobs, "spent_minutes": spent, "spent_jobs": len(results)},
        base=end.get("base") if fit.is_terminal else _model(next((s for s in board if s.trial == BASE), None)),
        best=end.get("best") if fit.is_terminal else _model(next((s for s in board if s.mean is not None), None)),
        leaderboard=board,
        steps=[_step(step, outcome_words(fit, step)) for step in fit.steps],
        summary=summary,
        **{name: end.get(name) for name in ("gain", "test", "importance", "error", "ensemble")},
    )


def links(fit_id: str) -> dict[str, str]:
    """The addresses of a fit, of its cancellation, its events, its report, and the files of its model."""
    own = local(f"/v1/fits/{fit_id}")
    more = ("cancel", "events", "artifacts")
    return {"self": own, **{name: f"{own}/{name}" for name in more}, "report": f"{own}/artifacts/fit.md"}


def _space(space: Space) -> dict[str, Any]:
    return {path: values.to_dict() for path, values in space.items()}


def _model(standing: Standing | None) -> SimpleNamespace | None:
    """A trial of a running fit, as ModelSchema serializes it."""
    if standing is None:
        return None
    return SimpleNamespace(**vars(standing), val_accuracy=standing.accuracy, mean_val_loss=standing.mean)


def _step(step: FitStep, outcome: str | None) -> SimpleNamespace:
    return SimpleNamespace(**vars(step) | {"why": step.data["why"], "outcome": outcome})
