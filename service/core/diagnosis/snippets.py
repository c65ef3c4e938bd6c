"""The cures as code for other frameworks, for runs that were not trained here."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FRAMEWORKS = ("keras", "pytorch", "lightning", "timm")
FILE = Path(__file__).with_suffix(".toml")


@cache
def snippets() -> Mapping[str, Mapping[str, str]]:
    """By the id of a cure, the code for each of FRAMEWORKS."""
    declared = tomllib.loads(FILE.read_text("utf-8"))
    return {cure: _of_each(code) for cure, code in declared.items()}


def _of_each(code: Mapping[str, str]) -> Mapping[str, str]:
    """The code for each framework; Lightning's is that of PyTorch unless it has its own."""
    return {framework: code.get(framework, code["pytorch"]).strip() for framework in FRAMEWORKS}
