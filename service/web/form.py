"""The form that makes a spec, and shows the same as a command."""

from collections.abc import Mapping
from typing import Any

from flask import request, url_for

from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import DatasetStatus
from service.http.auth import tenant
from service.schemas.pages import MAX_PAGE
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.options import ESSENTIAL, archs, sections

DEFAULT_DATASET = "digits"


@blueprint.get("/new")
def new() -> str:
    """Make a job, from nothing or like another one"""
    like = request.args.get("like")
    spec = services().store.queries.get(tenant(), like).spec.to_dict() if like else {}
    if dataset := request.args.get("dataset"):
        spec["dataset"] = {**spec.get("dataset", {}), "id": dataset}
    found = sections()
    every = {option.pointer: option for section in found for option in section.inputs}
    own = services().catalog.list(tenant(), MAX_PAGE).items
    return page(
        "new",
        essential=[every[pointer] for pointer in ESSENTIAL],
        sections=found,
        given={option.id: _at(spec, option.pointer, option.default) for option in _all(found)},
        present={
            pointer: _at(spec, pointer, {} if usual else None) is not None
            for section in found
            for pointer, usual in section.optional.items()
        },
        archs=archs(),
        datasets={
            **{one.id: f"{one.name} ({one.id})" for one in own if one.status is DatasetStatus.READY},
            **{name: f"{name}: {one.name}" for name, one in BUILT_IN.items()},
        },
        dataset=spec.get("dataset", {}).get("id", DEFAULT_DATASET),
        submit=url_for("jobs.Jobs"),
        needs_key=services().settings.auth == "keys",
        like=like,
    )


def _all(found: Any) -> list[Any]:
    return [option for section in found for option in section.inputs]


def _at(spec: Mapping[str, Any], pointer: str, default: Any) -> Any:
    """What the spec says there; the default where it says nothing."""
    inner: Any = spec
    for name in pointer.split("/")[1:]:
        if not isinstance(inner, Mapping) or name not in inner:
            return default
        inner = inner[name]
    return inner
