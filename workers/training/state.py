"""The state of a training run, and its snapshots. A resumed run has the same result as an uninterrupted one."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn, optim

from service.core.errors import CheckpointMismatch
from service.core.records.epoch import MEASURES, Measures
from service.core.spec import JobSpec
from service.core.spec.early_stopping import Stopper
from service.core.spec.models import is_frozen
from workers.training.checkpoint import Weights, weights_of
from workers.training.group import SINGLE_PROCESS, Group
from workers.training.models.classifier import head_of
from workers.training.optim import build_optimizer
from workers.training.random_state import random_state, restore_random_state
from workers.training.regularization.averaged import AveragedCopy
from workers.training.regularization.averaging import averaged_copy
from workers.training.schedule import Plateau
from workers.training.seeds import derive, generator
from workers.training.step_measures import STEP_MEASURES, StepOutcome

Snapshot = dict[str, Any]  # tensors and plain data only: torch.load reads it with weights_only=True
# Release 0.1.0 has schema 0012. It reads a snapshot's history, and knows these measures only.
MEASURES_OF_0_1_0 = frozenset(measure.name for measure in MEASURES if measure.since <= "0012")


@dataclass(frozen=True)
class EpochResult(Measures):
    """One epoch as measured. Losses, the penalty and the gradient norm may be non-finite.

    `train_loss` and `train_accuracy` are means per image while the weights change, with dropout and augmentation.
    `train_loss` is the data term of the objective: smoothed, mixed and weighted by the spec. For a mixed image, each
    label counts with its share. `train_loss_clean` is comparable with `val_loss`: it is computed after the epoch, in
    eval mode. `penalty` is computed from the weights at the end of the epoch. `val_change_se` is the standard error of
    paired differences, one for each image. Standard errors are None if they cannot be computed: with fewer than 2
    validation images or a non-finite loss; `val_change_se` also before there is a best epoch. `val_macro_f1` and
    `val_balanced_accuracy` are means over all classes, as in the evaluation of a job: a class without a validation
    image has the recall 0. `val_loss_calibrated` is the lowest `val_loss` that one temperature for all logits gives;
    it is None if it is not finite.
    """

    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    penalty: float


@dataclass(frozen=True)
class ValidationScore:
    """What n validation images got, on the device: `logits` float32 [n, classes], `losses` float64 [n] in nats."""

    logits: Tensor
    losses: Tensor


@dataclass(frozen=True)
class Candidate:
    """The weights of one of the best epochs, with the `value` of the measure that early stopping monitors."""

    epoch: int
    value: float
    weights: Weights


@dataclass
class State:
    """A run between two batches: `step` batches of `epoch` (counted from 1) are done."""

    spec: JobSpec
    model: nn.Module
    optimizer: optim.Optimizer
    average: AveragedCopy | None
    stopper: Stopper
    plateau: Plateau
    order: torch.Generator  # of the training images
    augmentation: torch.Generator  # of augmentation and mixing
    order_at_start: Tensor  # state of `order` at the start of the epoch; a resumed epoch draws the same order from it
    sharpness: Tensor  # 1 / the best temperature of the last epoch: float64 [], on the device
    steps: int  # of an epoch
    step_values: dict[str, Tensor]  # by the key of the measure: float64 [steps], on the device; of this process
    group: Group = SINGLE_PROCESS
    history: list[EpochResult] = field(default_factory=list)
    best: Weights | None = None
    best_losses: Tensor | None = None  # of the best epoch: float64 [validation images], on the device
    best_logits: Tensor | None = None  # of the best epoch: float32 [validation images, classes]; not in snapshots
    candidates: list[Candidate] = field(default_factory=list)  # of the option average_best, the best epoch first
    epoch: int = 1
    step: int = 0
    incomplete: set[str] = field(default_factory=set)  # keys of measures that this epoch's first steps did not take
    started: float = field(default_factory=time.monotonic)  # monotonic seconds, less those of earlier processes
    epoch_started: float = field(default_factory=time.monotonic)

    @classmethod
    def fresh(
        cls, spec: JobSpec, model: nn.Module, steps: int, device: torch.device, group: Group = SINGLE_PROCESS
    ) -> "State":
        """The state before the first batch. `steps` is the number of batches in an epoch.

        Seeds the global random state, from which dropout draws, by the spec's seed and the rank in the group.
        """
        torch.manual_seed(derive(spec.seed, f"dropout/{group.rank}" if group.rank else "dropout"))
        regularization, order = spec.regularization, generator(spec.seed, "order")
        return cls(
            spec=spec,
            model=model,
            optimizer=build_optimizer(
                model,
                spec.optimizer,
                regularization.weight_decay,
                regularization.decay_norm_and_bias,
                spec.model.layer_decay,
            ),
            average=averaged_copy(regularization, model, spec.epochs, steps),
            stopper=Stopper(spec.early_stopping),
            plateau=Plateau(),
            order=order,
            order_at_start=order.get_state(),
            augmentation=generator(spec.seed, "augmentation"),
            sharpness=torch.ones((), dtype=torch.float64, device=device),
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
        """The network to score and to save: the one with averaged weights if the run has one."""
        return self.average.shadow if self.average else self.model

    def keep_best(self, score: ValidationScore) -> None:
        """Copy the weights of `scored` as the best ones, and keep their score."""
        self.best = self._copy_of_scored()
        self.best_losses, self.best_logits = score.losses, score.logits

    def keep_candidate(self, value: float, *, is_best: bool) -> None:
        """Keep the weights of `scored` if the epoch, with this monitored value, is one of those to be averaged.

        `is_best`: they have just been kept as the best ones. Of equal values, the earlier epoch is better.
        """
        most, sign = self.spec.regularization.average_best or 0, 1 if self.stopper.mode == "min" else -1
        place = sum(sign * candidate.value <= sign * value for candidate in self.candidates)
        if place < most and math.isfinite(value):
            weights = self.best if is_best and self.best is not None else self._copy_of_scored()
            self.candidates.insert(place, Candidate(self.epoch, value, weights))
            del self.candidates[most:]

    def _copy_of_scored(self) -> Weights:
        """A copy of the weights of `scored`; frozen layers are those of the best epoch."""
        if self.best is None or not is_frozen(self.spec.model, self.epoch):
            return weights_of(self.scored)
        name, head = head_of(self.scored)
        return self.best | {f"{name}.{key}": value for key, value in weights_of(head).items()}

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
        """The whole state. It shares memory with the run: write it before the next batch. `data` is the data's digest.

        Every process of a group must call this at the same batch. Write the snapshot of the first process.
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
            "candidates": [vars(candidate) for candidate in self.candidates],
            "sharpness": self.sharpness,
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
        """Restore a snapshot and this process's random state. Raises CheckpointMismatch for another spec or data."""
        # A run may continue on another number of GPUs.
        snapshot_spec = replace(JobSpec.from_dict(snapshot["spec"]), gpus=self.spec.gpus)
        if snapshot_spec != self.spec or snapshot["data"] != data:
            raise CheckpointMismatch("the checkpoint is of another spec or of other data")
        now = time.monotonic()
        self.epoch, self.step = snapshot["epoch"], snapshot["step"]
        self.started, self.epoch_started = now - snapshot["seconds"], now - snapshot["epoch_seconds"]
        self.model.load_state_dict(snapshot["model"])
        self.optimizer.load_state_dict(snapshot["optimizer"])
        if self.average:
            self.average.load_state_dict(snapshot["average"])
        self.best = snapshot["best"]
        best_losses = snapshot.get("best_losses")  # absent in snapshots of older releases
        self.best_losses = best_losses if best_losses is None else best_losses.to(self.device)
        self.sharpness = snapshot.get("sharpness", self.sharpness).to(self.device)  # absent there too
        self.candidates = [Candidate(**candidate) for candidate in snapshot.get("candidates", ())]  # absent there too
        self.plateau.load_state_dict(snapshot["plateau"])
        self._restore_step_values(snapshot)
        self.history = history_of(snapshot)
        self._restore_stopper(snapshot["stopper"])
        self.order_at_start = snapshot["order"]
        self.order.set_state(self.order_at_start)
        self.augmentation.set_state(snapshot["augmentation"])
        self._restore_random_state(snapshot)

    def _restore_stopper(self, state: Mapping[str, Any]) -> None:
        best_epoch = state["best_epoch"]
        best = None if best_epoch is None else getattr(self.history[best_epoch - 1], self.stopper.monitor)
        self.stopper.load_state_dict(state, best)

    def _restore_step_values(self, snapshot: Snapshot) -> None:
        """Restore the values of the epoch's completed steps. A snapshot of an older release may lack a measure."""
        absent = self.step_values.keys() - snapshot.keys()
        self.incomplete = absent if self.step else set()
        if self.group.leads:
            for key in self.step_values.keys() - absent:
                self.step_values[key].copy_(snapshot[key])

    def _restore_random_state(self, snapshot: Snapshot) -> None:
        """Restore this process's random state. A process without one in the snapshot starts a new stream."""
        known = [snapshot, *snapshot.get("others", ())]  # absent in snapshots of older releases
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
