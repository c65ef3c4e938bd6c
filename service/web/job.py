"""The page of a job: curves, diagnosis, advice, settings, files and log."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import request, url_for

from service.api import diagnosis
from service.api.pairs import pairs_with_first, pairs_with_parents
from service.core.diagnosis import Verdict
from service.core.diagnosis.named_points import named_points
from service.core.errors import NotFound
from service.core.experiments.comparison import in_words, with_error
from service.core.experiments.counterfactual import Setting, replay
from service.core.experiments.difference import NO_PAIRS, difference
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.epoch import Epoch
from service.core.records.job import Job, Phase, Status
from service.core.records.job_event import Event
from service.core.records.lineage import Relative
from service.core.spec.diff import Differing, differing
from service.http.auth import may, tenant
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.evaluation import evaluation
from service.web.side_by_side import trial
from service.web.time_left import time_left

PATIENCES, MIN_DELTAS = (1, 3, 5, 10, 20), (0.0, 0.001, 0.01)  # settings of the table about early stopping
EVENTS = 200  # the newest
LOGGED = 100  # log entries, the newest
SHOWN_ELSEWHERE = ("epoch", "facts")  # events that the curves and the log show
DOUBTS = (Verdict.SUSPECTED_LEAKAGE, Verdict.SMALL_VALIDATION)  # verdicts that cast doubt on a good score
HIDDEN = ("request_id",)  # members of events for those who search the logs of the service
DOWNLOADS = {  # the files that most people want, with words for them
    "best_model.pth": "Weights for PyTorch",
    "model.py": "Code that loads the weights",
    "model.onnx": "Model for any runtime",
    "labels.json": "Class names",
}
ACTIONS = {
    "pause": ("POST", "jobs.pause"),
    "resume": ("POST", "jobs.resume"),
    "cancel": ("POST", "jobs.cancel"),
    "retry": ("POST", "jobs.retry"),
    "delete": ("DELETE", "jobs.OneJob"),
}


@blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> str:
    """Show a job"""
    shown, epochs = services().store.queries.history(tenant(), job_id)
    events = services().store.queries.newest_events(tenant(), job_id, SHOWN_ELSEWHERE, EVENTS)
    artifacts = services().store.queries.artifacts(tenant(), job_id)
    parent, family = _parent(shown), services().store.queries.lineage(tenant(), job_id)
    diagnosed = diagnosis.to_answer(shown, epochs)
    evaluated = evaluation(shown, artifacts, request.args.get("part"))
    return page(
        "job",
        job=shown,
        last=epochs[-1] if epochs else None,
        left=time_left(shown, epochs),
        position=services().wakeups.position(job_id) if shown.phase is Phase.TRAINING else None,
        diagnosis=diagnosed,
        is_good=diagnosed["verdict"] not in DOUBTS
        and bool(evaluated["headline"] and evaluated["headline"].is_nearly_perfect),
        recommended=_recommended(diagnosed["advice"]),
        named=[asdict(point) for point in named_points(epochs, diagnosed["summary"], diagnosed["onset_epoch"])],
        trial=trial(shown, diagnosed["advice"]) if shown.is_terminal else None,
        DOWNLOADS=DOWNLOADS,
        settings=_settings(shown, epochs),
        against="its parent" if parent else f"the defaults with {shown.spec.model.arch}",
        changed=_changed(shown, parent),
        parent=parent,
        dataset=_dataset(shown),
        against_parent=_against(shown, parent) if parent else None,
        forks=[kin for kin in family if kin.parent == job_id],
        fork_differences=_fork_differences(job_id, family),
        artifacts=artifacts,
        evaluation=evaluated,
        events=[{"at": event.at, "words": _line(event)} for event in events],
        log=services().store.queries.log(tenant(), job_id, 0, LOGGED)[1],
        actions=_actions(shown),
    )


def _recommended(advice: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first advice that a button of the page carries out, otherwise the first one; None without any."""
    return next((each for each in advice if each["patch"] or each["action"]), next(iter(advice), None))


def _settings(job: Job, epochs: tuple[Epoch, ...]) -> tuple[Setting, ...]:
    """The results of other settings of early stopping; none until the job has ended."""
    if not job.is_terminal or not epochs:
        return ()
    return replay(epochs, job.spec, PATIENCES, MIN_DELTAS, job.stop_reason)


def _parent(job: Job) -> Job | None:
    """The job that this one was forked from, unless it was deleted."""
    try:
        return services().store.queries.get(tenant(), job.parent) if job.parent else None
    except NotFound:
        return None


def _against(job: Job, parent: Job) -> str | None:
    """The effect of a fork in words, None if it is not known."""
    measured = difference(job, parent, pairs_with_first([parent, job]).get(job.id, NO_PAIRS))
    if measured.validation.loss is None:
        return None
    return f"Best validation loss against it: {with_error(measured.validation)}, {in_words(measured)}."


def _fork_differences(job_id: str, family: Sequence[Relative]) -> dict[str, str]:
    """By id, the effect of each fork of the job that was scored on the same images."""
    own = [kin for kin in family if job_id in (kin.id, kin.parent)]
    return {fork: with_error(part) for fork, part in pairs_with_parents(tenant(), own).items()}


def _dataset(job: Job) -> str | None:
    """The name of its data set, None if it was deleted."""
    used = job.spec.dataset.id
    return used if used in BUILT_IN else services().catalog.names(tenant(), [used]).get(used)


def _changed(job: Job, parent: Job | None) -> tuple[Differing, ...]:
    """The differences from the spec of the parent, without one from the defaults of the network."""
    usual = parent.spec if parent else job.spec.of_defaults()
    return differing({"before": usual.to_dict(), "now": job.spec.to_dict()})


def _actions(job: Job) -> list[dict[str, str]]:
    """The actions that the state of the job and the key of the request allow."""
    return [
        {"name": name, "method": method, "address": url_for(endpoint, job_id=job.id)}
        for name, (method, endpoint) in ACTIONS.items()
        if name in _possible(job) and may(method, endpoint)
    ]


def _possible(job: Job) -> list[str]:
    if job.is_terminal:
        return ["retry", "delete"] if job.status is Status.FAILED else ["delete"]
    if job.cancel_requested:
        return []
    is_held = job.status is Status.PAUSED or job.pause_requested
    return ["resume" if is_held else "pause", "cancel"]


def _line(event: Event) -> str:
    """An event as one line."""
    plain: dict[str, Any] = {
        name: value for name, value in event.data.items() if not isinstance(value, (dict, list)) and name not in HIDDEN
    }
    if event.type == "diagnosis":
        return f"{plain['verdict'].replace('_', ' ')}: {plain['summary']}"
    if event.type in plain:
        return ", ".join(str(value) for value in plain.values() if value is not None)
    rest = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in plain.items() if value is not None)
    return f"{event.type.replace('_', ' ')}{': ' if rest else ''}{rest}"
