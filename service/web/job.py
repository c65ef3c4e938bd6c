"""The page of a job: its curves, what they show and what to do about it."""

from typing import Any

from flask import url_for

from service.api import diagnosis
from service.core.errors import NotFound
from service.core.experiments.counterfactual import Setting, replay
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.epoch import Epoch
from service.core.records.job import Job, Status
from service.core.records.job_event import Event
from service.core.spec import JobSpec
from service.core.spec.diff import Differing, differing
from service.http.auth import may, tenant
from service.services import services
from service.web.blueprint import blueprint, page

PATIENCES, MIN_DELTAS = (1, 3, 5, 10, 20), (0.0, 0.001, 0.01)  # of the table of what would have been
TOLD = 200  # events, the newest
LOGGED = 100  # lines of its log, the newest
SHOWN_ELSEWHERE = ("epoch", "facts")  # events of which the curves and the log tell
ACTIONS = {
    "pause": ("POST", "jobs.pause"), "resume": ("POST", "jobs.resume"), "cancel": ("POST", "jobs.cancel"),
    "retry": ("POST", "jobs.retry"), "delete": ("DELETE", "jobs.OneJob"),
}  # fmt: skip


@blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> str:
    """A job as it stands"""
    found, epochs = services().store.queries.history(tenant(), job_id)
    events = services().store.queries.newest_events(tenant(), job_id, SHOWN_ELSEWHERE, TOLD)
    parent = _parent(found)
    return page(
        "job",
        job=found,
        last=epochs[-1] if epochs else None,
        diagnosis=diagnosis.told(found, epochs),
        settings=_settings(found, epochs),
        against="its parent" if parent else "the defaults",
        changed=_changed(found, parent),
        parent=parent,
        dataset=_dataset(found),
        forks=[kin for kin in services().store.queries.lineage(tenant(), job_id) if kin.parent == job_id],
        artifacts=services().store.queries.artifacts(tenant(), job_id),
        events=[{"at": event.at, "words": _words(event)} for event in events],
        log=services().store.queries.log(tenant(), job_id, 0, LOGGED)[1],
        actions=_actions(found),
    )


def _settings(found: Job, epochs: tuple[Epoch, ...]) -> tuple[Setting, ...]:
    """What other settings of early stopping would have done, once the job has ended."""
    if not found.is_terminal or not epochs:
        return ()
    return replay(epochs, found.spec, PATIENCES, MIN_DELTAS, found.stop_reason)


def _parent(found: Job) -> Job | None:
    """The job that this one was forked from, where it is still there."""
    try:
        return services().store.queries.get(tenant(), found.parent) if found.parent else None
    except NotFound:
        return None


def _dataset(found: Job) -> str | None:
    """The name of its data set, None where that was deleted."""
    used = found.spec.dataset.id
    return used if used in BUILT_IN else services().catalog.names(tenant(), [used]).get(used)


def _changed(found: Job, parent: Job | None) -> tuple[Differing, ...]:
    """Where the spec differs from its parent's, else from the defaults of its network."""
    own = found.spec.to_dict()
    plain = {"dataset": {"id": found.spec.dataset.id}, "model": {"arch": own.get("model", {}).get("arch", "cnn")}}
    usual = parent.spec if parent else JobSpec.from_dict(plain).filled(found.spec.seed or 0)
    return differing({"before": usual.to_dict(), "now": own})


def _actions(found: Job) -> list[dict[str, str]]:
    """What can be done to the job as it stands, by whoever is asking."""
    return [
        {"name": name, "method": method, "address": url_for(endpoint, job_id=found.id)}
        for name, (method, endpoint) in ACTIONS.items()
        if name in _possible(found) and may(method, endpoint)
    ]


def _possible(found: Job) -> list[str]:
    if found.is_terminal:
        return ["retry", "delete"] if found.status is Status.FAILED else ["delete"]
    if found.cancel_requested:
        return []
    is_held = found.status is Status.PAUSED or found.pause_requested
    return ["resume" if is_held else "pause", "cancel"]


def _words(event: Event) -> str:
    """An event in a line."""
    told: dict[str, Any] = {name: value for name, value in event.data.items() if not isinstance(value, (dict, list))}
    if event.type == "diagnosis":
        return f"{told['verdict'].replace('_', ' ')}: {told['summary']}"
    if event.type in told:
        return ", ".join(str(value) for value in told.values() if value is not None)
    rest = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items() if value is not None)
    return f"{event.type.replace('_', ' ')}{': ' if rest else ''}{rest}"
