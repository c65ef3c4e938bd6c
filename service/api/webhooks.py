"""The resource /v1/webhooks, and the deliveries about a job or a fit."""

from typing import Any

from flask.views import MethodView

from service.api.blueprint import Blueprint
from service.core.errors import Invalid
from service.core.webhooks.addresses import fault
from service.http.auth import tenant
from service.schemas.webhooks import AnswerSchema, DeliveriesSchema, SecretSchema, TryOutSchema
from service.services import services

blueprint = Blueprint("webhooks", __name__, url_prefix="/v1", description="Signed messages about jobs and fits")


@blueprint.route("/webhooks/secret")
class Secret(MethodView):
    @blueprint.response(200, SecretSchema)
    def get(self) -> Any:
        """Get the secret that signs your messages"""
        return {"secret": services().webhooks.secret(tenant())}

    @blueprint.response(200, SecretSchema)
    def post(self) -> Any:
        """Create a new secret; for one day messages are signed with the old one too"""
        return {"secret": services().webhooks.change_secret(tenant())}


@blueprint.route("/webhooks/test", methods=["POST"])
@blueprint.arguments(TryOutSchema)
@blueprint.response(200, AnswerSchema)
def try_out(given: dict[str, Any]) -> Any:
    """Send a signed message of type `test` to an address"""
    if wrong := fault(given["url"], services().submission.webhook_networks, "/url"):
        raise Invalid([wrong])
    return services().webhook_sender.try_out(tenant(), given["url"])


@blueprint.route("/jobs/<job_id>/deliveries")
@blueprint.response(200, DeliveriesSchema)
def deliveries(job_id: str) -> Any:
    """List the deliveries of messages about a job"""
    services().store.queries.get(tenant(), job_id)
    return {"data": services().webhooks.of_job(job_id)}


@blueprint.route("/fits/<fit_id>/deliveries")
@blueprint.response(200, DeliveriesSchema)
def deliveries_of_fit(fit_id: str) -> Any:
    """List the deliveries of messages about a fit"""
    services().fits.get(tenant(), fit_id)
    return {"data": services().webhooks.of_fit(fit_id)}
