"""How far the reading of a set is, as lines on the standard output of its process."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Report = Callable[[int, int], None]  # gets the number of images read, and of all images
REPORT_SECONDS = 0.5  # between two lines


def reported(images: Iterable[T], total: int, report: Report) -> Iterator[T]:
    """The images, of which there are `total`; each is reported as read once the next one is asked for."""
    for done, image in enumerate(images):
        report(done, total)
        yield image


def printer() -> Report:
    """A report that prints {"read": …, "of": …}, at most one line in REPORT_SECONDS."""
    due = 0.0

    def report(done: int, total: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            print(json.dumps({"read": done, "of": total}), flush=True)
            due = time.monotonic() + REPORT_SECONDS

    return report
