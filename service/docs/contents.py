"""The order of the documentation: what users need first, what operators need after it."""

from collections.abc import Mapping, Sequence

FIRST = "index"  # the page that stands before all others
CONTENTS: Mapping[str, Sequence[str]] = {
    "Use it": (
        "start",
        "start_curl",
        "tutorial",
        "use",
        "datasets",
        "pictures",
        "networks",
        "weights",
        "fits",
        "client",
        "command",
        "verdicts",
        "evaluation",
        "early_stopping",
        "diagnose",
        "glossary",
        "questions",
        "cookbook",
        "reference",
    ),
    "Run it": ("running", "deploying", "monitoring", "operations", "security", "load"),
}
ORDER = (FIRST, *(address for part in CONTENTS.values() for address in part))


def neighbours(address: str) -> tuple[str | None, str | None]:
    """The pages before and after a page of the contents; a page below another one leads back to that one."""
    if address not in ORDER:
        return address.rpartition("/")[0] or None, None
    at = ORDER.index(address)
    return ORDER[at - 1] if at else None, ORDER[at + 1] if at + 1 < len(ORDER) else None
