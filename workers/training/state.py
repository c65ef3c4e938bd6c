"""Everything that changes while a model is trained, and how it is saved and put back: a resumed run is the same run."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn, optim

from service.core.errors import CheckpointMismatch
from service.core.records.epoch import MEASURES, Measures
from service.core.spec import JobSpec
from service.core.spec.early_stopping import Stopper
from workers.training.checkpoint import Weights, weights_of
from workers.training.group import SINGLE_PROCESS, Group
from workers.training.optim import build_optimizer
from workers.training.random_state import random_state, restore_random_state
from workers.training.regularization.ema import MovingAverage
from workers.training.schedule import Plateau
from workers.training.seeds import derive, generator
from workers.training.step_measures import STEP_MEASURES, StepOutcome

Snapshot = dict[str, Any]  # tensors and plain data only: torch.load reads it with weights_only=True
# Release 0.1.0 has schema 0012. It reads a snapshot's history, and knows these measures only.
MEASURES_OF_0_1_0 = frozenset(measure.name for measure in MEASURES if measure.since <= "0012")


@dataclass(frozen=True)
class EpochResult(Measures):
    """One epoch as it was measured: losses and penalty may be non-finite.

    `train_loss` and `train_accuracy` are averages over the epoch, as the weights moved, with dropout and augmentation
    in force; `train_loss` is the objective's data term, smoothed, mixed and weighted as the spec says. Of a mixed
    image, each label counts with its share. `train_loss_clean` is comparable with `val_loss`: it is scored after the
    epoch, in eval mode. `penalty` is that of the weights at the end of the epoch. `val_change_se` is of paired
    differences, image by image. `val_loss_se` and `val_change_se` are None where there is too little to compute them.
    """

    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    penalty: float


@dataclass
class State:
    """A run as it stands between two batches: `step` batches of `epoch` (counted from 1) are done."""

    spec: JobSpec
    model: nn.Module
    optimizer: optim.Optimizer
    average: MovingAverage | None
    stopper: Stopper
    plateau: Plateau
    order: torch.Generator  # of the training images
    augmentation: torch.Generator  # and of mixing
    order_at_start: Tensor  # the state of `order` at the start of the epoch: the epoch's order is drawn from it
    steps: int  # of an epoch
    step_values: dict[str, Tensor]  # by the key of the measure: float64 [steps], on the device; of this process
    group: Group = SINGLE_PROCESS
    history: list[EpochResult] = field(default_factory=list)
    best: Weights | None = None
    best_losses: Tensor | None = None  # float64 [validation images], on the device: of the best epoch
    epoch: int = 1
    step: int = 0
    incomplete: set[str] = field(default_factory=set)  # keys of measures that this epoch's first steps did not take
    started: float = field(default_factory=time.monotonic)  # moved back by the seconds of former processes
    epoch_started: float = field(default_factory=time.monotonic)

    @classmethod
    def fresh(
        cls, spec: JobSpec, model: nn.Module, steps: int, device: torch.device, group: Group = SINGLE_PROCESS
    ) -> "State":
        """The state before the first batch. Seeds the global random state from the spec: dropout draws from it, in each
        process of a group another one.
        """
        torch.manual_seed(derive(spec.seed, f"dropout/{group.rank}" if group.rank else "dropout"))
        regularization, order = spec.regularization, generator(spec.seed, "order")
        return cls(
            spec=spec,
            model=model,
            optimizer=build_optimizer(
                model, spec.optimizer, regularization.weight_decay, regularization.decay_norm_and_bias
            ),
            average=MovingAverage(model, regularization.ema_decay) if regularization.ema_decay else None,
            stopper=Stopper(spec.early_stopping),
            plateau=Plateau(),
            order=order,
            order_at_start=order.get_state(),
            augmentation=generator(spec.seed, "augmentation"),
            steps=steps,
            step_values={
                measure.key: torch.zeros(steps, dtype=torch.float64, device=device) for measure in STEP_MEASURES
            },
            group=group,
        )

    @property
    def device(self) -> torch.device:
        return next(iter(self.step_values.values())).device

    @property
    def scored(self) -> nn.Module:
        """The network that is scored and kept: the average of the weights where there is one."""
        return self.average.shadow if self.average else self.model

    def keep_best(self, losses: Tensor) -> Weights:
        """Copy the weights that were just scored, with the losses that each validation image had."""
        self.best, self.best_losses = weights_of(self.scored), losses
        return self.best

    def record(self, outcome: StepOutcome) -> None:
        """Keep what a step measured; the next one begins. Does not synchronize."""
        for measure in STEP_MEASURES:
            self.step_values[measure.key][self.step] = measure.value(outcome)
        self.step += 1

    def totals(self) -> Tensor:
        """The sums of the epoch's steps and of all processes, in the order of STEP_MEASURES: float64, on the device."""
        return self.group.add_(torch.stack([self.step_values[measure.key].sum() for measure in STEP_MEASURES]))

    def means(self, totals: Sequence[float], images: int) -> dict[str, float | None]:
        """The measures by their names; None where a step of the epoch was not measured."""
        return {
            measure.name: None if measure.key in self.incomplete else measure.mean(total, images, self.steps)
            for measure, total in zip(STEP_MEASURES, totals, strict=True)
        }

    def close_epoch(self, result: EpochResult) -> None:
        """Record an epoch; the next one begins."""
        self.history.append(result)
        self.epoch, self.step, self.order_at_start = self.epoch + 1, 0, self.order.get_state()
        self.incomplete = set()

    def snapshot(self, data: str) -> Snapshot:
        """All of it, sharing memory with the run: to be written before the next batch. `data` is the data's digest.

        Every process of a group must take it at the same batch; that of the first is the one to write.
        """
        now = time.monotonic()
        for values in self.step_values.values():
            self.group.add_(values)
            if not self.group.leads:
                values.zero_()  # the first process now holds the sum
        random, *others = self.group.gather(random_state(self.device))
        return {
            "spec": self.spec.to_dict(),
            "data": data,
            "epoch": self.epoch,
            "step": self.step,
            "seconds": now - self.started,
            "epoch_seconds": now - self.epoch_started,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "best": self.best,
            "best_losses": self.best_losses,
            "stopper": self.stopper.state_dict(),
            "plateau": self.plateau.state_dict(),
            **{key: values for key, values in self.step_values.items() if key not in self.incomplete},
            **_history_to_record(self.history),
            "order": self.order_at_start,
            "augmentation": self.augmentation.get_state(),
            **random,
            "others": others,
        }

    def restore(self, snapshot: Snapshot, data: str) -> None:
        """Put a snapshot back, the process's random state with it. Raises CheckpointMismatch."""
        theirs = replace(JobSpec.from_dict(snapshot["spec"]), gpus=self.spec.gpus)  # the same run, however it is shared
        if theirs != self.spec or snapshot["data"] != data:
            raise CheckpointMismatch("the checkpoint is of another spec or of other data")
        now = time.monotonic()
        self.epoch, self.step = snapshot["epoch"], snapshot["step"]
        self.started, self.epoch_started = now - snapshot["seconds"], now - snapshot["epoch_seconds"]
        self.model.load_state_dict(snapshot["model"])
        self.optimizer.load_state_dict(snapshot["optimizer"])
        if self.average:
            self.average.load_state_dict(snapshot["average"])
        self.best = snapshot["best"]
        best_losses = snapshot.get("best_losses")  # former releases kept none
        self.best_losses = best_losses if best_losses is None else best_losses.to(self.device)
        self.stopper.load_state_dict(snapshot["stopper"])
        self.plateau.load_state_dict(snapshot["plateau"])
        self._restore_step_values(snapshot)
        self.history = history_of(snapshot)
        self.order_at_start = snapshot["order"]
        self.order.set_state(self.order_at_start)
        self.augmentation.set_state(snapshot["augmentation"])
        self._restore_random_state(snapshot)

    def _restore_step_values(self, snapshot: Snapshot) -> None:
        """The steps of the epoch that are done. A snapshot of an older release may lack a measure."""
        absent = self.step_values.keys() - snapshot.keys()
        self.incomplete = absent if self.step else set()
        if self.group.leads:
            for key in self.step_values.keys() - absent:
                self.step_values[key].copy_(snapshot[key])

    def _restore_random_state(self, snapshot: Snapshot) -> None:
        """This process's own; one more than the snapshot was taken of begins a stream of its own."""
        known = [snapshot, *snapshot.get("others", ())]  # former releases knew no others
        if self.group.rank >= len(known):
            torch.manual_seed(derive(self.spec.seed, f"dropout/{self.group.rank} from {self.epoch}/{self.step}"))
            return
        restore_random_state(known[self.group.rank], self.device)


def history_of(snapshot: Snapshot) -> list[EpochResult]:
    """The epochs of a snapshot."""
    history = snapshot["history"]
    later = snapshot.get("later_measures", [{}] * len(history))  # absent in a snapshot of release 0.1.0
    return [EpochResult(**known, **new) for known, new in zip(history, later, strict=True)]


def _history_to_record(history: Sequence[EpochResult]) -> dict[str, list[dict[str, Any]]]:
    """Plain data in two lists, one item an epoch: a worker of release 0.1.0 that resumes the run reads the first."""
    known, later = list[dict[str, Any]](), list[dict[str, Any]]()
    for measures in map(asdict, history):
        known.append({name: value for name, value in measures.items() if name in MEASURES_OF_0_1_0})
        later.append({name: value for name, value in measures.items() if name not in MEASURES_OF_0_1_0})
    return {"history": known, "later_measures": later}
