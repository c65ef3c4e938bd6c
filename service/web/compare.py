"""Jobs beside each other: one chart of all, what differs in their specs, and what it did."""

import re

from flask import request

from service.core.experiments.comparison import compare as compared
from service.core.spec.diff import differing
from service.http.auth import tenant
from service.schemas.compare import FEWEST, MOST
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.words import titles

ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@blueprint.get("/compare")
def compare() -> str:
    """Two to eight jobs, the others held against the first"""
    given = [*request.args.getlist("job"), *request.args.get("jobs", "").split(",")]
    wanted = [one for one in dict.fromkeys(given) if ID.fullmatch(one)]
    if not FEWEST <= len(wanted) <= MOST:
        return page("compare", found=None, jobs=[], count=len(wanted), fewest=FEWEST, most=MOST, spec=[])
    jobs, seconds = services().store.queries.get_many(tenant(), wanted)
    if request.args.getlist("job"):  # ticked in the list, which has the newest first
        jobs = tuple(sorted(jobs, key=lambda job: job.created_at))
    found, called = compared(jobs, seconds), titles(jobs)
    return page(
        "compare",
        found=found,
        titles=called,
        summary=[_named(sentence, called) for sentence in found.summary],
        jobs=jobs,
        count=len(jobs),
        fewest=FEWEST,
        most=MOST,
        spec=differing({job.id: job.spec.to_dict() for job in jobs}),
    )


def _named(sentence: str, titles: dict[str, str]) -> str:
    """A sentence that speaks of jobs by their titles and not by their ids."""
    return re.sub("|".join(map(re.escape, titles)), lambda found: titles[found[0]], sentence)
