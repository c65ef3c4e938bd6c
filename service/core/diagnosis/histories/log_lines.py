"""A pasted log: lines that name an epoch and measures, in the words of whoever wrote the training loop."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from service.core.diagnosis.histories.cells import number
from service.core.diagnosis.histories.names import COMPOUND, FILLERS, PARTS, Meaning, of_words, words
from service.core.diagnosis.histories.table import Source, Table, limited

EPOCH = re.compile(r"(?<!best )(?<!best_)\bep(?:och)?s?\b[\s:#=\[(]*(\d{1,9})\b(?!\s*%)", re.IGNORECASE)
# A number stands alone; 9817/10000 is one, and so is 86.6%.
NUMBER = re.compile(
    r"(?<![\w.])(?:(?P<right>\d{1,12})/(?P<all>\d{1,12})(?![\w/])"
    r"|(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?))(?P<percent>\s?%)?(?![\w/]))",
    re.IGNORECASE,
)
CLAUSE = re.compile(r"[,;|()\[\]{}<>\t:=\u2500-\u259f]| - | {2,}")  # what ends a name
BAR = re.compile(r"[\u2500-\u259f]{2,}|\[=+[>.\]]|ms/step|s/step|it/s|s/it")  # a progress bar: its last state counts
KERAS = re.compile(r"\d[mu]?s/step")  # only Keras gives the time of a step in this way
BARS, KERAS_BARS = "progress lines", "Keras progress lines"  # formats
PART_OF = {word: part for part, listed in PARTS.items() for word in listed.split()}
LONGEST_LINE, LONGEST_NAME = 1_000, 200  # characters that are looked at
REMEMBERED = 1_000  # names
VERBS = frozenset(["is", "was", "of", "at", "to"])


def read(source: Source) -> Table | None:
    """A log in which at least one line names a measure and its value."""
    log = _Log()
    for line in source.lines:
        log.add(line[:LONGEST_LINE])
    return Table(log.format, limited(log.rows)) if log.rows else None


@dataclass
class _Log:
    """The rows of a log so far."""

    rows: list[dict[str, float]] = field(default_factory=list)
    format: str = "log"
    _epoch: int | None = None
    _bar: dict[str, float] | None = None  # the row of the epoch's progress bar

    def add(self, line: str) -> None:
        if marker := EPOCH.search(line):
            self._begin(int(marker[1]))
        measures = dict(_measures(line))
        if not measures:
            return
        at = {} if self._epoch is None else {"epoch": float(self._epoch)}
        if not BAR.search(line):
            self._summarize(measures)
            self.rows.append(at | measures)
            return
        if self.format != KERAS_BARS:
            self.format = KERAS_BARS if KERAS.search(line) else BARS
        if self._bar is None:
            self._bar = at | measures
            self.rows.append(self._bar)
        else:
            self._bar.update(measures)

    def _begin(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._bar = None
        self._epoch = epoch

    def _summarize(self, measures: dict[str, float]) -> None:
        """A line with both losses is the sum of its epoch: training losses of single steps before it do not count."""
        if self._epoch is None or not {"train_loss", "val_loss"} <= measures.keys():
            return
        for row in reversed(self.rows):
            if row.get("epoch") != self._epoch or "val_loss" in row:
                return
            row.pop("train_loss", None)


def _measures(line: str) -> Iterator[tuple[str, float]]:
    """The measures of a line by name. A part that is named once (`Train: loss 0.4, acc 0.9`) goes on."""
    part, end = None, 0
    found: list[tuple[Meaning, float]] = []
    for match in NUMBER.finditer(line):
        names_part, named = _named(line[max(end, match.start() - LONGEST_NAME) : match.start()])
        end = match.end()
        part = names_part or part
        value = _value(match)
        if named is None or value is None:
            continue
        is_accuracy = named.kind == "accuracy"
        if match["right"] is None or is_accuracy:
            found.append((Meaning(named.kind, named.part or part), value))
    has_bare_loss = any(one.kind == "loss" and one.part is None for one, _ in found)
    for one, value in found:
        usual = "train" if one.kind == "loss" or has_bare_loss or part is None else part
        name = "lr" if one.kind == "lr" else f"{one.part or usual}_{'loss' if one.kind == 'loss' else 'accuracy'}"
        yield name, 1 - value if one.kind == "error" else value


@lru_cache(REMEMBERED)
def _named(before: str) -> tuple[str | None, Meaning | None]:
    """The part and the measure that the text before a number names; the lines of a log repeat it."""
    return _last_part(before), of_words(_name(before))


def _last_part(text: str) -> str | None:
    """The part that the text names last."""
    return next((PART_OF[word] for word in reversed(words(text)) if word in PART_OF), None)


def _name(text: str) -> list[str]:
    """The words before a number that name a measure: those of the last clause, back to the first unknown one."""
    clauses = [clause for clause in CLAUSE.split(text) if clause.strip()]
    named: list[str] = []
    for word in reversed(words(clauses[-1]) if clauses else []):
        if word in VERBS:
            continue
        if word not in PART_OF and word not in COMPOUND and word not in FILLERS and of_words([word]) is None:
            break
        named.insert(0, word)
    return named


def _value(match: re.Match[str]) -> float | None:
    if match["right"] is not None:
        return int(match["right"]) / int(match["all"]) if int(match["all"]) else None
    value = number(match["value"])
    return value / 100 if value is not None and match["percent"] else value
