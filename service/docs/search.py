"""The sections of all pages as plain text, for the search in the browser."""

import re
from collections.abc import Iterator, Mapping

from service.docs.markdown import anchor

HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
MARKS = re.compile(r"^```.*$|[`*|]|^[-:\s|]+$|\]\([^)]*\)|!?\[", re.MULTILINE)  # of Markdown
MOST_CHARACTERS = 1200  # of a section that are searched


def sections(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The sections of pages by their addresses, each with its page, its title, its place and its text."""
    for address, text in texts.items():
        title = ""
        for heading, body in _divided(text):
            title = title or heading
            place = address if heading == title else f"{address}#{anchor(heading)}"
            yield {"page": title, "title": heading.replace("`", ""), "place": place, "text": _plain(body)}


def _divided(text: str) -> Iterator[tuple[str, str]]:
    """The headings of a page with the text below each."""
    parts = HEADING.split(_without_blocks(text))
    yield from zip(parts[1::2], parts[2::2], strict=True)


def _without_blocks(text: str) -> str:
    """The text with the lines of code blocks indented, so that comments in them are no headings."""
    is_code, lines = False, []
    for line in text.splitlines():
        is_code ^= line.startswith("```")
        lines.append(f" {line}" if is_code else line)
    return "\n".join(lines)


def _plain(body: str) -> str:
    return " ".join(MARKS.sub(" ", body).split())[:MOST_CHARACTERS]
