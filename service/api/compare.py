"""The resource /v1/compare."""

from typing import Any

from service.api.blueprint import Blueprint
from service.api.pairs import pairs_with_first
from service.core.experiments.comparison import Comparison, compare
from service.http.auth import tenant
from service.schemas.compare import CompareQuerySchema, ComparisonSchema
from service.services import services

blueprint = Blueprint("compare", __name__, url_prefix="/v1/compare", description="Comparisons of jobs")


@blueprint.route("")
@blueprint.arguments(CompareQuerySchema, location="query")
@blueprint.response(200, ComparisonSchema)
def comparison(query: dict[str, Any]) -> Comparison:
    """Compare jobs: the differences of their specs and their results, with the noise"""
    jobs, seconds = services().store.queries.get_many(tenant(), query["jobs"])
    return compare(jobs, seconds, pairs_with_first(jobs))
