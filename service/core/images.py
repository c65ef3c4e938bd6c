"""Decodes one image, whose bytes may be broken or hostile."""

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from service.core.errors import InvalidData

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 64_000_000
GRAY_MODES = ("1", "L", "LA", "I")
DEEP_FORMATS = ("PNG", "PPM")  # whose mode I has 16 bits
SIXTEEN_BITS = 256  # divides a 16-bit gray value down to 8 bits


def decode(
    data: bytes, channels: int | None = None, most_pixels: int = MOST_PIXELS, formats: tuple[str, ...] = FORMATS
) -> tuple[Image.Image, str]:
    """Decode an image, or the first frame of an animation; returns it upright, and the mode that it was stored in.

    `channels` is 1 for mode L (gray), 3 for RGB, None to keep gray images gray and make all others RGB. Transparent
    pixels become black, and 16-bit values are divided by 256. Raises InvalidData.
    """
    if not data:
        raise InvalidData("the file is empty")
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=formats) as picture:
                if picture.width * picture.height > most_pixels:
                    raise InvalidData(_too_large(f"{picture.width}x{picture.height} pixels", most_pixels))
                if picture.mode == "F" or (picture.mode == "I" and picture.format not in DEEP_FORMATS):
                    raise InvalidData("its pixels have 32 bits; allowed: 8 or 16 bits per channel")
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                mode = {None: "L" if _is_gray(upright.mode) else "RGB", 1: "L", 3: "RGB"}[channels]
                return _as_mode(upright, mode), picture.mode
    except UnidentifiedImageError:
        raise InvalidData(f"not an image that can be read; allowed: {', '.join(formats)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidData(_too_large(str(error), most_pixels)) from error
    except InvalidData:
        raise
    except MemoryError:
        raise InvalidData("decoding it needs too much memory") from None
    except Exception as error:  # decoders raise many kinds: OSError, SyntaxError, struct.error, …
        raise InvalidData(f"a broken image: {type(error).__name__}: {error}"[:300]) from error


def _too_large(what: str, most: int) -> str:
    return f"the image has too many pixels ({what[:120]}); allowed: at most {most:,}"


def _is_gray(mode: str) -> bool:
    return mode in GRAY_MODES or mode.startswith("I;16")


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value / SIXTEEN_BITS)
    if picture.has_transparency_data:
        veiled = picture.convert("RGBA")
        picture = Image.new("RGB", veiled.size)
        picture.paste(veiled, mask=veiled.getchannel("A"))
    return picture if picture.mode == mode else picture.convert(mode)
