"""Two sets of drawn colour pictures: signs, and scenes with light, texture and clutter in the manner of photographs."""

import math
import random
from collections.abc import Callable

import torch
from PIL import Image, ImageDraw, ImageFilter

from workers.training.data.images import ImageSet

SIGNS = ("circle", "square", "triangle", "star", "cross", "ring")
THINGS = ("ball", "box", "tree", "house", "fish")
SIDE = 24  # pixels
SCALE = 4  # pictures are drawn larger, then brought down
Point = tuple[float, float]
Draw = Callable[[random.Random, str], Image.Image]


def signs(images: int, seed: int, side: int = SIDE) -> ImageSet:
    """Signs of any colour, size and place on a plain ground of another colour, in pictures of `side` pixels."""
    return _drawn(SIGNS, images, seed, _sign, side)


def scenes(images: int, seed: int, side: int = SIDE) -> ImageSet:
    """A thing before a lit, textured ground with other shapes around it, in pictures of `side` pixels."""
    return _drawn(THINGS, images, seed, _scene, side)


def _drawn(classes: tuple[str, ...], images: int, seed: int, draw: Draw, side: int) -> ImageSet:
    r = random.Random(seed)
    labels = torch.arange(images) % len(classes)
    pictures = [draw(r, classes[label]).resize((side, side), Image.Resampling.BOX) for label in labels.tolist()]
    pixels = torch.stack([torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8) for p in pictures])
    return ImageSet(pixels.view(-1, side, side, 3).permute(0, 3, 1, 2).contiguous(), labels, classes)


def _colour(r: random.Random) -> tuple[int, int, int]:
    return r.randrange(256), r.randrange(256), r.randrange(256)


def _noise(r: random.Random) -> Image.Image:
    side = SIDE * SCALE
    return Image.frombytes("L", (side, side), r.randbytes(side * side)).convert("RGB")


def _sign(r: random.Random, kind: str) -> Image.Image:
    side = SIDE * SCALE
    picture = Image.new("RGB", (side, side), _colour(r))
    _put(ImageDraw.Draw(picture), r, kind, _colour(r))
    return Image.blend(picture, _noise(r), 0.25)


def _put(draw: ImageDraw.ImageDraw, r: random.Random, kind: str, colour: tuple[int, int, int]) -> None:
    """Draw a sign of a random size at a random place, turned a little."""
    side = SIDE * SCALE
    radius = side * r.uniform(0.16, 0.34)
    x, y = (r.uniform(radius, side - radius) for _ in range(2))
    turn = r.uniform(-0.3, 0.3)

    def corners(count: int, inner: float = 1.0, first: float = -math.pi / 2) -> list[Point]:
        angles = [first + turn + 2 * math.pi * i / count for i in range(count)]
        sizes = [radius if i % 2 == 0 else radius * inner for i in range(count)]
        return [(x + s * math.cos(a), y + s * math.sin(a)) for a, s in zip(angles, sizes, strict=True)]

    box = (x - radius, y - radius, x + radius, y + radius)
    match kind:
        case "circle":
            draw.ellipse(box, colour)
        case "ring":
            draw.ellipse(box, None, colour, int(radius / 2.5))
        case "square":
            draw.polygon(corners(4, first=-math.pi / 4), colour)
        case "triangle":
            draw.polygon(corners(3), colour)
        case "star":
            draw.polygon(corners(10, 0.45), colour)
        case "cross":
            width = int(radius / 2)
            a, b, c, d = corners(4)
            draw.line((a, c), colour, width)
            draw.line((b, d), colour, width)


def _scene(r: random.Random, kind: str) -> Image.Image:
    side = SIDE * SCALE
    light, dark = _colour(r), _colour(r)
    ramp = Image.linear_gradient("L").resize((side, side)).rotate(r.uniform(0, 360))
    picture = Image.composite(Image.new("RGB", (side, side), light), Image.new("RGB", (side, side), dark), ramp)
    draw = ImageDraw.Draw(picture)
    for _ in range(r.randrange(4, 9)):
        left, top = r.uniform(0, side), r.uniform(0, side)
        draw.ellipse((left, top, left + r.uniform(4, 20), top + r.uniform(4, 20)), _colour(r))
    size = side * r.uniform(0.4, 0.7)
    left, top = r.uniform(0, side - size), r.uniform(0, side - size)
    _thing(draw, kind, (left, top), size, _colour(r))
    texture = _noise(r).filter(ImageFilter.GaussianBlur(1.5))
    return Image.blend(picture, texture, r.uniform(0.2, 0.4)).filter(ImageFilter.GaussianBlur(r.uniform(0, 2)))


def _thing(draw: ImageDraw.ImageDraw, kind: str, place: Point, size: float, colour: tuple[int, int, int]) -> None:
    left, top = place
    right, bottom, middle = left + size, top + size, left + size / 2
    match kind:
        case "ball":
            draw.ellipse((left, top, right, bottom), colour)
        case "box":
            draw.rectangle((left, top + size / 4, right, bottom), colour)
        case "tree":
            draw.polygon([(middle, top), (right, top + 0.7 * size), (left, top + 0.7 * size)], colour)
            draw.rectangle((middle - size / 10, top + 0.7 * size, middle + size / 10, bottom), colour)
        case "house":
            draw.polygon([(middle, top), (right, top + size / 2), (left, top + size / 2)], colour)
            draw.rectangle((left + size / 8, top + size / 2, right - size / 8, bottom), colour)
        case "fish":
            draw.ellipse((left, top + size / 4, left + 0.75 * size, bottom - size / 4), colour)
            draw.polygon(
                [(left + 0.6 * size, top + size / 2), (right, top + size / 5), (right, bottom - size / 5)], colour
            )
