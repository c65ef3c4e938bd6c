"""The cure that starts from uploaded weights: for few photographs, a network that has seen others."""

from service.core.diagnosis.patches import Patch, put
from service.core.diagnosis.run_context import RunContext
from service.core.records.dataset import Contents
from service.core.spec import JobSpec
from service.core.spec.models import weights_of

COLORS, LEAST_SIDE = 3, 32  # channels, and pixels of the shorter side, of pictures that count as photographs
MOST_OF_CLASS = 500  # images; with more, a network learns enough from them


def may_gain_from_weights(spec: JobSpec, contents: Contents) -> bool:
    """Whether a run starts from random weights on few photographs."""
    channels, height, width = contents.shape
    is_photograph = channels == COLORS and min(height, width) >= LEAST_SIDE
    images = min(contents.samples, spec.dataset.train_limit or contents.samples)
    return is_photograph and images <= MOST_OF_CLASS * len(contents.classes) and weights_of(spec.model) is None


def pretrained(case: RunContext) -> Patch | None:
    """The network of the uploaded weights, whose last layer alone is trained."""
    if case.weights is None or case.contents is None or not may_gain_from_weights(case.spec, case.contents):
        return None
    return put("/model", {"arch": case.weights.arch, "weights": case.weights.id, "freeze": "backbone"})
