"""The errors that the client raises, and the text of a problem that the service returns."""

import difflib
import re

from service.client.types import Json

MAX_ALLOWED = 12  # allowed words that a message lists in full; of a longer list it shows the nearest ones
NEAREST = 3
UNKNOWN = re.compile(r"'(.*)' is not known")


class ApiError(Exception):
    """The service returned a problem document (RFC 9457).

    `problem` is the document. `retry_after` is the pause in seconds that the service asked for, None without one.
    """

    def __init__(self, problem: Json, retry_after: float | None = None) -> None:
        faults = "".join(f"\n  {_fault_text(fault)}" for fault in problem.get("errors", ()))
        details = faults or f" {problem.get('detail')}"  # the detail repeats the faults in one line
        super().__init__(f"{problem.get('status')} {problem.get('title')}:{details}")
        self.problem = problem
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        return int(self.problem.get("status", 0))


class Damaged(ValueError):
    """A downloaded file differs from its entry in the manifest."""


class NotRightfit(Exception):
    """The server at this address is not a Rightfit service."""


class UnusableKey(ValueError):
    """the API key contains characters other than printable ASCII"""

    def __init__(self) -> None:  # the message must not contain the key
        super().__init__(self.__doc__)


def _fault_text(fault: Json) -> str:
    allowed = f" (allowed: {_allowed_text(fault)})" if fault.get("allowed") else ""
    return f"{fault['pointer'] or '/'}: {fault['detail']}{allowed}"


def _allowed_text(fault: Json) -> str:
    """The allowed values; for an unknown word in a long list, the words nearest to it."""
    allowed: str = fault["allowed"]
    words = allowed.removeprefix("only ").split(", ")
    unknown = UNKNOWN.match(fault["detail"])
    if len(words) <= MAX_ALLOWED or not unknown:
        return allowed
    nearest = difflib.get_close_matches(unknown[1], words, n=NEAREST, cutoff=0)
    return f"{', '.join(nearest)} and {len(words) - len(nearest)} more: /docs/reference"
