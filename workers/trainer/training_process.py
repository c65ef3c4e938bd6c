"""One process that trains a job, alone or as one of a group: its spec, its device and its channel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from service.core.errors import DeviceUnavailable, SpecNotUnderstood
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.dataset import Contents
from service.core.spec import JobSpec, not_understood
from workers.scratch import Scratch
from workers.trainer.channel import Channel
from workers.trainer_args import TrainerArgs
from workers.training.group import SINGLE_PROCESS, Group


@dataclass(frozen=True)
class TrainingProcess:
    """All that one process needs to train its job. Only the process that leads its group reports and writes files."""

    args: TrainerArgs
    spec: JobSpec
    channel: Channel
    device: torch.device
    group: Group = SINGLE_PROCESS

    @property
    def scratch(self) -> Scratch:
        return Scratch(Path(self.args.folder))

    @property
    def contents(self) -> Contents:
        return contents_of(self.spec, self.args)


def read_spec(stored: dict[str, Any]) -> JobSpec:
    """The spec as stored. Raises SpecNotUnderstood where it has parts of a newer release."""
    if unknown := not_understood(stored):
        raise SpecNotUnderstood(f"this worker does not know {', '.join(unknown)}; it is older than the API")
    return JobSpec.from_dict(stored)


def pick_device(spec: JobSpec, rank: int = 0) -> torch.device:
    """The device of the process of this rank; `auto` is a GPU where there is one.

    Raises DeviceUnavailable where there are fewer GPUs than the spec asks for.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if spec.device == "cpu" or (spec.device == "auto" and not available):
        return torch.device("cpu")
    if available < spec.gpus:
        has = f"{available} GPUs" if available else "no GPU"
        raise DeviceUnavailable(
            f"the spec asks for {spec.gpus} on device {spec.device} and this worker has {has}; use device cpu, or fewer"
        )
    return torch.device("cuda", rank)


def contents_of(spec: JobSpec, args: TrainerArgs) -> Contents:
    """What the job's data set contains. Raises OSError where its pack cannot be read."""
    return Contents.of_pack(Path(args.pack)) if args.pack else CONTENTS_OF[spec.dataset.id]
