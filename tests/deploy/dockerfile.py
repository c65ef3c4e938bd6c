"""A parser for the Dockerfile: stages, their instructions, and the instructions that a target inherits."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.servers import ROOT

FILE = ROOT / "Dockerfile"
FROM = re.compile(r"(\S+) AS (\S+)")
OPTION = re.compile(r"--[a-z-]+=\S+\s+")


class Instruction(NamedTuple):
    name: str
    words: str

    @property
    def command(self) -> list[str]:
        """The words of an instruction in exec form, without options. Raises ValueError for shell form."""
        words = self.words
        while match := OPTION.match(words):
            words = words[match.end() :]
        parsed: list[str] = json.loads(words.removeprefix("CMD "))
        return parsed

    @property
    def pairs(self) -> dict[str, str]:
        """The key=value pairs of an ENV or LABEL."""
        return dict(word.split("=", 1) for word in shlex.split(self.words))


@dataclass(frozen=True)
class Stage:
    base: str
    instructions: tuple[Instruction, ...]


def read() -> dict[str, Stage]:
    """The stages by name, without the instructions before the first FROM."""
    stages: dict[str, Stage] = {}
    name = ""
    for instruction in _instructions(FILE.read_text()):
        if instruction.name == "FROM":
            match = FROM.fullmatch(instruction.words)
            assert match, "every stage has a name"
            name = match[2]
            stages[name] = Stage(match[1], ())
        elif name:
            stages[name] = Stage(stages[name].base, (*stages[name].instructions, instruction))
    return stages


def inherited(stages: dict[str, Stage], target: str) -> tuple[Instruction, ...]:
    """All instructions of an image, those of its bases first."""
    stage = stages[target]
    return (*(inherited(stages, stage.base) if stage.base in stages else ()), *stage.instructions)


def environment(target: str) -> dict[str, str]:
    """The environment variables in the containers of a target."""
    variables: dict[str, str] = {}
    for instruction in inherited(read(), target):
        if instruction.name == "ENV":
            variables |= instruction.pairs
    return variables


def command(target: str) -> list[str]:
    return last(target, "CMD").command


def last(target: str, name: str) -> Instruction:
    """The last instruction of this name, which replaces the earlier ones."""
    return [instruction for instruction in inherited(read(), target) if instruction.name == name][-1]


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, words = line.strip().partition(" ")
        yield Instruction(name, " ".join(words.split()) if name != "HEALTHCHECK" else words)
