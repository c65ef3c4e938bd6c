"""Types that the client takes and returns."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]
Progress = Callable[[int, int], None]  # bytes transferred so far, bytes in total
Note = Callable[[str], object]  # a remark in words


class Event(NamedTuple):
    """An event of a job. A stream can continue after its `id`."""

    id: str
    type: str
    data: Json


class History(dict[str, Any]):
    """The epochs of a job in order (`data`), and the `best` and `last` of them: None before the first epoch."""

    @property
    def epochs(self) -> list[Json]:
        return list(self["data"])

    @property
    def best(self) -> Json | None:
        best: Json | None = self["best"]
        return best

    @property
    def last(self) -> Json | None:
        last: Json | None = self["last"]
        return last

    def to_pandas(self) -> Any:
        """A DataFrame with one row per epoch. Raises ImportError if pandas is not installed."""
        return importlib.import_module("pandas").DataFrame(self["data"])
