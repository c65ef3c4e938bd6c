"""The fork server imports this module before the trainer: it imports torchvision without torch's compiler."""

import importlib
from contextlib import suppress

from workers.training.without_compiler import without_compiler

importlib.import_module("torch")
# A release of torchvision that asks the compiler for more is imported by the trainer, with the compiler.
with suppress(ImportError, AttributeError), without_compiler():
    importlib.import_module("torchvision.transforms.v2")
