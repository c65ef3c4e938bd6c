"""The elements of an HTML page."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """The elements of a page: its tags with their attributes, its title, its headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.title = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "title" and not self.title:
            self.title = data

    def all(self, tag: str, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for name, attrs in self.tags if name == tag and attribute in attrs]

    @property
    def headings(self) -> list[int]:
        return [int(name[1]) for name, _ in self.tags if re.fullmatch("h[1-6]", name)]
