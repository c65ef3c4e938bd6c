"""The quick start names the buttons and fields as the pages do, and the goals in the order of the form."""

import re

from service.docs import FOLDER
from service.web.form import GOALS
from service.web.options import TITLES
from tests.servers import ROOT

TEXT = (FOLDER / "start.md").read_text("utf-8")
TEMPLATES = (ROOT / "service" / "web" / "templates").rglob("*.html")
VALUE = re.compile(r"\{\{.*?\}\}|\d+")  # an expression of a template stands for the number of an example


def normalized(text: str) -> str:
    return " ".join(VALUE.sub("…", text).lower().split())


def test_quick_start_names_fields_and_buttons_as_the_pages_do() -> None:
    sources = "\n".join([*(path.read_text("utf-8") for path in TEMPLATES), *TITLES.values()])
    shown = sources + normalized(sources)  # some words are within an expression
    named = re.findall(r"“(.+?)”", TEXT)
    assert len(named) > 5
    assert [name for name in named if name not in shown and normalized(name) not in shown] == []


def test_quick_start_lists_the_goals_in_the_order_of_the_form() -> None:
    rows = re.findall(r"^\| ([A-Z][^|]+?) \|", TEXT, re.MULTILINE)
    assert rows == [title for title, _ in GOALS.values()]
