"""Sample pictures of a data set in one picture: a row for each class."""

from PIL import Image

from service.core.records.dataset import Dataset
from service.packs import PackReader
from service.rendering.thumbnail import png, scaled

CLASSES, OF_A_CLASS = 10, 6
SIDE, GAP = 48, 4  # pixels: side of a picture, and space between two


def draw(packs: PackReader, dataset: Dataset) -> bytes:
    """A PNG of the first OF_A_CLASS pictures of each of the first CLASSES classes.

    Raises NotFound for a data set without a pack, and StorageError.
    """
    pack = packs.pack(dataset)
    rows = min(len(dataset.contents.classes) if dataset.contents else 0, CLASSES)
    sheet = Image.new("RGBA", (OF_A_CLASS * (SIDE + GAP), rows * (SIDE + GAP)))
    for row in range(rows):
        for column, picture in enumerate(packs.images(pack, pack.first_of(row, OF_A_CLASS))):
            sheet.paste(scaled(picture.convert("RGB"), SIDE), (column * (SIDE + GAP), row * (SIDE + GAP)))
    return png(sheet)
