"""The page that says what a model sees in pictures: the answer to the form on the page of a job, without scripts."""

from service.api.predict import predictions
from service.http.auth import tenant
from service.services import services
from service.web.blueprint import blueprint, page

SIMILAR = 4  # validation images beside the classes; try.js shows as many
MOST_BARS = 10  # classes that are shown, the most probable first; try.js shows as many


@blueprint.post("/jobs/<job_id>/try")
def try_picture(job_id: str) -> str:
    """Classify the pictures of a form with the best model of an ended job"""
    said = [
        {
            "name": one["name"],
            "bars": sorted(one["probabilities"].items(), key=lambda pair: -pair[1])[:MOST_BARS],
            "similar": one["similar"],
        }
        for one in predictions(job_id, SIMILAR)
    ]
    return page("picture", job=services().store.queries.get(tenant(), job_id), said=said)
