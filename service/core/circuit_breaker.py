"""A thing that failed is left alone for a while, so that the next caller does not wait for it too."""

import time


class Mute:
    """Silent for so many seconds after each failure."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def failed(self) -> None:
        self._until = time.monotonic() + self.seconds
