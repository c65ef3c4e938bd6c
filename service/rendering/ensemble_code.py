"""The program in ensemble.zip that averages the models beside it."""

ENSEMBLE_CODE = '''"""The mean of the probabilities of all models in this folder.

It needs numpy and onnxruntime, and Pillow to read pictures:

    python ensemble.py picture.jpg
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent
MODELS = sorted(FOLDER.glob("*.onnx"))


def probabilities(images):
    """Probabilities [N, classes] of images float32 [N, channels, height, width] with pixels from 0 to 1."""
    shares = []
    for path in MODELS:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        shares.append(session.run(["probabilities"], {session.get_inputs()[0].name: images})[0])
    return np.mean(shares, axis=0)


def read(path, labels):
    """A picture as an image [1, channels, height, width], read as training images were by the steps of labels.json."""
    from PIL import Image, ImageOps

    steps = labels["preprocessing"]
    size, channels = steps["resize"], labels["input"]["shape"][1]
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode.startswith("I"):
        values = np.asarray(picture.convert("I")) // steps["sixteen_bit_divisor"]
        picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        veiled = picture.convert("RGBA")
        picture = Image.new("RGB", veiled.size, steps["background"])
        picture.paste(veiled, mask=veiled.getchannel("A"))
    picture = picture.convert("L" if channels == 1 else "RGB")
    ways = {"square": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}
    sized = ways[size["mode"]](picture, (size["width"], size["height"]), Image.Resampling.BILINEAR)
    pixels = np.asarray(sized, np.float32).reshape(size["height"], size["width"], channels)
    return pixels.transpose(2, 0, 1)[None] / 255


if __name__ == "__main__":
    known = json.loads((FOLDER / "labels.json").read_text("utf-8"))
    for path in sys.argv[1:]:
        share = probabilities(read(path, known))[0]
        print(path, known["classes"][int(share.argmax())], f"{share.max():.1%}")
'''
