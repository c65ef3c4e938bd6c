"""What is kept of the images of a set while it is read: pixels, fingerprints, and what they have in common."""

from collections import Counter
from dataclasses import dataclass, field

from PIL import Image

from service.core import images
from workers.datasets.ingest.deadline import deadline
from workers.datasets.ingest.growth import Growth
from workers.datasets.ingest.pack import Pack, Pixels, pixels_of
from workers.datasets.ingest.prints import Prints
from workers.datasets.ingest.progress import Report
from workers.datasets.ingest.survey import Survey


@dataclass
class Intake:
    """One reading of a set, whose progress goes to `report`. `modes` counts the images by the mode that they are stored
    in.
    """

    pack: Pack
    survey: Survey
    growth: Growth
    report: Report
    prints: Prints = field(default_factory=Prints)
    modes: Counter[str] = field(default_factory=Counter)

    def decode(self, data: bytes) -> images.Picture:
        """An encoded image, as the set is read. Raises InvalidData."""
        with deadline():
            return images.read(data, self.survey.used)

    def add(self, name: str, picture: images.Picture) -> None:
        """The next image. Raises InvalidData where the set becomes too large."""
        pixels = pixels_of(picture.image)
        self.growth.add(picture.decoded * pixels.shape[2], pixels.nbytes)
        self.pack.add(pixels)
        self.prints.add(pixels)
        self.survey.add(name, picture)
        self.modes[picture.mode] += 1

    def add_pixels(self, name: str, pixels: Pixels) -> None:
        """The next image, [H, W, C]."""
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        self.add(name, images.Picture(image, image.mode, image.width * image.height))
