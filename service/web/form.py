"""The form of a new job, which also shows the request as a command."""

from collections.abc import Mapping
from typing import Any

from flask import request, url_for

from service.http.auth import tenant
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.dataset_choices import DEFAULT_DATASET, dataset_choices
from service.web.options import ESSENTIAL, archs, sections


@blueprint.get("/new")
def new() -> str:
    """Create a job from the defaults or from another job"""
    like = request.args.get("like")
    spec = services().store.queries.get(tenant(), like).spec.to_dict() if like else {}
    if dataset := request.args.get("dataset"):
        spec["dataset"] = {**spec.get("dataset", {}), "id": dataset}
    parts = sections()
    every = {option.pointer: option for part in parts for option in part.inputs}
    return page(
        "new",
        essential=[every[pointer] for pointer in ESSENTIAL],
        sections=parts,
        given={option.id: _at(spec, option.pointer, option.default) for part in parts for option in part.inputs},
        present={
            pointer: _at(spec, pointer, {} if usual else None) is not None
            for part in parts
            for pointer, usual in part.optional.items()
        },
        archs=archs(),
        datasets=dataset_choices(),
        dataset=spec.get("dataset", {}).get("id", DEFAULT_DATASET),
        submit=url_for("jobs.Jobs"),
        needs_key=services().settings.auth == "keys",
        like=like,
    )


def _at(spec: Mapping[str, Any], pointer: str, default: Any) -> Any:
    """The value of the spec at a pointer, else the default."""
    inner: Any = spec
    for name in pointer.split("/")[1:]:
        if not isinstance(inner, Mapping) or name not in inner:
            return default
        inner = inner[name]
    return inner
