"""The job spec: every option declared once, checks of combinations, and the sizes of a network without training it."""

from service.core.spec.augmentation import Augmentation, RandAugment
from service.core.spec.combinations import contradictions, doubts
from service.core.spec.job import JobSpec, not_understood
from service.core.spec.models import Cnn, Mlp, Torchvision
from service.core.spec.networks import layers_of
from service.core.spec.options import Option
from service.core.spec.parts import (
    DEFAULT_MONITOR,
    Dataset,
    EarlyStopping,
    Fold,
    Optimizer,
    Regularization,
    Schedule,
    direction,
)
from service.core.spec.reading import build, tag_of, tags_of

__all__ = [
    "DEFAULT_MONITOR",
    "Augmentation",
    "Cnn",
    "Dataset",
    "EarlyStopping",
    "Fold",
    "JobSpec",
    "Mlp",
    "Optimizer",
    "Option",
    "RandAugment",
    "Regularization",
    "Schedule",
    "Torchvision",
    "build",
    "contradictions",
    "direction",
    "doubts",
    "layers_of",
    "not_understood",
    "tag_of",
    "tags_of",
]
