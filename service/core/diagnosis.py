"""From a loss history to words: what training and validation loss did. Pure functions."""

from collections.abc import Sequence

from service.core.history import Epoch

ENOUGH_EPOCHS = 5  # fewer say nothing about a trend
NOTABLE = 0.02  # a change of the loss by this share is worth a word


def in_words(epochs: Sequence[Epoch], best: Epoch) -> str:
    """One sentence on what the two curves show after the epoch whose model was kept."""
    told = [e for e in epochs if e.val_loss is not None and e.train_loss is not None]
    if len(told) < ENOUGH_EPOCHS:
        return f"{len(told)} epochs are too few to tell."
    last = told[-1]
    training = f"training loss went from {_training(best):.3f} to {_training(last):.3f}"
    rise = _validation(last) / _validation(best) - 1 if _validation(best) else 0.0
    if last.epoch - best.epoch < ENOUGH_EPOCHS:
        return (
            f"Validation loss was still at its best ({_validation(best):.3f}) in epoch {best.epoch} of {last.epoch}, "
            f"with training loss at {_training(last):.3f}: no sign that it had turned."
        )
    after = f"After epoch {best.epoch} {training}"
    if rise > NOTABLE and _training(last) < _training(best):
        return (
            f"{after} while validation loss rose from {_validation(best):.3f} to {_validation(last):.3f}: "
            f"overfitting; the model kept is that of epoch {best.epoch}."
        )
    if _training(last) < _training(best):
        return (
            f"{after} while validation loss stayed at about {_validation(best):.3f}: "
            "what is still learned is about the training images alone."
        )
    return f"{after} and validation loss did not get better than {_validation(best):.3f}."


def _training(epoch: Epoch) -> float:
    """The clean training loss where it was measured: only that one can be set beside validation loss."""
    loss = epoch.train_loss_clean if epoch.train_loss_clean is not None else epoch.train_loss
    return loss if loss is not None else float("nan")


def _validation(epoch: Epoch) -> float:
    return epoch.val_loss if epoch.val_loss is not None else float("nan")
