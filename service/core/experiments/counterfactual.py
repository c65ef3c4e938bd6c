"""Early stopping with other settings: a recorded curve is replayed through the stopper."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from service.core.records.epoch import Epoch
from service.core.records.job import StopReason
from service.core.spec import EarlyStopping, JobSpec
from service.core.spec.early_stopping import Stopper

NOISE = 2.0  # standard errors; a larger difference of losses is beyond noise


@dataclass(frozen=True)
class Run:
    """The run as recorded. `seconds` is the duration of all its epochs; the best epoch is None if none was finite."""

    stop_epoch: int
    stop_reason: StopReason | None
    best_epoch: int | None
    best_val_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Setting:
    """The result of a setting. Losses are mean cross entropies per image (nats).

    - `stop_epoch` and `stop_reason` are None if the setting does not stop within the recorded epochs. Then
      `beyond_record` says whether the run could have continued with an unknown result. It is False if the run ended
      for a reason that no setting changes: its epochs or its time ran out, or its training loss was not finite.
    - `best_epoch` is the epoch whose weights the setting keeps, `best_val_loss` and `val_accuracy` are its scores.
    - `loss_given_up` is `best_val_loss` minus that of the epoch that the run kept; negative if the setting keeps a
      better epoch. `loss_given_up_se` is its standard error, the root of the sum of both squares: too large
      (conservative), as both epochs were scored on the same images; 0 for the same epoch, None if not measured.
      `is_beyond_noise` says whether more than NOISE standard errors are given up.
    - `epochs_saved` and `seconds_saved` are relative to the recorded run.
    """

    patience: int
    min_delta: float
    stop_epoch: int | None
    stop_reason: str | None
    beyond_record: bool
    best_epoch: int | None
    best_val_loss: float | None
    val_accuracy: float | None
    loss_given_up: float | None
    loss_given_up_se: float | None
    is_beyond_noise: bool | None
    epochs_saved: int
    seconds_saved: float


@dataclass(frozen=True)
class _End:
    """The end of a replay: after how many epochs, why (None: the record ended), and the best epoch so far."""

    epochs: int
    reason: str | None
    best_epoch: int | None


def recorded(history: Sequence[Epoch], stop_reason: StopReason | None = None) -> Run:
    """Summarize a run from its epochs (at least one, in order)."""
    best = _kept(history)
    seconds = math.fsum(epoch.seconds for epoch in history)
    best_epoch, best_val_loss = (best.epoch, best.val_loss) if best else (None, None)
    return Run(history[-1].epoch, stop_reason, best_epoch, best_val_loss, seconds)


def replay(
    history: Sequence[Epoch],
    spec: JobSpec,
    patiences: Iterable[int],
    min_deltas: Iterable[float],
    stop_reason: StopReason | None = None,
) -> tuple[Setting, ...]:
    """Replay every patience with every min_delta over the epochs (at least one, in order) of an ended run.

    The settings come sorted by patience, then by min_delta. All other options of early stopping are those of the spec,
    or the defaults if it has none; they also say whether min_delta is absolute or relative. `stop_reason` is that of
    the run.
    """
    options, chosen = spec.early_stopping or EarlyStopping(), sorted(set(patiences))
    recording = _Recording(history, _might_go_on(history, spec, stop_reason))
    settings = [
        recording.setting(patience, min_delta, end)
        for min_delta in sorted(set(min_deltas))
        for patience, end in zip(chosen, _ends(history, replace(options, min_delta=min_delta), chosen), strict=True)
    ]
    return tuple(sorted(settings, key=lambda setting: (setting.patience, setting.min_delta)))


class _Recording:
    """A recorded run that settings are compared with. `might_go_on`: more patience could have continued it."""

    def __init__(self, history: Sequence[Epoch], might_go_on: bool) -> None:
        self._history, self._might_go_on, self._kept = history, might_go_on, _kept(history)
        self._by_number = {epoch.epoch: epoch for epoch in history}
        self._elapsed = [0.0, *accumulate(epoch.seconds for epoch in history)]  # seconds, by the count of epochs

    def setting(self, patience: int, min_delta: float, end: _End) -> Setting:
        """The result of a setting whose replay ended there."""
        best = self._by_number[end.best_epoch] if end.best_epoch is not None else None
        given_up, noise = _difference(best, self._kept)
        return Setting(
            patience=patience,
            min_delta=min_delta,
            stop_epoch=self._history[end.epochs - 1].epoch if end.reason else None,
            stop_reason=end.reason,
            beyond_record=self._might_go_on and end.reason is None,
            best_epoch=end.best_epoch,
            best_val_loss=best.val_loss if best else None,
            val_accuracy=best.val_accuracy if best else None,
            loss_given_up=given_up,
            loss_given_up_se=noise,
            is_beyond_noise=None if given_up is None or noise is None else given_up > NOISE * noise,
            epochs_saved=len(self._history) - end.epochs,
            seconds_saved=self._elapsed[-1] - self._elapsed[end.epochs],
        )


def monitored(epoch: Epoch, monitor: str) -> float:
    """The value that the training loop passes to the stopper: nan if it was not recorded or a loss was not finite."""
    value: float | None = getattr(epoch, monitor)
    return math.nan if value is None or epoch.train_loss is None or epoch.val_loss is None else value


def _ends(history: Sequence[Epoch], options: EarlyStopping, patiences: Sequence[int]) -> Iterator[_End]:
    """The end of each patience (distinct, ascending), in one pass and in this order.

    Patience decides when to stop and never which epoch is best. So until a less patient stopper stops, its states are
    those of the most patient one.
    """
    stopper, waiting = Stopper(replace(options, patience=patiences[-1])), list(patiences)
    for count, epoch in enumerate(history, start=1):
        stopper.update(epoch.epoch, monitored(epoch, stopper.monitor))
        state = stopper.state
        threshold = state.stopped if state.stopped != StopReason.EARLY_STOPPING else None  # stops every patience
        while waiting and (threshold or state.epochs_without_improvement >= waiting[0]):
            waiting.pop(0)
            yield _End(count, threshold or StopReason.EARLY_STOPPING.value, state.best_epoch)
        if not waiting:
            return
    yield from (_End(len(history), None, stopper.state.best_epoch) for _ in waiting)


def _kept(history: Sequence[Epoch]) -> Epoch | None:
    """The epoch whose weights the run kept."""
    return next((epoch for epoch in reversed(history) if epoch.improved), None)


def _might_go_on(history: Sequence[Epoch], spec: JobSpec, stop_reason: StopReason | None) -> bool:
    """Whether more patience would have continued the run after the recorded epochs."""
    last = history[-1]
    return last.epoch < spec.epochs and last.train_loss is not None and stop_reason is not StopReason.MAX_SECONDS


def _difference(best: Epoch | None, kept: Epoch | None) -> tuple[float | None, float | None]:
    """(val_loss of `best` minus that of `kept`, its standard error)."""
    if best is None or kept is None or best.val_loss is None or kept.val_loss is None:
        return None, None
    if best.epoch == kept.epoch:
        return 0.0, 0.0
    known = best.val_loss_se is not None and kept.val_loss_se is not None
    return best.val_loss - kept.val_loss, math.hypot(best.val_loss_se or 0, kept.val_loss_se or 0) if known else None
