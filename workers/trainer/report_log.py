"""The reports of a trainer as lines of its job's log."""

import logging
from typing import assert_never

from service.core.records.epoch import Epoch
from service.core.text import counted
from workers import messages

log = logging.getLogger(__name__)


def log_report(report: messages.Report) -> None:
    """Write a report to the log; the count of batches is left out."""
    match report:
        case messages.PhaseEntered(phase):
            log.info("%s", phase)
        case messages.FactsFound(facts):
            log.info("%(train)d images to train on, %(validation)d to validate, %(test)d to test", facts.images)
        case messages.EpochTrained(epoch):
            _log_epoch(epoch)
        case messages.CheckpointSaved(number, epochs):
            log.info("checkpoint %d after %s", number, counted(epochs, "epoch"))
        case messages.Diagnosed(verdict, summary=summary, is_final=is_final):
            log.info("%s%s: %s", "final diagnosis: " if is_final else "", verdict.replace("_", " "), summary)
        case messages.Tested():
            _log_test(report)
        case messages.Ended() | messages.Released() | messages.Failed():
            _log_ending(report)
        case messages.StepsTrained():
            pass
        case _:
            assert_never(report)


def _log_epoch(epoch: Epoch) -> None:
    train_loss, val_loss = _number(epoch.train_loss), _number(epoch.val_loss)
    accuracy = _number(None if epoch.val_accuracy is None else 100 * epoch.val_accuracy, "%.2f")
    suffix = ", the best so far" if epoch.improved else ""
    text = "epoch %d: training loss %s, validation loss %s, accuracy %s %%%s"
    log.info(text, epoch.epoch, train_loss, val_loss, accuracy, suffix)


def _log_ending(ending: messages.Ending) -> None:
    match ending:
        case messages.Ended(stop_reason, epochs):
            log.info("stopped (%s) after %s", stop_reason, counted(epochs, "epoch"))
        case messages.Released(epochs):
            log.info("stopped (released) after %s", counted(epochs, "epoch"))
        case messages.Failed(_, failure):
            log.error("%s: %s", failure.code, failure.detail)
        case _:
            assert_never(ending)


def _number(value: float | None, form: str = "%.6g") -> str:
    """A measure of an epoch, which is None where it was not finite."""
    return "not finite" if value is None else form % value


def _log_test(tested: messages.Tested) -> None:
    if score := tested.score:
        log.info("test images: loss %.6g, accuracy %.2f %%", score.loss, 100 * score.accuracy)
    if average := tested.average:
        kept, tried = (" ".join(map(str, epochs)) for epochs in (average.epochs, average.tried))
        text = "the best epochs are %s; the model kept is that of %s, with validation loss %.6g"
        log.info(text, tried, f"their average over {kept}" if average.is_kept else kept, average.val_loss)
    if tested.calibration:
        log.info("temperature %.3g", tested.calibration.temperature)
    if rare := tested.rare:
        right, of = "%d of %d validation images right", (rare.right, rare.images, rare.other_right, rare.other_images)
        log.info(f"rare classes: {right}; other classes: {right}", *of)
