"""The statement counts on the page about load are those of the code."""

import re

import pytest

from service.core.settings import Settings
from service.docs import FOLDER
from tests.benchmarks import statements

ROW = re.compile(r"^\| ([a-zA-Z0-9:' ]+) \| (\d+) \| [^|]+ \|$", re.MULTILINE)


def test_statement_counts_of_the_load_page_are_right(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "REPEATS", 2)
    documented = {name: int(count) for name, count in ROW.findall((FOLDER / "load.md").read_text("utf-8"))}
    assert {name: call["statements"] for name, call in statements.counted(settings).items()} == documented
