"""Names that people chose, as parts of names of files."""

import re
import unicodedata

LONGEST = 80  # characters


def slug(name: str | None) -> str:
    """The name in ASCII, without characters that a file system or a shell interprets; empty if nothing is left."""
    ascii_name = unicodedata.normalize("NFKD", name or "").encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.-]+", "-", ascii_name)[:LONGEST].strip("-.")
