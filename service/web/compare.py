"""The page that compares jobs: one chart, the differences of the specs, and the results."""

import re

from flask import request

from service.api.pairs import pairs_with_first
from service.core.experiments.comparison import compare as compared
from service.core.experiments.comparison import in_short
from service.core.spec.diff import differing
from service.http.auth import tenant
from service.schemas.compare import FEWEST, MOST
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.format import titles

ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@blueprint.get("/compare")
def compare() -> str:
    """Compare two to eight jobs with the first"""
    given = [*request.args.getlist("job"), *request.args.get("jobs", "").split(",")]
    ids = [job_id for job_id in dict.fromkeys(given) if ID.fullmatch(job_id)]
    if not FEWEST <= len(ids) <= MOST:
        return page("compare", comparison=None, jobs=[], count=len(ids), fewest=FEWEST, most=MOST, spec=[])
    jobs, seconds = services().store.queries.get_many(tenant(), ids)
    if request.args.getlist("job"):  # selected in the list of jobs, which has the newest first
        jobs = tuple(sorted(jobs, key=lambda job: job.created_at))
    comparison, names = compared(jobs, seconds, pairs_with_first(jobs)), titles(jobs)
    return page(
        "compare",
        comparison=comparison,
        titles=names,
        verdicts=[in_short(difference) for difference in comparison.differences],
        notes=[_named(difference.note, names) for difference in comparison.differences],
        summary=[_named(sentence, names) for sentence in comparison.summary],
        jobs=jobs,
        count=len(jobs),
        fewest=FEWEST,
        most=MOST,
        spec=differing({job.id: job.spec.to_dict() for job in jobs}),
    )


def _named(sentence: str, titles: dict[str, str]) -> str:
    """The sentence with the titles of jobs in place of their ids."""
    return re.sub("|".join(map(re.escape, titles)), lambda match: titles[match[0]], sentence)
