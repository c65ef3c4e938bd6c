"""The links of a job, derived from the routes of the app: a new route below a job becomes a link by itself."""

from urllib.parse import quote

from flask import Flask, current_app, request

JOBS = "/v1/jobs"
NAMES = "rightfit.job_links"  # the key of the derived names among the app's extensions


def register(app: Flask) -> None:
    """Find the resources below a job. Call it when all blueprints are registered."""
    below = f"{JOBS}/<job_id>/"
    of_jobs = {blueprint.name for blueprint in app.blueprints.values() if blueprint.url_prefix == JOBS}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in of_jobs]
    paths = (rule.rule.removeprefix(below) for rule in rules if rule.rule.startswith(below))
    app.extensions[NAMES] = tuple(dict.fromkeys(path for path in paths if path.isidentifier()))


def local(path: str) -> str:
    """The path of a resource as the client sees it: a proxy may add a prefix."""
    return request.script_root + path


def job_links(job_id: str) -> dict[str, str]:
    """The address of a job and of each resource below it, by name."""
    base = local(f"{JOBS}/{quote(job_id)}")
    return {"self": base} | {name: f"{base}/{name}" for name in current_app.extensions[NAMES]}
