"""The program in ensemble.zip that averages the models beside it."""

ENSEMBLE_CODE = '''"""The mean of the probabilities of all models in this folder. Needs numpy and onnxruntime."""

from pathlib import Path

import numpy as np
import onnxruntime

MODELS = sorted(Path(__file__).parent.glob("*.onnx"))


def probabilities(images):
    """Probabilities [N, classes] of images float32 [N, channels, height, width] with pixels from 0 to 1."""
    shares = []
    for path in MODELS:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        shares.append(session.run(["probabilities"], {session.get_inputs()[0].name: images})[0])
    return np.mean(shares, axis=0)
'''
