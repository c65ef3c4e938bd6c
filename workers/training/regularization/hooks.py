"""The interface of a regularizer: one function for each moment of a training step at which it acts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from service.core.spec import JobSpec


@dataclass(frozen=True)
class Mixed:
    """Images [N, C, H, W] with the target share * onehot(labels) + (1 - share) * onehot(other_labels), int64 [N]."""

    images: Tensor
    labels: Tensor
    other_labels: Tensor
    share: float

    def rows(self, chosen: slice) -> "Mixed":
        """The chosen rows of the batch."""
        return Mixed(self.images[chosen], self.labels[chosen], self.other_labels[chosen], self.share)


@dataclass(frozen=True)
class Setup:
    """The input of a method, once per run. `labels` int64 [n] are the labels of the training images, on the CPU."""

    spec: JobSpec
    model: nn.Module
    labels: Tensor
    classes: int
    device: torch.device

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that are not frozen."""
        return [p for p in self.model.parameters() if p.requires_grad]


@dataclass(frozen=True)
class Hooks:
    """The moments of a step, in order. None: the method does not act then. No hook may synchronize with the device.
    A hook keeps no state of its own. It draws only from the generator that it gets: that one is in checkpoints and the
    same in all processes; torch's global one is neither.

    - `batch` changes the normalized, augmented images of the whole batch and their targets. It draws from the
      generator, which is on the CPU.
    - `loss` gives a term of the data loss: of logits [N, classes] and their batch, a scalar that is a mean over images.
    - `objective` gives a term of the objective that depends on the weights alone: a scalar.
    - `second_pass` comes after the backward pass. It gets a function that computes the gradients anew with the weights
      as they are then: from the same batch and random draws, without a second update of running statistics.
    - `gradients` changes the gradients in place, after the last backward pass. It gets the L2 norm of the gradients of
      all parameters together, from before any such change: a scalar on the device.
    - `weights` changes the weights in place, after the optimizer's step at the given learning rate.
    - `penalty` gives a term of the reported `penalty`: a scalar, with the weights as they are after an epoch.
    """

    batch: Callable[[Mixed, torch.Generator], Mixed] | None = None
    loss: Callable[[Tensor, Mixed], Tensor] | None = None
    objective: Callable[[], Tensor] | None = None
    second_pass: Callable[[Callable[[], None]], None] | None = None
    gradients: Callable[[Tensor], object] | None = None
    weights: Callable[[float], None] | None = None
    penalty: Callable[[], Tensor] | None = None


OFF = Hooks()
Method = Callable[[Setup], Hooks]
