"""The page with the pictures of a job that the model guesses wrong, or of one cell of its confusion matrix."""

from flask import request

from service.api.evaluated import evaluated_job, published_predictions
from service.rendering.evaluation_document import mistakes as described
from service.web.blueprint import blueprint, page

MOST = 100  # pictures on the page


@blueprint.get("/jobs/<job_id>/mistakes")
def mistakes(job_id: str) -> str:
    """Show mistakes of the best model of an ended job, the highest loss first"""
    job, published = published_predictions(job_id)
    evaluated = evaluated_job(job, published)
    label, guess = (request.args.get(name) for name in ("label", "guess"))
    cell = evaluated.cell(label, guess)
    part = evaluated.part(request.args.get("part"))
    found = evaluated.evaluation(part)
    rows = found.mistakes(len(found.outcomes), **cell)
    return page(
        "mistakes",
        job=job,
        part=part,
        label=label,
        guess=guess,
        total=len(rows),
        has_images=evaluated.has_images,
        shown=described(found, evaluated.classes, rows[:MOST].tolist(), evaluated.image),
    )
