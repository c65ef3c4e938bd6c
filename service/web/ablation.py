"""The page of an ablation: what each change does alone and together with the others."""

from service.core.experiments.conclusions import conclude
from service.core.records.experiment import ExperimentStatus
from service.http.auth import tenant
from service.services import services
from service.web.blueprint import blueprint, page


@blueprint.get("/ablations/<ablation_id>")
def ablation(ablation_id: str) -> str:
    """Show an ablation"""
    conclusions = conclude(*services().ablations.get(tenant(), ablation_id))
    is_running = conclusions.ablation.status is ExperimentStatus.RUNNING
    name = conclusions.ablation.spec.get("name")
    return page("ablation", conclusions=conclusions, is_running=is_running, of=f": {name}" if name else "")
