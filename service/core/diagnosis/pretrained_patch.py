"""The cure that starts from uploaded or published weights: for few photographs, a network that has seen others."""

from service.core.diagnosis.patches import Patch, put
from service.core.diagnosis.run_context import RunContext
from service.core.records.dataset import Contents
from service.core.spec import JobSpec
from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.features import is_augmented, is_mixed
from service.core.spec.models import weights_of
from service.core.spec.transfer import IMAGENET

COLORS, LEAST_SIDE = 3, 32  # channels, and pixels of the shorter side, of pictures that count as photographs
MOST_OF_CLASS = 500  # images; with more, a network learns enough from them
USUAL = "resnet18"  # of torchvision: small, and its features carry over
USUAL_SIDE = 128  # pixels, that smaller pictures are resized to: the effect was measured at this size
VIEWS = 10  # of each image; they take as many times the memory of one


def may_gain_from_weights(spec: JobSpec, contents: Contents) -> bool:
    """Whether a run starts from random weights on few photographs."""
    channels, height, width = contents.shape
    is_photograph = channels == COLORS and min(height, width) >= LEAST_SIDE
    images = min(contents.samples, spec.dataset.train_limit or contents.samples)
    return is_photograph and images <= MOST_OF_CLASS * len(contents.classes) and weights_of(spec.model) is None


def pretrained(case: RunContext) -> Patch | None:
    """The network of the uploaded weights, or of published ones, whose last layer alone is trained, on pictures of
    at least USUAL_SIDE pixels.

    The patch is empty where there are no weights yet: `hint` says how to get them.
    """
    if case.contents is None or not may_gain_from_weights(case.spec, case.contents):
        return None
    if case.weights is not None:
        return _started(case, case.weights.arch, case.weights.id)
    if case.has_published_weights:
        return _started(case, USUAL, IMAGENET)
    return None if case.has_published_weights is None else []


def _started(case: RunContext, arch: str, weights: str) -> Patch:
    """The network with its frozen layers. Of images that are augmented, the features of some views are kept.

    Small pictures are enlarged, unless the network does so: weights know objects of many pixels.
    """
    model = {"arch": arch, "weights": weights, "freeze": "backbone"}
    views = {"cached_views": VIEWS} if _keeps_views(case.spec) else {}
    is_small = case.side is not None and min(ARCHITECTURES[arch].input_size(case.side, case.side)) < USUAL_SIDE
    return put("/model", model | views) + (put("/dataset/image_size", USUAL_SIDE) if is_small else [])


def _keeps_views(spec: JobSpec) -> bool:
    """Whether the features of augmented views could be kept for a run like this."""
    return is_augmented(spec) and not is_mixed(spec) and spec.test_time_augmentation == "none" and spec.gpus == 1


def hint(case: RunContext) -> str | None:
    """What to do where there are no weights yet; None where the cure has a patch."""
    if pretrained(case) != []:
        return None
    return (
        f"the last layer uses features that were learned on many other pictures. Upload weights (rightfit weights push "
        f"FILE --arch {USUAL}) and set model.weights to their id. If the workers can reach download.pytorch.org, set "
        f"model.arch to {USUAL} and model.weights to {IMAGENET} instead"
    )
