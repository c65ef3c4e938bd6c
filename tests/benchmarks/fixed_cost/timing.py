"""Times named functions where their callers look them up: `timed(TABLE)` for the functions of this process."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

Calls = dict[str, list[tuple[float, float]]]


@contextmanager
def timed(parts: Mapping[str, str]) -> Iterator[Calls]:
    """Within the block, record begin and end of each call, in seconds of the machine's monotonic clock.

    `parts` has the name of each part and the dotted path of its function.
    """
    calls: Calls = defaultdict(list)
    with ExitStack() as stack:
        for name, path in parts.items():
            module, function = path.rsplit(".", maxsplit=1)
            owner = resolve_name(module)
            stack.enter_context(patch.object(owner, function, _timed(getattr(owner, function), calls[name])))
        yield calls


def _timed(function: Callable[..., Any], calls: list[tuple[float, float]]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            calls.append((began, time.monotonic()))

    return wrapper
