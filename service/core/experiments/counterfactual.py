"""What early stopping would have done with other settings: a recorded curve, replayed through the stopper itself."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from service.core.records.epoch import Epoch
from service.core.records.job import StopReason
from service.core.spec import EarlyStopping, JobSpec
from service.core.spec.early_stopping import Stopper

NOISE = 2.0  # standard errors; a loss given up beyond them is one


@dataclass(frozen=True)
class Run:
    """What the run itself did. `seconds` are those of all its epochs; the best epoch is None if none was finite."""

    stop_epoch: int
    stop_reason: StopReason | None
    best_epoch: int | None
    best_val_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Setting:
    """What a setting would have done. Losses are mean cross entropies per image (nats).

    - `stop_epoch` and `stop_reason` are None where it would not have stopped within the recorded epochs. Then
      `beyond_record` says that the run might have gone on: what would have come is not known. It is False where the
      run was over whatever the setting (its epochs or its time had run out, its training loss was not finite).
    - `best_epoch` is the epoch whose weights it would have kept, `best_val_loss` and `val_accuracy` its scores.
    - `loss_given_up` is that loss minus the one that the run kept: negative where the setting keeps a better epoch.
      `loss_given_up_se` is its standard error as if both were scored on different images, which is more than it is:
      the root of the sum of both squares, 0 for one and the same epoch, None where it was not measured.
      `is_beyond_noise`: more than NOISE standard errors were given up.
    - `epochs_saved` and `seconds_saved` are held against the recorded run.
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
    """Where a setting's replay ended: after how many epochs, why (None: the record did), and what was best by then."""

    epochs: int
    reason: str | None
    best_epoch: int | None


def recorded(history: Sequence[Epoch], stop_reason: StopReason | None = None) -> Run:
    """What the run did whose epochs, at least one, are given in order."""
    best = _kept(history)
    seconds = math.fsum(epoch.seconds for epoch in history)
    return Run(
        history[-1].epoch, stop_reason, best.epoch if best else None, best.val_loss if best else None, seconds
    )  # fmt: skip


def replay(
    history: Sequence[Epoch],
    spec: JobSpec,
    patiences: Iterable[int],
    min_deltas: Iterable[float],
    stop_reason: StopReason | None = None,
) -> tuple[Setting, ...]:
    """Every patience with every min_delta, in this order, over the epochs (at least one, in order) of an ended run.

    All other options of early stopping are the spec's own, or the defaults where it has none; min_delta is in the
    monitored measure's own unit or relative, as they say. `stop_reason` is why the run ended.
    """
    options, chosen = spec.early_stopping or EarlyStopping(), sorted(set(patiences))
    kept, goes_on = _kept(history), _might_go_on(history, spec, stop_reason)
    spent = [0.0, *accumulate(epoch.seconds for epoch in history)]  # seconds after so many epochs
    known = {epoch.epoch: epoch for epoch in history}

    def setting(patience: int, min_delta: float, end: _End) -> Setting:
        best = known[end.best_epoch] if end.best_epoch is not None else None
        given_up, noise = _difference(best, kept)
        return Setting(
            patience=patience,
            min_delta=min_delta,
            stop_epoch=history[end.epochs - 1].epoch if end.reason else None,
            stop_reason=end.reason,
            beyond_record=goes_on and end.reason is None,
            best_epoch=end.best_epoch,
            best_val_loss=best.val_loss if best else None,
            val_accuracy=best.val_accuracy if best else None,
            loss_given_up=given_up,
            loss_given_up_se=noise,
            is_beyond_noise=None if given_up is None or noise is None else given_up > NOISE * noise,
            epochs_saved=len(history) - end.epochs,
            seconds_saved=spent[-1] - spent[end.epochs],
        )

    settings = [
        setting(patience, min_delta, end)
        for min_delta in sorted(set(min_deltas))
        for patience, end in zip(chosen, _ends(history, replace(options, min_delta=min_delta), chosen), strict=True)
    ]
    return tuple(sorted(settings, key=lambda setting: (setting.patience, setting.min_delta)))


def monitored(epoch: Epoch, monitor: str) -> float:
    """What the training loop shows the stopper: the monitored value, nan where either loss was not finite."""
    value = epoch.val_loss if monitor == "val_loss" else epoch.val_accuracy
    return math.nan if value is None or epoch.train_loss is None or epoch.val_loss is None else value


def _ends(history: Sequence[Epoch], options: EarlyStopping, patiences: Sequence[int]) -> Iterator[_End]:
    """The ends of all these patiences (distinct, ascending) in one pass, as they come.

    Patience says when to stop and never what is best, so the most patient stopper goes through the states of all the
    others before they stop.
    """
    stopper, waiting = Stopper(replace(options, patience=patiences[-1])), list(patiences)
    for count, epoch in enumerate(history, start=1):
        stopper.update(epoch.epoch, monitored(epoch, stopper.monitor))
        state = stopper.state
        threshold = state.stopped if state.stopped != StopReason.EARLY_STOPPING else None  # it stops them all
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
    """Whether a more patient run would have gone on after the recorded epochs."""
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
