"""What cures depend on: the spec of a run, its data, its end, and what was tried before."""

import re
from dataclasses import dataclass, field

from service.core.records.dataset import Contents
from service.core.records.facts import Facts
from service.core.records.lessons import Tallies
from service.core.records.lineage import Family
from service.core.records.weights import Weights
from service.core.spec import JobSpec

# Words in class names whose images change their class when they are mirrored.
SIDED = frozenset(
    ["left", "right", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
)
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class RunContext:
    """What a cure depends on: a spec and, if known, its data, the end of its run, and what was tried before: in its
    family, and in fits with such data and such a network.
    """

    spec: JobSpec
    contents: Contents | None = None
    facts: Facts | None = None
    stop_reason: str | None = None  # of the run that is to be cured; None while it runs
    family: Family = field(default_factory=Family)
    tallies: Tallies = field(default_factory=dict)
    weights: Weights | None = None  # uploaded ones, for pictures in color, that the run could start from
    has_published_weights: bool | None = None  # whether workers can download some; None: what is there is not known

    @property
    def side(self) -> int | None:
        """The side of the images that the network gets, in pixels; None if unknown."""
        if self.spec.dataset.image_size:
            return self.spec.dataset.image_size
        return min(self.contents.shape[1:]) if self.contents else None

    @property
    def may_be_mirrored(self) -> bool:
        """Whether a mirrored image keeps its class: by the pictures, or where they do not tell, by the names of the
        classes: none is a digit, a letter or a side.
        """
        if self.facts and self.facts.mirroring:
            known = self.facts.mirroring.keeps_classes(self.facts.trivial_accuracy)
            if known is not None:
                return known
        if self.contents is None:
            return False
        words = [word for name in self.contents.classes for word in WORD.findall(name.lower())]
        return not any(len(word) == 1 or word in SIDED or any(map(str.isdigit, word)) for word in words)
