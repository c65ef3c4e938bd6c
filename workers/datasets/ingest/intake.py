"""What is kept of the images of a set while it is read: pixels, fingerprints, modes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from PIL import Image

from service.core.images import decode
from workers.datasets.ingest.pack import Pack, Pixels, pixels_of
from workers.datasets.ingest.preflight import Prints


class Picture(NamedTuple):
    """A decoded image, and the mode that it was stored in."""

    image: Image.Image
    mode: str


@dataclass
class Intake:
    """One reading of a set. `modes` counts the images by the mode that they are stored in."""

    pack: Pack
    prints: Prints = field(default_factory=Prints)
    modes: Counter[str] = field(default_factory=Counter)

    def decode(self, data: bytes) -> Picture:
        """An encoded image. Raises InvalidData."""
        return Picture(*decode(data))

    def add(self, name: str, picture: Picture) -> None:
        """The next image."""
        self.modes[picture.mode] += 1
        self._keep(pixels_of(picture.image))

    def add_pixels(self, name: str, pixels: Pixels) -> None:
        """The next image, [H, W, C]."""
        self.modes["L" if pixels.shape[2] == 1 else "RGB"] += 1
        self._keep(pixels)

    def _keep(self, pixels: Pixels) -> None:
        self.pack.add(pixels)
        self.prints.add(pixels)
