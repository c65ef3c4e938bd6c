"""The job spec as a whole: what a user can ask for, and its forms as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from service.core.spec.models import Cnn, Model
from service.core.spec.options import Option, option, part
from service.core.spec.parts import (
    Augmentation,
    Dataset,
    EarlyStopping,
    Optimizer,
    Regularization,
    Schedule,
    Webhook,
    direction,
)
from service.core.spec.reading import build
from service.core.spec.record import record

MOST_GPUS = 64  # of one machine


@dataclass(frozen=True)
class JobSpec:
    """Everything that decides a run. Same spec, same machine: same history."""

    dataset: Dataset = field(metadata={"option": Option("which images, and how they are split")})
    name: str | None = option("a name for people", None, length=(0, 100))
    model: Model = part("the network", Cnn)
    epochs: int = option(
        "at most this many passes over the training split", 100, minimum=1, maximum=100_000, unit="epochs"
    )
    batch_size: int = option(
        "images per optimizer step; a single one left over joins the last", 64, minimum=1, maximum=65_536, unit="images"
    )
    seed: int | None = option(
        "the one source of randomness; null: drawn and reported", None, minimum=0, maximum=2**32 - 1
    )
    max_seconds: float | None = option(
        "end training after this long, but not before the first epoch is over, keeping the best model",
        None,
        minimum=1,
        unit="s",
    )
    priority: int = option("9 is taken first", 5, minimum=0, maximum=9)
    device: Literal["auto", "cpu", "cuda"] = option("where to train; auto: a GPU when the worker has one", "auto")
    gpus: int = option(
        "number of processes on one worker that train the job together. Each has its own GPU and its share of every "
        "batch; on a worker without GPUs they share its cores. The losses equal those of one process",
        1,
        minimum=1,
        maximum=MOST_GPUS,
        since="0.2.0",
    )
    precision: Literal["auto", "fp32", "bf16"] = option(
        "of the forward and backward pass in training; scores are always fp32. auto: bf16 where it gains, "
        "on a GPU that has it and for large networks on a CPU with avx512_bf16 or amx",
        "auto",
    )
    compile: Literal["auto", "off", "on"] = option(
        "compile the network with torch.compile before training (on a CPU it needs a C++ compiler). "
        "auto does not compile",
        "auto",
    )
    optimizer: Optimizer = part("the update rule", Optimizer)
    schedule: Schedule = part("how the learning rate changes", Schedule)
    regularization: Regularization = part("methods that keep the model from memorizing", Regularization)
    augmentation: Augmentation = part("random changes of the training images", Augmentation)
    early_stopping: EarlyStopping | None = part("when to stop; null: train for all epochs", EarlyStopping)
    train_loss_clean: bool = option(
        "report train_loss_clean: the training images scored as the validation images are, "
        "without dropout or augmentation; costs at most one more validation pass an epoch",
        True,
    )
    labels: Mapping[str, str] = field(
        default_factory=dict, metadata={"option": Option("free key=value pairs to find the job by", length=(0, 32))}
    )

    webhook: Webhook | None = option("where to send messages about the job; null: none are sent", None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "JobSpec":
        """Build a spec from checked plain data; what is missing takes its default."""
        spec: JobSpec = build(cls, data)
        return spec

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data with every default filled."""
        return asdict(self)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON data to store. Options of newer releases are in it only where they are set."""
        data: dict[str, Any] = record(self)
        return data

    def filled(self, seed: int) -> "JobSpec":
        """The effective spec: the seed drawn and the monitor's direction written out."""
        stopping = self.early_stopping
        if stopping is not None and stopping.mode is None:
            stopping = replace(stopping, mode=direction(stopping.monitor))
        return replace(self, seed=self.seed if self.seed is not None else seed, early_stopping=stopping)
