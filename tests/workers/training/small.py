"""Small real runs on the digits, and small tensors."""

from typing import Any

import torch
from torch import Tensor, nn

from service.core.spec import Dataset, JobSpec
from workers.training.data.batches import Batches
from workers.training.data.images import ImageSet
from workers.training.data.prepare import Prepared, prepare
from workers.training.data.split import Split, divided
from workers.training.loop import TrainingData, TrainingResult, fit
from workers.training.models import build_model
from workers.training.state import EpochResult

CPU = torch.device("cpu")

# All methods that every network supports, together. Dropout and stochastic depth are layers of some networks.
PENALTIES = {"weight_decay": 1e-3, "l1": 1e-5, "l1_mode": "proximal", "decay_norm_and_bias": True, "max_norm": 3.0}
TARGETS = {"label_smoothing": 0.1, "mixup_alpha": 0.4, "cutmix_alpha": 1.0, "loss": "focal", "focal_gamma": 1.5}
GRADIENTS = {"gradient_clip_norm": 1.0, "ema_decay": 0.9, "sam_rho": 0.05, "sam_adaptive": True}
AVERAGES = {"average_best": 3}
EVERY_REGULARIZATION = PENALTIES | TARGETS | GRADIENTS | AVERAGES | {"sampling": "balanced"}
# The same with the methods that exclude balanced sampling, or a focal loss and a moving average too.
WITH_CLASS_WEIGHTS = EVERY_REGULARIZATION | {"sampling": "natural", "class_weights": "balanced"}
LOOKAHEAD = {"ema_decay": None, "lookahead_steps": 2, "lookahead_alpha": 0.3, "lookahead_power": 1.0}
LOGIT_ADJUSTMENT = {"loss": "logit_adjusted", "logit_adjustment": 0.5}
WITH_LOGIT_ADJUSTMENT = PENALTIES | TARGETS | GRADIENTS | AVERAGES | LOGIT_ADJUSTMENT | LOOKAHEAD
EVERY_AUGMENTATION = {
    "crop_padding": 1,
    "horizontal_flip": True,
    "vertical_flip": True,
    "rotation_degrees": 15,
    "random_erasing": 0.3,
    "random_resized_crop": 0.5,
    "color_jitter": 0.2,
    "augmix": True,
}


def spec(**changes: Any) -> JobSpec:
    """A small job on 200 digits; keyword arguments replace whole parts of it."""
    small = {"dataset": {"id": "digits", "train_limit": 200}, "model": {"arch": "mlp", "hidden": [16]}, "epochs": 3}
    return JobSpec.from_dict(small | changes).filled(7)


class Data:
    """The batches of each part of the split."""

    def __init__(self, given: JobSpec, resident_bytes: int | None = None) -> None:
        self.prepared: Prepared = prepare(given)
        self._batches = self.prepared.on(CPU, resident_bytes)

    @property
    def train(self) -> Batches:
        return self._batches(self.prepared.split.train)

    @property
    def validation(self) -> Batches:
        return self._batches(self.prepared.split.validation)

    @property
    def clean(self) -> Batches:
        return self._batches(self.prepared.clean)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stratified_split(images: ImageSet, options: Dataset, seed: int | None) -> Split:
    return divided(images, options, seed).split


def labelled(labels: Tensor, parts: Tensor | None = None, copies: Tensor | None = None) -> ImageSet:
    """Images of one pixel with these labels, int64 [n]."""
    stored = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    classes = tuple(str(label) for label in range(int(labels.max()) + 1))
    return ImageSet(stored, labels, classes, parts=parts, copies=copies)


def training_data(given: JobSpec, resident_bytes: int | None = None) -> TrainingData:
    data = Data(given, resident_bytes)
    clean = data.clean if given.train_loss_clean else None
    return TrainingData(data.train, data.validation, clean, data.prepared.digest)


def network(given: JobSpec) -> nn.Module:
    side = given.dataset.image_size or 8
    return build_model(given, (1, side, side), 10)


def trained(given: JobSpec, resident_bytes: int | None = None) -> tuple[nn.Module, TrainingResult, list[EpochResult]]:
    model, results = network(given), list[EpochResult]()
    return model, fit(model, training_data(given, resident_bytes), given, results.append), results
