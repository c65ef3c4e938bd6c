"""A limit on the computing time for one picture. Most decoders return to Python often, where the signal is noticed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from service.core.errors import InvalidData

PICTURE_SECONDS = 10.0  # of computing, not of waiting; a photograph takes 0.1


class TooSlow(InvalidData):
    """The picture takes longer to decode than any picture may."""


@contextmanager
def deadline() -> Iterator[None]:
    """Raise TooSlow in the block after PICTURE_SECONDS. To be used in the main thread."""
    former = signal.signal(signal.SIGPROF, _raise)
    signal.setitimer(signal.ITIMER_PROF, PICTURE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def _raise(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"decoding it takes too long; allowed: {PICTURE_SECONDS:g} s of computing")
