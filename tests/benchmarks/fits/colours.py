"""Small colour pictures of nine classes, drawn by code: three shapes, each with three textures.

The colour hints at the class, without deciding it. Position, size, angle, contrast and noise vary from picture to
picture.
"""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [N, channels, height, width]
Labels = NDArray[np.int64]  # [N]
Plane = NDArray[np.float64]  # [N, SIDE, SIDE], or what broadcasts to it

SIDE = 32
SHAPES, TEXTURES = 3, 3
CLASSES = SHAPES * TEXTURES
MOST, LEAST = 400, 20  # images of the largest and of the smallest class, in a set for training and validation
TEST = 2_000
HUE_SPREAD = 0.14  # standard deviation of a picture's hue around that of its class, in turns
CONTRAST = (0.35, 0.8)  # between the dark and the light parts of a texture, as a share of the light ones
NOISE = (0.03, 0.12)  # standard deviation of the noise of a pixel, of 1
RADIUS = (6.0, 11.0)  # pixels
OFFSET = 5.0  # pixels at most between the centres of shape and picture
WAVES = (5.5, 7.5)  # radians of the texture in one radius
EDGE = 0.12  # width of the soft edge of a shape, in radii


def class_sizes() -> NDArray[np.int64]:
    """The images of each class, [CLASSES], falling geometrically from MOST to LEAST."""
    return np.rint(np.geomspace(MOST, LEAST, CLASSES)).astype(np.int64)


def labels_for_test() -> Labels:
    """TEST labels with the shares of the classes in `class_sizes`."""
    ends = np.rint(TEST * np.cumsum(class_sizes()) / class_sizes().sum()).astype(np.int64)
    return np.repeat(np.arange(CLASSES), np.diff(ends, prepend=0))


def drawn(labels: Labels, random: np.random.Generator) -> Pixels:
    """A picture for each label: uint8 [N, 3, SIDE, SIDE]."""
    count = len(labels)
    across, down = _own_axes(count, random)
    inside = _shape(labels // TEXTURES, across, down)
    texture = _texture(labels % TEXTURES, across, down, random)
    hue = labels * 4 / CLASSES + HUE_SPREAD * random.standard_normal(count)  # neighbours in number differ in hue
    light, ground = _colour(hue, random), _colour(random.random(count), random)
    contrast = random.uniform(*CONTRAST, count)[:, None, None, None]
    foreground = light * (1 - contrast * (1 - texture[:, None]))
    picture = ground + inside[:, None] * (foreground - ground)
    noise = random.uniform(*NOISE, count)[:, None, None, None] * random.standard_normal(picture.shape)
    pixels: Pixels = np.clip(np.rint(255 * (picture + noise)), 0, 255).astype(np.uint8)
    return pixels


def _own_axes(count: int, random: np.random.Generator) -> tuple[Plane, Plane]:
    """The coordinates of each pixel in the axes of its shape, in radii from the centre of the shape."""
    angle, radius = random.uniform(0, 2 * np.pi, count), random.uniform(*RADIUS, count)
    centre = (SIDE - 1) / 2 + random.uniform(-OFFSET, OFFSET, (2, count))
    x = (np.arange(SIDE) - centre[0, :, None])[:, None, :] / radius[:, None, None]
    y = (np.arange(SIDE) - centre[1, :, None])[:, :, None] / radius[:, None, None]
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return x * cosine + y * sine, y * cosine - x * sine


def _shape(shape: Labels, across: Plane, down: Plane) -> Plane:
    """How much of each pixel is inside a disc (0), a square (1) or a triangle (2), from 0 to 1."""
    disc = np.hypot(across, down)
    square = 1.13 * np.maximum(abs(across), abs(down))
    triangle = 1.3 * np.maximum(down, abs(across) * np.sqrt(0.75) - down / 2) + 0.1
    distance = np.choose(shape[:, None, None], [disc, square, triangle])
    return np.clip((1 - distance) / EDGE + 0.5, 0, 1)


def _texture(texture: Labels, across: Plane, down: Plane, random: np.random.Generator) -> Plane:
    """Plain (0), striped (1) or chequered (2), from 0 to 1."""
    waves = random.uniform(*WAVES, len(texture))[:, None, None]
    phase = random.uniform(0, 2 * np.pi, len(texture))[:, None, None]
    stripes, crossing = np.sin(waves * across + phase), np.sin(waves * down + phase)
    plain = np.full_like(stripes, 0.5)
    return np.choose(texture[:, None, None], [plain, 0.5 + stripes / 2, 0.5 + stripes * crossing / 2])


def _colour(hue: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Red, green and blue [N, 3, 1, 1] of pale to strong colours with this hue, in turns."""
    strength, value = random.uniform(0.2, 0.7, len(hue)), random.uniform(0.4, 0.95, len(hue))
    wheel = 0.5 + 0.5 * np.cos(2 * np.pi * (hue[:, None] - np.arange(3) / 3))
    return (value[:, None] * (1 - strength[:, None] * (1 - wheel)))[:, :, None, None]
