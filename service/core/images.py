"""One encoded picture to pixels, however broken or hostile its bytes are."""

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from service.core.errors import InvalidData

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 64_000_000
GRAY_MODES = ("1", "L", "LA", "I", "F")
SIXTEEN_BITS = 256  # what divides a 16-bit gray value down to 8 bits


def decode(data: bytes, channels: int | None = None) -> tuple[Image.Image, str]:
    """The picture upright in mode L (gray) or RGB, and the mode it was stored in. Of an animation, the first frame.

    `channels`: 1 or 3 to have it in that mode, None to keep gray ones gray. Transparency is laid on black. Raises
    InvalidData that says what is wrong.
    """
    if not data:
        raise InvalidData("the file is empty")
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise InvalidData(_too_large(f"{picture.width}x{picture.height} pixels"))
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                wanted = {None: "L" if _is_gray(upright.mode) else "RGB", 1: "L", 3: "RGB"}[channels]
                return _as_mode(upright, wanted), picture.mode
    except UnidentifiedImageError:
        raise InvalidData(f"not an image that can be read; allowed: {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidData(_too_large(str(error))) from error
    except InvalidData:
        raise
    except MemoryError:
        raise InvalidData("decoding it needs too much memory") from None
    except Exception as error:  # decoders raise whatever they stumble over: OSError, SyntaxError, struct.error, …
        raise InvalidData(f"a broken image: {type(error).__name__}: {error}"[:300]) from error


def _too_large(what: str) -> str:
    return f"an image of too many pixels ({what[:120]}); at most {MOST_PIXELS:,}"


def _is_gray(mode: str) -> bool:
    return mode in GRAY_MODES or mode.startswith("I;16")


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I")
        picture = picture.point(lambda value: value / SIXTEEN_BITS)
    elif picture.mode == "I":
        brightest = picture.getextrema()[1]
        if isinstance(brightest, (int, float)) and brightest >= SIXTEEN_BITS:
            picture = picture.point(lambda value: value / SIXTEEN_BITS)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture)
    return picture if picture.mode == mode else picture.convert(mode)
