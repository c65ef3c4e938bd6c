"""The size of pictures: what is stored for training, and the input of a network."""

from collections.abc import Callable, Mapping
from math import sqrt

from PIL import Image, ImageOps

Size = tuple[int, int]

LARGEST_SIDE = 512  # the largest image_size of a job: of a larger picture, the shorter side is brought down to it
LARGEST_AREA = 4 * LARGEST_SIDE**2  # pixels of a picture that is stored: of a long one, both sides are brought down
REDUCING_GAP = 3.0  # whole-number reduction comes first, down to this multiple of the size (Pillow's `resize`)
SQUARE = "square"  # the default way to resize
DRAFT_GAP = 2  # a JPEG is decoded at a fraction of its size, but at this multiple of LARGEST_SIDE or more


def draft(picture: Image.Image) -> None:
    """Let a large JPEG be decoded at 1/2, 1/4 or 1/8 of its size; leaves other pictures as they are."""
    least = DRAFT_GAP * LARGEST_SIDE
    picture.draft(None, (least, least))


def limited(picture: Image.Image) -> Image.Image:
    """The picture, its shorter side at most LARGEST_SIDE pixels, and its area about LARGEST_AREA at most."""
    share = min(LARGEST_SIDE / min(picture.size), sqrt(LARGEST_AREA / (picture.width * picture.height)))
    if share >= 1:
        return picture
    width, height = (min(max(1, round(side * share)), LARGEST_AREA) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)


def resized(picture: Image.Image, width: int, height: int, way: str = SQUARE) -> Image.Image:
    """A picture as the input of a network: bilinear, with antialiasing where it becomes smaller. `way` is of WAYS."""
    return WAYS[way](picture, (width, height), Image.Resampling.BILINEAR)


def _padded(picture: Image.Image, size: Size, method: Image.Resampling) -> Image.Image:
    """As ImageOps.pad, but at least one pixel of a very long picture is left."""
    width, height = size
    if picture.width / picture.height > width / height:
        height = max(1, round(picture.height / picture.width * width))
    else:
        width = max(1, round(picture.width / picture.height * height))
    ground = Image.new(picture.mode, size)
    ground.paste(picture.resize((width, height), method), (round((size[0] - width) / 2), round((size[1] - height) / 2)))
    return ground


# By the values of dataset.resize. square: both sides are scaled. crop: the middle of the picture, as large as fits.
# pad: the whole picture in the middle of a black ground.
WAYS: Mapping[str, Callable[[Image.Image, Size, Image.Resampling], Image.Image]] = {
    SQUARE: Image.Image.resize,
    "crop": ImageOps.fit,
    "pad": _padded,
}
