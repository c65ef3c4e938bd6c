"""From Markdown to HTML: plain CommonMark with tables, a heading's words as its anchor, and links resolved."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class Rendered:
    """A page's title, which is its first heading, and its body as HTML."""

    title: str
    body: str


def render(text: str, resolve: Callable[[str], str]) -> Rendered:
    """A text that begins with a heading; `resolve` turns the address of each link and picture into what it shall be."""
    tokens = _markdown.parse(text)
    for token in _inner(tokens):
        for attribute in ("href", "src"):
            if attribute in token.attrs:
                token.attrs[attribute] = resolve(str(token.attrs[attribute]))
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrs["id"] = anchor(content.content)
    title = next(token.content for token in tokens if token.type == "inline")
    return Rendered(title.replace("`", ""), _markdown.renderer.render(tokens, _markdown.options, {}))


def anchor(heading: str) -> str:
    """A heading's name in a link: its words in lower case, hyphens between them."""
    return "-".join(re.findall(r"[a-z0-9_]+", heading.lower()))


def _inner(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()
