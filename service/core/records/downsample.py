"""Downsamples a long history so that its curve keeps its shape. Pure."""

from collections.abc import Sequence

from service.core.records.epoch import Epoch

ALWAYS = 3  # the first, the last and the best epoch
OF_A_BUCKET = 2  # its lowest and its highest val_loss


def sampled(epochs: Sequence[Epoch], most: int) -> list[Epoch]:
    """At most `most` (5 or more) of the epochs, in order, so that no peak is lost.

    These are the first, the last and the best epoch, and from each of equally long stretches between the first and the
    last the epochs with the lowest and the highest val_loss.
    """
    if len(epochs) <= most:
        return list(epochs)
    count = (most - ALWAYS) // OF_A_BUCKET
    chosen = {0, len(epochs) - 1, *_best(epochs)}
    for bucket in range(count):
        first = 1 + bucket * (len(epochs) - 2) // count
        end = 1 + (bucket + 1) * (len(epochs) - 2) // count
        chosen.update(_extremes(epochs, range(first, end)))
    return [epochs[at] for at in sorted(chosen)]


def _best(epochs: Sequence[Epoch]) -> list[int]:
    """The index of the epoch whose weights were kept, the last that improved; empty if none did."""
    return [at for at, epoch in enumerate(epochs) if epoch.improved][-1:]


def _extremes(epochs: Sequence[Epoch], where: range) -> set[int]:
    """The indices of the lowest and the highest val_loss in a stretch; its middle if no val_loss is finite."""
    known = [(loss, at) for at in where if (loss := epochs[at].val_loss) is not None]
    return {min(known)[1], max(known)[1]} if known else {where[len(where) // 2]}
