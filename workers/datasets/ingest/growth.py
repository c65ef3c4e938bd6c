"""What an upload may become, bounded by what was sent: a few bytes must not fill the time, the memory or the disk.

Photographs grow 5 to 50 times when they are decoded, flat drawings up to 300 times, blank pages up to 1,000 times.
"""

from dataclasses import dataclass

from service.core.errors import InvalidData

FREE_BYTES = 32 << 20  # that every set may have
MOST_DECODED, MOST_KEPT = 2000, 500  # times the bytes that were sent: before and after pictures are scaled down


@dataclass
class Growth:
    """The bytes of the pixels of a set, of which `sent` bytes were uploaded."""

    upload_bytes: int
    _decoded: int = 0
    _kept: int = 0

    def add(self, decoded: int, kept: int) -> None:
        """Count a picture, by its bytes before and after scaling. Raises InvalidData beyond the limits."""
        self._decoded += decoded
        self._kept += kept
        for size, ratio, words in ((self._decoded, MOST_DECODED, "decoded"), (self._kept, MOST_KEPT, "stored")):
            most = max(FREE_BYTES, ratio * self.upload_bytes)
            if size > most:
                raise InvalidData(
                    f"the images become more than {most:,} bytes when they are {words}, from {self.upload_bytes:,} "
                    f"bytes that were sent; allowed: {ratio} times as much, and {FREE_BYTES:,} bytes in any case"
                )
