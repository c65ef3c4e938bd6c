"""Renders Markdown to HTML: CommonMark with tables, anchors for headings, and resolved links."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class Rendered:
    """A rendered page: its title (the first heading, as text) and its body (HTML)."""

    title: str
    body: str


def render(text: str, resolve: Callable[[str], str]) -> Rendered:
    """Render a text that begins with a heading. `resolve` maps the target of each link and image to its address."""
    tokens = _markdown.parse(text)
    for token in _inline(tokens):
        for attribute in ("href", "src"):
            if attribute in token.attrs:
                token.attrs[attribute] = resolve(str(token.attrs[attribute]))
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrs["id"] = anchor(content.content)
    title = next(token.content for token in tokens if token.type == "inline")
    return Rendered(title.replace("`", ""), _markdown.renderer.render(tokens, _markdown.options, {}))


def anchor(heading: str) -> str:
    """The anchor of a heading: its words in lower case, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9_]+", heading.lower()))


def _inline(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()
