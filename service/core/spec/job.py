"""The whole job spec, and its conversion to and from plain data."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from service.core.spec.augmentation import Augmentation
from service.core.spec.models import Cnn, Model
from service.core.spec.options import Option, option, part
from service.core.spec.parts import (
    LARGEST_SEED,
    Dataset,
    EarlyStopping,
    Optimizer,
    Regularization,
    Schedule,
    Webhook,
    direction,
)
from service.core.spec.reading import build, unknown_parts
from service.core.spec.record import record

T = TypeVar("T", Dataset, Model)

MOST_GPUS = 64  # of one machine


@dataclass(frozen=True)
class JobSpec:
    """All settings of a job. The same spec on the same machine gives the same history."""

    dataset: Dataset = field(metadata={"option": Option("which images to use and how to split them")})
    name: str | None = option("optional name of the job, shown in lists", None, length=(0, 100))
    recipe: Literal["quick", "good"] | None = option(
        "choose the options that are not given, to suit the size, channels and number of the images. quick: for a "
        "first look. good: for a good model. The job then has the chosen options, and null here. null: use the "
        "defaults",
        None,
        since="0.2.0",
    )
    model: Model = part("network to train", Cnn)
    epochs: int = option(
        "maximum number of passes over the training images", 100, minimum=1, maximum=100_000, unit="epochs"
    )
    batch_size: int = option(
        "images per training step. A last batch of one image is joined to the batch before it",
        64,
        minimum=1,
        maximum=65_536,
        unit="images",
    )
    seed: int | None = option(
        "seed of all random numbers. The same seed gives the same split and result; null: a random seed, which is "
        "reported. dataset.split_seed draws the split from another seed",
        None,
        minimum=0,
        maximum=LARGEST_SEED,
    )
    max_seconds: float | None = option(
        "time limit of the training. The best model so far is kept. The first epoch always completes; null: no limit",
        None,
        minimum=1,
        unit="s",
    )
    priority: int = option("place in the queue: jobs with 9 start first", 5, minimum=0, maximum=9)
    device: Literal["auto", "cpu", "cuda"] = option(
        "device to train on. auto: a GPU if the worker has one, else the CPU", "auto"
    )
    gpus: int = option(
        "number of processes on one worker that train the job together. Each has its own GPU and its share of every "
        "batch. On a worker without GPUs they share its cores. The losses equal those of one process",
        1,
        minimum=1,
        maximum=MOST_GPUS,
        since="0.1.0",
    )
    precision: Literal["auto", "fp32", "bf16"] = option(
        "number format of the forward and backward passes in training; scores always use fp32. auto: bf16 where it is "
        "faster, that is on a GPU with bf16, and for large networks on a CPU with avx512_bf16 or amx",
        "auto",
    )
    compile: Literal["auto", "off", "on"] = option(
        "compile the network with torch.compile before training (on a CPU it needs a C++ compiler). "
        "auto does not compile",
        "auto",
    )
    optimizer: Optimizer = part("update rule of the weights", Optimizer)
    schedule: Schedule = part("how the learning rate changes over the run", Schedule)
    regularization: Regularization = part("methods that keep the model from memorizing", Regularization)
    augmentation: Augmentation = part("random changes of the training images", Augmentation)
    early_stopping: EarlyStopping | None = part("when to stop; null: train for all epochs", EarlyStopping)
    train_loss_clean: bool = option(
        "report train_loss_clean: the loss on training images without dropout or augmentation. "
        "It costs at most one more validation pass an epoch",
        True,
    )
    test_time_augmentation: Literal["none", "mirror", "mirror_shift"] = option(
        "average the logits over views of each image wherever the model is scored or used, in model.onnx and model.py "
        "too. mirror: the image and its mirror image; takes twice as long. mirror_shift: also both shifted by a pixel "
        "to two corners, with half the weight; six times as long (Jordan, 2024). none: the image alone",
        "none",
        since="0.2.0",
    )
    labels: Mapping[str, str] = field(
        default_factory=dict, metadata={"option": Option("key=value pairs for finding the job", length=(0, 32))}
    )

    webhook: Webhook | None = option("where to send messages about the job; null: nowhere", None)

    @property
    def split_seed(self) -> int | None:
        """The seed that draws the split."""
        own = self.dataset.split_seed
        return self.seed if own is None else own

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "JobSpec":
        """Build a spec from validated plain data. Missing options get their defaults."""
        spec: JobSpec = build(cls, data)
        return spec

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data with every default filled."""
        return asdict(self)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON data to store. An option with `since` is included only if it differs from its default."""
        data: dict[str, Any] = record(self)
        return data

    def of_defaults(self) -> "JobSpec":
        """The spec with the same data set, the same network and seed, and the default of every option that has one."""
        usual = JobSpec(dataset=_of_defaults(self.dataset), model=_of_defaults(self.model))
        return usual.filled(self.seed or 0)

    def filled(self, seed: int) -> "JobSpec":
        """The effective spec: `seed` replaces a missing seed, the mode of early stopping is set, and no recipe is left
        to fill.
        """
        stopping = self.early_stopping
        if stopping is not None and stopping.mode is None:
            stopping = replace(stopping, mode=direction(stopping.monitor))
        return replace(self, seed=self.seed if self.seed is not None else seed, early_stopping=stopping, recipe=None)


def not_understood(stored: Mapping[str, Any]) -> list[str]:
    """JSON pointers of the parts of a stored spec that a newer release has added."""
    return list(unknown_parts(stored, record(JobSpec.from_dict(stored), is_whole=True)))


def _of_defaults(chosen: T) -> T:
    """The same kind of part: options without a default keep their value, all others have the default."""
    needed = [f.name for f in fields(chosen) if f.default is MISSING and f.default_factory is MISSING]
    return type(chosen)(**{name: getattr(chosen, name) for name in needed})
