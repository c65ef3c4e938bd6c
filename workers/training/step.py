"""One optimizer step, from uint8 pixels to updated weights. Regularizers act in the loops over hooks."""

from functools import reduce
from operator import add

import torch
from torch import Tensor

from workers.training.data.batches import Batches
from workers.training.features import Features
from workers.training.group import Group
from workers.training.models.classifier import tail_of
from workers.training.optim import LR_SCALE
from workers.training.precision import autocast, choose_precision, compiled
from workers.training.random_state import RandomState, random_state, restore_random_state
from workers.training.regularization import METHODS
from workers.training.regularization.hooks import Mixed, Setup
from workers.training.running_statistics import batch_norms, held_statistics
from workers.training.state import State
from workers.training.step_measures import StepOutcome
from workers.training.total_norm import total_norm


class Step:
    """Updates the weights of a run's state from one batch. Never synchronizes with the device."""

    def __init__(self, state: State, train: Batches, group: Group) -> None:
        spec, model = state.spec, state.model
        self._state, self._train, self._group, self._augmentation = state, train, group, spec.augmentation
        self.precision = choose_precision(spec, model, train.shape, train.device)
        tail = tail_of(model) if isinstance(train, Features) else None
        self._forward = tail or compiled(spec, group.parallel(model), train.device)
        self._norms = batch_norms(model)  # after `parallel`, which replaces the layers
        self._autocast = autocast(self.precision, train.device)
        setup = Setup(spec, model, train.labels, train.classes, train.device)
        self._trained = setup.trained
        methods = [method(setup) for method in METHODS]
        self._on_batch = [hooks.batch for hooks in methods if hooks.batch]
        self._losses = [hooks.loss for hooks in methods if hooks.loss]
        self._objective = [hooks.objective for hooks in methods if hooks.objective]
        self._second_passes = [hooks.second_pass for hooks in methods if hooks.second_pass]
        self._on_gradients = [hooks.gradients for hooks in methods if hooks.gradients]
        self._on_weights = [hooks.weights for hooks in methods if hooks.weights]
        self._penalties = [hooks.penalty for hooks in methods if hooks.penalty]

    def __call__(self, pixels: Tensor, labels: Tensor, lr: float) -> StepOutcome:
        """Train on uint8 images [B, C, H, W] with int64 labels [B], both on the device, at learning rate `lr`."""
        count, optimizer = len(labels), self._state.optimizer
        batch = self._seen(pixels, labels).rows(self._group.rows(count))
        portion = self._group.portion(count)
        weight = portion * self._group.size / count  # the processes' gradients then average to the batch's
        for parameters in optimizer.param_groups:
            parameters["lr"] = lr * parameters.get(LR_SCALE, 1.0)
        with self._group.normalizing(count):
            before = random_state(self._train.device) if self._second_passes else {}
            loss, logits = self._backward(batch, weight)
            hits = _hits(logits, batch)  # now: a second pass may overwrite a compiled network's logits
            for method in self._second_passes:
                method(lambda: self._backward_again(batch, weight, before))
        norm = total_norm([p.grad for p in self._trained if p.grad is not None])
        for change in self._on_gradients:
            change(norm)
        optimizer.step()
        for constrain in self._on_weights:
            constrain(lr)
        if self._state.average is not None:
            self._state.average.update(self._state.model)
        return StepOutcome(loss, hits, norm, len(batch.labels), portion, self._group.size)

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """The terms of L1 and coupled weight decay at the present weights: a float64 scalar on the device."""
        total = torch.zeros((), dtype=torch.float64, device=self._train.device)
        for penalty in self._penalties:
            total += penalty()
        return total

    def _seen(self, pixels: Tensor, labels: Tensor) -> Mixed:
        """The network's input: the batch augmented, normalized, erased and mixed."""
        random = self._state.augmentation
        images = self._train.augmented(pixels, self._augmentation, random, self._state.epoch)
        batch = Mixed(images, labels, labels, share=1.0)
        for change in self._on_batch:
            batch = change(batch, random)
        return batch

    def _backward(self, batch: Mixed, weight: float) -> tuple[Tensor, Tensor]:
        """Compute the gradients of the objective: `weight` times the mean loss of the batch, plus the penalty terms.

        They are averaged over the processes. Returns the mean loss and the logits [N, classes], both detached.
        """
        self._state.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            logits = self._forward(batch.images)
            loss = reduce(add, [term(logits, batch) for term in self._losses])
        objective = loss if weight == 1 else loss * weight
        for term in self._objective:
            objective = objective + term()
        objective.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss.detach(), logits.detach()

    def _backward_again(self, batch: Mixed, weight: float, random: RandomState) -> None:
        """Repeat the pass at the present weights, with the same dropout and without updating running statistics."""
        restore_random_state(random, self._train.device)
        with held_statistics(self._norms):
            self._backward(batch, weight)


def _hits(logits: Tensor, batch: Mixed) -> Tensor:
    guesses = logits.argmax(1)
    hits = (guesses == batch.labels).sum()
    if batch.share == 1:
        return hits
    return batch.share * hits + (1 - batch.share) * (guesses == batch.other_labels).sum()
