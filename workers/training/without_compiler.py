"""Keeps torch's compiler out of a process that does not compile: its import takes as long as that of torch itself.

torch and torchvision load it for a trifle: to mark functions that it shall leave alone. See also eager_optim.py.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER, UTILS = "torch._dynamo", "torch._dynamo.utils"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within the block a stand-in is found for the compiler, unless it is loaded. Nothing can be compiled there.

    The stand-in has what torch's functions on the meta device and the import of torchvision ask for. What is marked
    with it stays unmarked, so a process that compiles must load the compiler before.
    """
    if COMPILER in sys.modules:
        yield
        return
    compiler, utils = ModuleType(COMPILER), ModuleType(UTILS)
    vars(compiler)["disable"] = _unchanged
    vars(utils)["is_compile_supported"] = lambda device: False  # asked by an operator for detection
    sys.modules.update({COMPILER: compiler, UTILS: utils})
    try:
        yield
    finally:
        del sys.modules[COMPILER], sys.modules[UTILS]


def _unchanged(function: Any, *_: Any, **__: Any) -> Any:
    return function
