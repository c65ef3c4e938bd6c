"""Pictures: encoded bytes, which may be broken or hostile, become 8-bit pixels in the same way everywhere."""

from service.core.images.preprocessing import Preprocessing
from service.core.images.reader import FORMATS, MOST_PIXELS, Picture, read
from service.core.images.scaling import LARGEST_AREA, LARGEST_SIDE, SQUARE, WAYS, resized

__all__ = [
    "FORMATS",
    "LARGEST_AREA",
    "LARGEST_SIDE",
    "MOST_PIXELS",
    "SQUARE",
    "WAYS",
    "Picture",
    "Preprocessing",
    "read",
    "resized",
]
