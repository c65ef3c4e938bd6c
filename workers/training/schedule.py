"""Learning rate schedules: functions of the step, and plateau, which has a state."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.core.spec import DEFAULT_MONITOR, Schedule, direction


def lr_share(options: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The learning rate of a step as a share of the spec's lr, from 0 to 1. Steps count from 0 over the whole run.

    - warm-up (Goyal et al., "Accurate, Large Minibatch SGD", 2017): (step + 1) / warm-up steps, at the start.
      The schedule begins after it and covers the rest of the run.
    - cosine (Loshchilov and Hutter, "SGDR", 2017): f + (1 - f) * (1 + cos(pi * t / T)) / 2, from 1 to final_share f.
    - onecycle (Smith and Topin, "Super-Convergence", 2018): half cosines, or with `anneal` linear straight lines, from
      1 / start_divisor up to 1 over rising_share of the run, then down to 1 / (start_divisor * final_divisor). Momentum
      does not change.
    - step: gamma ** floor(epochs since the warm-up / step_epochs).
    - constant and plateau: 1. For plateau, the share of `Plateau` is an additional factor.
    """
    warmup_steps = options.warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    step, steps = step - warmup_steps, epochs * steps_per_epoch - warmup_steps
    match options.name:
        case "cosine":
            return _half_cosine(1.0, options.final_share, step / steps)
        case "onecycle":
            low, between = 1 / options.start_divisor, _straight_line if options.anneal == "linear" else _half_cosine
            top = options.rising_share * steps - 1  # the step at which the share is 1
            if step <= top:
                return between(low, 1.0, step / top if top else 1.0)
            return between(1.0, low / options.final_divisor, (step - top) / (steps - 1 - top))
        case "step":
            return options.gamma ** (step // steps_per_epoch // options.step_epochs)
    return 1.0


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _straight_line(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


@dataclass
class Plateau:
    """Cuts the learning rate after `plateau_patience` epochs in a row without a better value of `plateau_monitor`.

    A patience of 0 is the same as 1. `best` is the lowest value, or minus the highest where higher is better.
    `waits_one_more`: the run began on release 0.1.0, which waited for one more epoch, and keeps that rule.
    """

    share: float = 1.0
    best: float = math.inf
    epochs_without_improvement: int = 0
    waits_one_more: bool = False

    def update(self, options: Schedule, value: float) -> None:
        """Record the monitored value of an epoch. Sets `share`, the factor of the next learning rates."""
        if options.name != "plateau":
            return
        if direction(options.plateau_monitor or DEFAULT_MONITOR) == "max":
            value = -value
        if value < self.best:
            self.best, self.epochs_without_improvement = value, 0
            return
        self.epochs_without_improvement += 1
        if self.epochs_without_improvement >= options.plateau_patience + self.waits_one_more:
            self.share, self.epochs_without_improvement = self.share * options.gamma, 0

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update({"waits_one_more": True} | dict(state))  # release 0.1.0 does not store it
