"""A person who follows the first advice by hand, for as long as a fit has."""

import time
from dataclasses import dataclass, field

from service.client import Rightfit
from tests.benchmarks.fits.systems import Json


@dataclass
class Followed:
    """The job with the lowest validation loss, and each job that was tried: its advice, and its loss."""

    best: str
    steps: list[Json] = field(default_factory=list)


def follow_advice(client: Rightfit, spec: Json, seconds: float) -> Followed:
    """Train the spec, then fork it by the first advice that was not tried on the present best job, one at a time.

    A fork that lowers val_loss is kept. It ends after these seconds, or when no advice is left. A job that is not
    finished by then is cancelled, unless it is the first. Raises RuntimeError if the first job fails.
    """
    deadline = time.monotonic() + seconds
    best = client.wait(client.submit(spec)["id"])
    if best["status"] != "succeeded":
        raise RuntimeError(f"the first job ended as {best['status']}: {best['error']}")
    followed, tried = Followed(best["id"], [_step(None, best)]), set[str]()
    while (advice := _first_advice(client, followed.best, tried)) and time.monotonic() < deadline:
        tried.add(advice)
        job = _wait_until(client, client.fork(followed.best, advice)["id"], deadline)
        followed.steps.append(_step(advice, job))
        if job["status"] == "succeeded" and job["best"]["val_loss"] < best["best"]["val_loss"]:
            best, tried = job, set()
            followed.best = job["id"]
    return followed


def _first_advice(client: Rightfit, job_id: str, tried: set[str]) -> str | None:
    """The first advice that changes the spec of the job and was not tried on it."""
    advice: list[Json] = client.diagnose(job_id)["advice"]
    return next((one["id"] for one in advice if one["patch"] and one["id"] not in tried), None)


def _wait_until(client: Rightfit, job_id: str, deadline: float) -> Json:
    """The job when it has ended; it is cancelled at the deadline."""
    for job in client.changes(job_id):
        if time.monotonic() > deadline and not job["is_terminal"]:
            client.cancel(job_id)
    return client.job(job_id)


def _step(advice: str | None, job: Json) -> Json:
    return {
        "advice": advice,
        "status": job["status"],
        "val_loss": job["best"]["val_loss"] if job["best"] else None,
    }
