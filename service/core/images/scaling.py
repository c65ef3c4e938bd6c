"""The size of pictures: what is stored for training, and the input of a network."""

from math import sqrt

from PIL import Image

LARGEST_SIDE = 512  # the largest image_size of a job: of a larger picture, the shorter side is brought down to it
LARGEST_AREA = 4 * LARGEST_SIDE**2  # pixels of a picture that is stored: of a long one, both sides are brought down
REDUCING_GAP = 3.0  # whole-number reduction comes first, down to this multiple of the size (Pillow's `resize`)
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


def resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    """A picture as the input of a network: bilinear, with antialiasing where it becomes smaller."""
    return picture.resize((width, height), Image.Resampling.BILINEAR)
