"""Fills the options that a request leaves open with the choices of the recipe that its spec names."""

from typing import Any

from marshmallow import Schema, ValidationError

from service.core.experiments.filling import filled, left_open
from service.core.experiments.recipes import Choice, DataFacts, recipes_for
from service.core.records.dataset import Contents
from service.core.spec import Dataset, build
from service.http.auth import tenant
from service.schemas.experiments import ExperimentRequestSchema
from service.schemas.spec import JobSpecSchema, schema_of
from service.services import services

DATASET = schema_of(Dataset)()


def chosen(spec: Any) -> tuple[Choice, ...]:
    """The choices of the recipe that a spec (unchecked plain data) names, without what it gives itself.

    None without a recipe, and without a data set that the recipe can be made for: the checks of the spec report
    the reason.
    """
    if not isinstance(spec, dict) or not spec.get("recipe"):
        return ()
    given: Any = spec.get("dataset")
    try:
        dataset = build(Dataset, DATASET.load(given))
    except ValidationError:
        return ()
    contents = services().submission.contents(tenant(), dataset.id)
    return _of(spec, contents, dataset) if contents else ()


def _of(spec: dict[str, Any], contents: Contents, dataset: Dataset) -> tuple[Choice, ...]:
    for recipe in recipes_for(DataFacts.of(contents, dataset)):
        if recipe.name == spec["recipe"]:
            return left_open(spec, recipe)
    return ()


def with_recipe(body: Any, schema: Schema) -> Any:
    """The body of a request, its spec filled by the recipe that it names."""
    if isinstance(schema, JobSpecSchema):
        return _filled(body)
    if isinstance(schema, ExperimentRequestSchema) and isinstance(body, dict):
        return {**body, **({"spec": _filled(body["spec"])} if "spec" in body else {})}
    return body


def _filled(spec: Any) -> Any:
    choices = chosen(spec)
    return filled(spec, choices) if choices else spec
