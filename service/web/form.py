"""The form of a new job: what to train on, for which goal, and every option in case of need."""

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request, url_for

from service.api.epoch_times import times
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import Dataset
from service.http.auth import tenant
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.dataset_choices import DEFAULT_DATASET, trainable
from service.web.fits import MINUTES
from service.web.networks import networks
from service.web.options import MAIN, archs, sections

SEED = 1  # of every new form: jobs on one data set are scored on the same images
FIT = "fit"  # the goal that starts a fit; all others start a job
GOALS = {  # the recipe of each goal, with words for it
    "good": ("Good model", "a network with batch normalization and augmentation; some minutes"),
    "quick": ("Quick look", "small pictures and few epochs; about a minute"),
    FIT: (
        "Best in some minutes",
        "a search: tries changes of your settings, and keeps those that are proved to be better",
    ),
    "": ("My own settings", "the defaults of the API, with your changes below"),
}


@blueprint.get("/new")
def new() -> str:
    """Create a job from a recipe, from the defaults or from another job; or a fit"""
    asked = request.args.get("like")
    like = services().store.queries.get(tenant(), asked) if asked else None
    spec: dict[str, Any] = {"seed": SEED, "recipe": "good"}
    if like:
        spec = like.spec.to_dict()
    if dataset := request.args.get("dataset"):
        spec["dataset"] = {**spec.get("dataset", {}), "id": dataset}
    parts = sections()
    every = {option.pointer: option for part in parts for option in part.inputs}
    given = {option.id: _at(spec, option.pointer, option.default) for part in parts for option in part.inputs}
    chosen = [option for option in every.values() if given[option.id] != option.default]
    return page(
        "new",
        main={pointer: every[pointer] for pointer in MAIN},
        sections=parts,
        given=given,
        changed={part.title for part in parts if like and any(option in chosen for option in part.inputs)},
        present={
            pointer: _at(spec, pointer, {} if usual else None) is not None
            for part in parts
            for pointer, usual in part.optional.items()
        },
        goals=GOALS,
        goal=_goal(spec),
        minutes=MINUTES,
        archs=archs(),
        networks=networks(),
        datasets=_datasets(),
        dataset=spec.get("dataset", {}).get("id", DEFAULT_DATASET),
        submit=url_for("jobs.Jobs"),
        needs_key=services().settings.auth == "keys",
        like=like,
    )


def _goal(spec: Mapping[str, Any]) -> str:
    """The goal of the query, else that of the spec."""
    asked = request.args.get("goal", "")
    return asked if asked in GOALS and asked else spec.get("recipe") or ""


def _datasets() -> dict[str, dict[str, Any]]:
    """What the form shows of each data set that can be trained on, by its id: the own ones first."""
    found = trainable()
    jobs = services().store.queries.counts_on(tenant(), [one.id for one in found])
    return {one.id: _shown(one, jobs.get(one.id, 0)) for one in found}


def _shown(dataset: Dataset, jobs: int) -> dict[str, Any]:
    contents = dataset.contents
    assert contents is not None, "a data set that is ready has contents"
    channels, height, width = contents.shape
    return {
        "name": dataset.id if dataset.id in BUILT_IN else dataset.name,
        "samples": contents.samples,
        "classes": len(contents.classes),
        "size": f"{width}x{height}" if contents.is_uniform else "several sizes",
        "colour": "grey" if channels == 1 else "colour",
        "parts": contents.parts or {},
        "sheet": url_for("datasets.pictures", dataset_id=dataset.id) if dataset.packed else None,
        "jobs": jobs,
    }


@blueprint.get("/new/times/<dataset_id>")
def epoch_times(dataset_id: str) -> Response:
    """Get the estimated seconds of an epoch on a data set, by network"""
    contents = services().submission.contents(tenant(), dataset_id)
    return jsonify(times(dataset_id, contents) if contents else {})


def _at(spec: Mapping[str, Any], pointer: str, default: Any) -> Any:
    """The value of the spec at a pointer, else the default."""
    inner: Any = spec
    for name in pointer.split("/")[1:]:
        if not isinstance(inner, Mapping) or name not in inner:
            return default
        inner = inner[name]
    return inner
