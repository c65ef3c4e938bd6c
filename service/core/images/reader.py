"""Reads one picture, whose bytes may be broken or hostile. Training and predictions read pictures by this function."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from PIL import Image, ImageStat, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from service.core.errors import InvalidData
from service.core.images import bmp, gif, jpeg, netpbm, png, samples, scaling, tiff
from service.core.images.bare import Bare
from service.core.images.ifd import ORDERS
from service.core.images.orientation import orientation, upright
from service.core.images.preprocessing import Colour, Preprocessing

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 64_000_000
LARGE = 16_000_000  # pixels to decode; they take 64 MB or more
TOO_MANY = f"too many pixels; allowed: at most {MOST_PIXELS:,}"
CUT = re.compile("truncated|not enough image data|unexpected end|reached EOF", re.IGNORECASE)  # Pillow's words
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # the first bytes of a file that Git LFS left behind
GRAY_MODES = ("1", "L", "LA", "La", "I")
PLAIN = Preprocessing()
BARE: tuple[tuple[tuple[bytes, ...], Callable[[bytes], Bare]], ...] = (  # by the first bytes of a file
    ((png.SIGNATURE,), png.bare),
    ((jpeg.MAGIC,), jpeg.bare),
    (tuple(ORDERS), tiff.bare),
    ((b"P",), netpbm.bare),
    (gif.SIGNATURES, gif.bare),
    ((bmp.MAGIC,), bmp.bare),
)


@dataclass(frozen=True)
class Picture:
    """The pixels of a picture, and the facts that matter for the set that it belongs to.

    `image` is upright, in mode L or RGB, its shorter side at most LARGEST_SIDE pixels and its area LARGEST_AREA. `mode`
    is the decoder's name of the stored mode. `decoded` is the number of pixels before scaling. `opacity` is the mean
    alpha, 0 to 1; 1 where no pixel is transparent. `has_more`: the file has more pages or frames than this one. `bits`
    is how many bits samples of 16 bits use, 8 to 16; None for others.
    """

    image: Image.Image
    mode: str
    decoded: int
    opacity: float = 1.0
    has_more: bool = False
    bits: int | None = None


def read(
    data: bytes, preprocessing: Preprocessing = PLAIN, turn: AbstractContextManager[object] | None = None
) -> Picture:
    """Read a picture, of several pages or frames the first. `turn` is held while a large picture is decoded.

    Raises InvalidData that says what is wrong, and what is allowed.
    """
    if not data:
        raise InvalidData("the file is empty")
    with _errors_translated(data):
        bare = _bare(data)
        with _open(bare.data) as picture:
            mode, has_more = picture.mode, bare.has_more or bool(getattr(picture, "is_animated", False))
            scaling.draft(picture)
            with turn if turn and picture.width * picture.height > LARGE else nullcontext():
                shown, bits = _eight_bits(picture, bare, preprocessing.sixteen_bit_divisor)
                opaque, opacity = _opaque(shown, preprocessing.background)
                image = upright(scaling.limited(opaque), _orientation(picture, bare))
        return Picture(image, mode, opaque.width * opaque.height, opacity, has_more, bits)


def _bare(data: bytes) -> Bare:
    for beginnings, bare in BARE:
        if data.startswith(beginnings):
            return bare(data)
    return Bare(data)


def _open(data: bytes) -> ImageFile:
    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    if picture.width * picture.height > MOST_PIXELS:
        raise InvalidData(f"the image has {picture.width}x{picture.height} pixels, which are {TOO_MANY}")
    return picture


def _eight_bits(picture: ImageFile, bare: Bare, divisor: int) -> tuple[Image.Image, int | None]:
    """The pixels with 8 bits a channel, and the bits that deeper samples use."""
    if not samples.is_deep(picture):
        picture.load()
        return picture, None
    deep = samples.deep(picture, lambda: _open(bare.data), bare)
    return deep.eight_bits(divisor), deep.bits


def _opaque(picture: Image.Image, background: Colour) -> tuple[Image.Image, float]:
    """The picture in mode L or RGB on the background, and its opacity."""
    mode = "L" if picture.mode in GRAY_MODES else "RGB"
    if not picture.has_transparency_data:
        return (picture if picture.mode == mode else picture.convert(mode)), 1.0
    veiled = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    alpha = veiled.getchannel("A")
    opacity = ImageStat.Stat(alpha).mean[0] / 255
    ground = Image.new("RGB", veiled.size, background)
    ground.paste(veiled, mask=alpha)
    is_gray = mode == "L" and (opacity == 1 or len(set(background)) == 1)
    return (ground.convert("L") if is_gray else ground), opacity


def _orientation(picture: ImageFile, bare: Bare) -> int:
    if picture.format != "WEBP":
        return bare.orientation
    exif, xmp = ([picture.info[name]] if name in picture.info else [] for name in ("exif", "xmp"))
    return orientation(exif, xmp)


@contextmanager
def _errors_translated(data: bytes) -> Iterator[None]:
    """Raises InvalidData for whatever a decoder raises."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # the decoders refuse twice as many before they take memory
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError:
        raise InvalidData(_unidentified(data)) from None
    except Image.DecompressionBombError:
        raise InvalidData(f"the image has {TOO_MANY}") from None
    except InvalidData:
        raise
    except MemoryError:
        raise InvalidData("decoding it needs too much memory") from None
    except Exception as error:  # decoders raise many kinds: OSError, SyntaxError, struct.error, …
        reason = "its file ends too early" if CUT.search(str(error)) else "its pixels cannot be decoded"
        raise InvalidData(f"a broken image: {reason}") from error


def _unidentified(data: bytes) -> str:
    if data.startswith(LFS_POINTER):
        return "a pointer of Git LFS, not the image; `git lfs pull` fetches the images"
    if data.startswith(tuple(ORDERS)) and (layout := tiff.layout_in_words(data)):
        return f"a TIFF whose pixels cannot be read: {layout}"
    if data.startswith((png.SIGNATURE, jpeg.MAGIC)):
        return "a broken image: no pixels are found after its first bytes"
    return f"not an image that can be read; allowed: {', '.join(FORMATS)}"
