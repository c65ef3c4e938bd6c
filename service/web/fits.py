"""The pages of fits: the list with a form to start one, and one page for each."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request, url_for

from service.core.diagnosis.cures import CURES
from service.core.errors import NotFound
from service.core.experiments.fits.learned import learned_effects
from service.core.experiments.fits.words import summary
from service.core.records.artifact_names import BEST_MODEL, ONNX
from service.core.records.fit import Fit
from service.core.records.job import Job
from service.core.spec.parts import LOSSES
from service.core.text import MINUTE
from service.core.text.slug import slug
from service.http.auth import may, tenant
from service.rendering import curves_svg
from service.rendering.fit_report import cost
from service.rendering.fit_svg import draw_fit
from service.schemas.fit_request import LEAST_MINUTES, MOST_MINUTES
from service.schemas.fits import to_answer
from service.schemas.pages import cursor
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.dataset_choices import DEFAULT_DATASET, dataset_choices
from service.web.evaluation import evaluation
from service.web.jobs import position

PAGE = 50  # fits
MINUTES = {"usual": 10, "least": LEAST_MINUTES, "most": MOST_MINUTES}  # of a fit, in the forms
SHOWN = 30  # trials and decisions; the report has all of them


@dataclass(frozen=True)
class Row:
    """A model beside others: its name, the job that has it (None for guessing), its loss in nats and its accuracy."""

    name: str
    job: str | None
    loss: float | None
    accuracy: float | None


@blueprint.get("/fits")
def fits() -> str:
    """List fits, newest first"""
    found = services().fits.list(tenant(), PAGE, position())
    names = _dataset_names(found.items)
    return page(
        "fits",
        fits=found.items,
        names=names,
        titles={fit.id: _title(fit, names[fit.request.spec.dataset.id]) for fit in found.items},
        next=cursor(found.next_seq),
        datasets=dataset_choices(),
        dataset=request.args.get("dataset", DEFAULT_DATASET),
        learned=learned_effects(services().lessons.newest(tenant())),
        cures=CURES,
        minutes=MINUTES,
    )


@blueprint.get("/fits/<fit_id>")
def fit(fit_id: str) -> str:
    """Show a fit"""
    found = services().fits.get(tenant(), fit_id)
    results = services().fits.results(found)
    answer = to_answer(found, results, summary(found), time.time())
    base, best = (_job(model) for model in (answer.base, answer.best))
    published = services().store.queries.artifacts(tenant(), best.id) if best and found.is_terminal else ()
    names = {artifact.name for artifact in published}
    dataset = _dataset_names([found])[found.request.spec.dataset.id]
    return page(
        "fit",
        fit=answer,
        title=_title(found, dataset),
        stem=slug(_title(found, dataset)) or found.id,
        dataset=dataset,
        ensemble=list(_ensemble(answer)),
        is_ended=found.is_terminal,
        is_cancelling=found.cancel_requested and not found.is_terminal,
        progress=_progress(found, answer.budget),
        models=_models(answer, base),
        cost=cost(answer.leaderboard, results),
        kept_job=best if found.is_terminal else None,
        evaluation=evaluation(best, published, None) if best and found.is_terminal else None,
        unit="nats" if found.request.objective in LOSSES else "of the predictions wrong",
        frame=curves_svg,
        drawing=draw_fit(found),
        shown=SHOWN,
        best_job=best if ONNX in names else None,
        model=BEST_MODEL if BEST_MODEL in names else None,
        actions=_actions(found),
    )


def _dataset_names(fits: Sequence[Fit]) -> dict[str, str]:
    """The names of the data sets of fits by their ids; a deleted one has its id."""
    ids = [fit.request.spec.dataset.id for fit in fits]
    own = services().catalog.names(tenant(), ids)
    return {one: own.get(one, one) for one in ids}


def _title(fit: Fit, dataset: str) -> str:
    return fit.name or f"Fit of {dataset}"


def _ensemble(answer: Any) -> Iterator[dict[str, Any]]:
    """The scores of the ensemble and of the best single model, part by part."""
    for part in ("validation", "test"):
        if not (answer.ensemble and (scores := answer.ensemble[part])):
            continue
        yield {
            "images": f"{scores['images']:,} {part}",
            "model": "ensemble",
            **{name: scores[name] for name in ("loss", "loss_interval", "accuracy", "accuracy_interval")},
            "against": scores["against_best"],
        }
        if best := _best_scores(answer, part):
            yield {"images": "", "model": "best single model", "against": None, **best}


def _best_scores(answer: Any, part: str) -> dict[str, Any] | None:
    """The scores of the best single model on a part, None without any."""
    if part == "test":
        test = answer.test
        names = ("loss", "loss_interval", "accuracy", "accuracy_interval")
        return {name: test[name] for name in names} if test else None
    row = _row("best", answer.best)
    return {"loss": row.loss, "loss_interval": None, "accuracy": row.accuracy, "accuracy_interval": None}


def _job(model: Any) -> Job | None:
    """The job of a model as the API shows it, None if it was deleted."""
    if model is None:
        return None
    job_id = model["job"] if isinstance(model, Mapping) else model.job
    try:
        return services().store.queries.get(tenant(), job_id)
    except NotFound:
        return None


def _progress(fit: Fit, budget: Mapping[str, Any]) -> dict[str, Any]:
    """What was spent of the budget. `left` is in seconds, None for a budget of jobs."""
    if fit.request.minutes is None:
        return {"spent": budget["spent_jobs"], "most": budget["jobs"], "left": None}
    spent = min(budget["spent_minutes"], budget["minutes"])
    return {"spent": spent, "most": budget["minutes"], "left": MINUTE * (budget["minutes"] - spent)}


def _models(answer: Any, base: Job | None) -> list[Row]:
    """The best model beside the base and beside a guess by the shares of the classes."""
    named = (("best", answer.best), ("base", answer.base))
    rows = [_row(name, model) for name, model in named if model is not None]
    if base and base.facts:
        rows.append(Row("guessing", None, base.facts.trivial_loss, base.facts.trivial_accuracy))
    return rows


def _row(name: str, model: Any) -> Row:
    shown = model if isinstance(model, Mapping) else vars(model)
    return Row(f"{name}, trial {shown['trial']}", shown["job"], shown["val_loss"], shown["val_accuracy"])


def _actions(fit: Fit) -> list[dict[str, str]]:
    """The action that the state of the fit and the key of the request allow."""
    if fit.is_terminal:
        name, method, endpoint = "delete", "DELETE", "fits.OneFit"
    elif fit.cancel_requested:
        return []
    else:
        name, method, endpoint = "cancel", "POST", "fits.cancel"
    address = url_for(endpoint, fit_id=fit.id)
    return [{"name": name, "method": method, "address": address}] if may(method, endpoint) else []
