"""The lowest validation loss that one temperature for all logits gives, computed on the device in each epoch.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.evaluation.temperature import HIGHEST, LOWEST
from workers.training.evaluate import Outcomes, cross_entropies

STEPS = 12  # of Newton's method on a GPU, which cannot say without a synchronization when it is done
MOST_STEPS = 60  # on a CPU
TOLERANCE = 1e-7  # nats that the last step gains; the rest is far smaller: the convergence is quadratic


@dataclass(frozen=True)
class Calibrated:
    """Losses at the best temperature T (0.05 to 50): `losses` float64 [n] in nats, `sharpness` float64 [] is 1/T."""

    losses: Tensor
    sharpness: Tensor


def calibrated(outcomes: Outcomes, start: Tensor) -> Calibrated:
    """Minimize the mean cross entropy of softmax(b * logits), which is convex in b = 1/T.

    `start` float64 [] is where the search begins: the sharpness of the epoch before saves most of the steps. Newton's
    steps that leave the known bounds are replaced by bisection. Does not synchronize; the same input gives the same
    bits.
    """
    shifted, mean_own, b = outcomes.shifted, outcomes.own.mean(dtype=torch.float64), start
    low, high = torch.full_like(b, 1 / HIGHEST), torch.full_like(b, 1 / LOWEST)
    for _ in range(MOST_STEPS if shifted.device.type == "cpu" else STEPS):
        mean, variance = _moments(shifted, b)
        slope, last = mean - mean_own, b
        is_falling = slope < 0
        low, high = torch.where(is_falling, b, low), torch.where(is_falling, high, b)
        newton = (b - slope / variance).clamp(1 / HIGHEST, 1 / LOWEST)
        b = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        if shifted.device.type == "cpu" and abs(float(slope * (b - last))) <= TOLERANCE:
            break
    return Calibrated(cross_entropies(shifted * b, outcomes.own * b), b)


def _moments(shifted: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over the images of the expected logit, and of the variance of the logits, under softmax(b * logits)."""
    weighted = torch.softmax(shifted * b, 0).mul_(shifted)
    expected, images = weighted.sum(0), shifted.shape[1]
    squares = torch.dot(weighted.view(-1), shifted.view(-1)) - torch.dot(expected, expected)
    return expected.mean(dtype=torch.float64), squares.double() / images
