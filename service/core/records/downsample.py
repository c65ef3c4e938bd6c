"""Fewer epochs of a long history that draw the same curve. Pure."""

from collections.abc import Sequence

from service.core.records.epoch import Epoch

ALWAYS = 3  # the first, the last and the best epoch
OF_A_BUCKET = 2  # its lowest and its highest val_loss


def sampled(epochs: Sequence[Epoch], most: int) -> list[Epoch]:
    """At most `most` (at least 5) of the epochs, in order: the first, the last, the best, and of each of equally long
    stretches between the first and the last those with the lowest and the highest val_loss, so that no peak is lost.
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
    """Where the epoch is whose weights were kept, the last that improved; nowhere if none did."""
    return [at for at, epoch in enumerate(epochs) if epoch.improved][-1:]


def _extremes(epochs: Sequence[Epoch], where: range) -> set[int]:
    """Where val_loss is lowest and highest within a stretch; its middle, where it has no finite one."""
    known = [(loss, at) for at in where if (loss := epochs[at].val_loss) is not None]
    return {min(known)[1], max(known)[1]} if known else {where[len(where) // 2]}
