"""One optimizer step: from uint8 pixels to moved weights, with every method of the spec in its place."""

import torch
from torch import Tensor

from workers.training.data.augmentation import augment
from workers.training.data.augmentation.random_erasing import random_erasing
from workers.training.data.batches import Batches
from workers.training.group import Group
from workers.training.precision import autocast, choose_precision, compiled
from workers.training.regularization.class_weights import balanced_weights
from workers.training.regularization.cross_entropy import mixed_cross_entropy
from workers.training.regularization.gradient_clip import clip_gradients_
from workers.training.regularization.l1 import l1_penalty, l1_proximal_
from workers.training.regularization.max_norm import max_norm_
from workers.training.regularization.mixing import Mixed, mix
from workers.training.regularization.weight_decay import l2_penalty, split_parameters
from workers.training.state import State


class Step:
    """Moves the weights of a run's state by one batch; never waits for the device."""

    def __init__(self, state: State, train: Batches, group: Group) -> None:
        spec, model = state.spec, state.model
        self._state, self._train, self._group = state, train, group
        self._regularization, self._augmentation = spec.regularization, spec.augmentation
        self.precision = choose_precision(spec, model, train.shape, train.device)
        self._forward = compiled(spec, group.parallel(model), train.device)
        self._autocast = autocast(self.precision, train.device)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._penalized, _ = split_parameters(model, spec.regularization.decay_norm_and_bias)
        self._units, _ = split_parameters(model, norm_and_bias_too=False)
        in_loss = spec.regularization.l1_mode == "loss"
        self._l1_in_loss, self._l1_proximal = (spec.regularization.l1 * on for on in (in_loss, not in_loss))
        self._coupled_decay = 0.0 if spec.optimizer.name == "adamw" else spec.regularization.weight_decay
        balanced = spec.regularization.class_weights == "balanced"
        self._class_weights = balanced_weights(train.labels, train.classes).to(train.device) if balanced else None

    def __call__(self, pixels: Tensor, labels: Tensor, lr: float) -> tuple[Tensor, Tensor]:
        """Learn from uint8 images [B, C, H, W] with int64 labels [B], both on the device, at learning rate `lr`.

        Gives two scalars on the device: the batch's summed data term and how many images were right; of a mixed
        image, each label counts with its share. In a group they are those of this process's rows.
        """
        count, rows = len(labels), self._group.rows(len(labels))
        portion = self._group.portion(count)
        batch = self._seen(pixels, labels).rows(rows)
        weight = portion * self._group.size / count  # the mean of the processes' gradients is the batch's
        with self._group.normalizing(count):
            return self._learned(batch, portion, weight, lr)

    def _learned(self, batch: Mixed, portion: float, weight: float, lr: float) -> tuple[Tensor, Tensor]:
        """Learn from our rows: `weight` times the gradient of their mean loss, averaged over the processes."""
        optimizer, regularization = self._state.optimizer, self._regularization
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            logits = self._forward(batch.images)
            loss = mixed_cross_entropy(
                logits,
                batch.labels,
                batch.other_labels,
                batch.share,
                regularization.label_smoothing,
                self._class_weights,
            )
        objective = loss if weight == 1 else loss * weight
        if self._l1_in_loss:
            objective = objective + l1_penalty(self._penalized, self._l1_in_loss)
        objective.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if regularization.gradient_clip_norm is not None:
            clip_gradients_(self._trained, regularization.gradient_clip_norm)
        optimizer.step()
        self._constrain(lr)
        hits = _hits(logits.detach(), batch)
        return loss.detach() * portion, hits if portion == len(batch.labels) else hits * (portion / len(batch.labels))

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """What L1 and coupled weight decay add to the objective with the weights as they are: a float64 scalar."""
        total = torch.zeros((), dtype=torch.float64, device=self._train.device)
        if self._regularization.l1:
            total += l1_penalty(self._penalized, self._regularization.l1)
        if self._coupled_decay:
            total += l2_penalty(self._penalized, self._coupled_decay)
        return total

    def _seen(self, pixels: Tensor, labels: Tensor) -> Mixed:
        """The batch as the network sees it: augmented, normalized, erased, mixed."""
        random, regularization = self._state.augmentation, self._regularization
        images = self._train.normalized(augment(pixels, self._augmentation, random))
        if self._augmentation.random_erasing:
            images = random_erasing(images, self._augmentation.random_erasing, random)
        return mix(images, labels, regularization.mixup_alpha, regularization.cutmix_alpha, random)

    def _constrain(self, lr: float) -> None:
        """What follows the optimizer: weights are shrunk, held within their norm, averaged."""
        if self._l1_proximal:
            l1_proximal_(self._penalized, lr * self._l1_proximal)
        if self._regularization.max_norm is not None:
            max_norm_(self._units, self._regularization.max_norm)
        if self._state.average is not None:
            self._state.average.update(self._state.model)


def _hits(logits: Tensor, batch: Mixed) -> Tensor:
    guesses = logits.argmax(1)
    hits = (guesses == batch.labels).sum()
    if batch.share == 1:
        return hits
    return batch.share * hits + (1 - batch.share) * (guesses == batch.other_labels).sum()
