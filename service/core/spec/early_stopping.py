"""Early stopping: a state machine that gets one number per epoch.

Prechelt, "Early Stopping - But When?" (1998). The options have the names of Keras and Lightning: patience, cooldown,
min_delta, start_epoch, baseline, stopping_threshold, divergence_threshold.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.core.spec import EarlyStopping, direction


@dataclass
class State:
    """The state of the stopper.

    `best` is the best value so far, that of `best_epoch`. `reference` is the value of the last improvement, which the
    next improvement has to beat. They are None until the first finite value. `cooldown_left` is the number of coming
    epochs that do not count towards patience. `stopped` is the reason to stop, None while the run goes on.
    """

    best: float | None = None
    best_epoch: int | None = None
    reference: float | None = None
    epochs_without_improvement: int = 0
    cooldown_left: int = 0
    stopped: str | None = None


class Stopper:
    """Gets the monitored value after each epoch and decides whether it is the best and whether to stop.

    - The best value is strictly lower (mode min) or higher (mode max) than every one before, whatever min_delta is.
    - An improvement is larger than min_delta: value < reference - min_delta (mode min), value > reference + min_delta
      (mode max). With min_delta_mode rel, min_delta is a share of |reference|.
    - A non-finite value is neither.
    - `epochs_without_improvement` counts epochs in a row without one, from `start_epoch` on; at `patience` the run
      stops as `early_stopping`. With a `baseline`, an improvement resets the count only once it beats the baseline.
      The `cooldown` epochs after such an improvement do not count.
    - A value as good as `stopping_threshold` stops the run as `target_reached`. A value worse than
      `divergence_threshold` stops it as `diverged`.

    Without options (None) it records the best val_loss and never stops.
    """

    def __init__(self, options: EarlyStopping | None) -> None:
        self._patient = options is not None
        self._options = options or EarlyStopping()
        self.monitor = self._options.monitor
        self.mode = self._options.mode or direction(self.monitor)
        self._sign = 1.0 if self.mode == "min" else -1.0
        self.state = State()

    def update(self, epoch: int, value: float) -> bool:
        """Record the value of an epoch and return whether it is the new best. Sets `state.stopped` when to stop."""
        options, state = self._options, self.state
        if state.stopped:
            return False
        is_best = self._beats(value, state.best, 0.0)
        if is_best:
            state.best, state.best_epoch = value, epoch
        improved = self._beats(value, state.reference, options.min_delta)
        if improved:
            state.reference = value
        if improved and (options.baseline is None or self._beats(value, options.baseline, options.min_delta)):
            state.epochs_without_improvement, state.cooldown_left = 0, options.cooldown
        elif state.cooldown_left:
            state.cooldown_left -= 1
        elif epoch >= options.start_epoch:
            state.epochs_without_improvement += 1
        if self._patient:
            state.stopped = self._stop_reason(value)
        return is_best

    def _beats(self, value: float, reference: float | None, min_delta: float) -> bool:
        if not math.isfinite(value):
            return False
        if reference is None:
            return True
        delta = min_delta * (abs(reference) if self._options.min_delta_mode == "rel" else 1.0)
        return self._sign * value < self._sign * reference - delta

    def _stop_reason(self, value: float) -> str | None:
        options, signed = self._options, self._sign * value
        if options.divergence_threshold is not None and signed > self._sign * options.divergence_threshold:
            return "diverged"
        if options.stopping_threshold is not None and signed <= self._sign * options.stopping_threshold:
            return "target_reached"
        return "early_stopping" if self.state.epochs_without_improvement >= options.patience else None

    def state_dict(self) -> dict[str, Any]:
        """Plain data for load_state_dict. Resuming does not reset patience, and a stopped run stays stopped.

        Without a cooldown it has only the members of release 0.1.0, so that its workers can resume the run: `best` is
        the reference, as it was there. The history has the best value.
        """
        state = asdict(self.state)
        state["best"] = state.pop("reference")
        if not self._options.cooldown:
            del state["cooldown_left"]
        return state

    def load_state_dict(self, state: Mapping[str, Any], best: float | None) -> None:
        """Continue from this state. `best` is the value of its `best_epoch`, None without one."""
        self.state = State(**{**state, "best": best, "reference": state["best"]})
