"""What a column holds, by the words of its name: `val_loss`, `Validation Loss`, `eval/loss` and `lossVal` are one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MEASURES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr")
CLEAN = ("train_loss_clean", "val_loss_se", "val_change_se")  # in the histories of this service; read by exact name
NAMEABLE = ("epoch", "step", "run", *MEASURES, *CLEAN)  # what `columns` may name

TRAIN, VALIDATION = "train", "val"
PARTS = {
    TRAIN: "train training trn tr",
    VALIDATION: "val valid validation eval evaluation dev test testing holdout",
}
KINDS = {
    "loss": "loss losses nll crossentropy xent ce logloss",
    "accuracy": "accuracy acc top1 acc1 prec1 accuracytop1 multiclassaccuracy binaryaccuracy categoricalaccuracy",
    "error": "error errorrate err err1 top1err",
    "lr": "lr learningrate",
}
COMPOUND = {
    f"{part}{kind}": (part, kind)
    for part in ("train", "training", "tr", "val", "valid", "validation", "eval", "test")
    for kind in ("loss", "acc", "accuracy")
}
# Words that do not change what a column holds. A column with any other word is not read.
FILLERS = frozenset(
    [
        "epoch",
        "mean",
        "avg",
        "average",
        "total",
        "metrics",
        "metric",
        "cls",
        "set",
        "running",
        "score",
        "rate",
        "cross",
        "entropy",
        "sparse",
        "categorical",
        "binary",
        "multiclass",
        "is",
        "value",
        "per",
        "end",
        "log",
        "history",
        "results",
    ]
)
COUNTERS = {
    "epoch": "epoch epochs ep epochnum epochnumber",
    "step": "step steps globalstep trainerglobalstep iter iters iteration iterations itr batch _step",
    "run": "run runid runname trial experiment fold",
}
STEPWISE = "step"  # Lightning writes train_loss_step beside train_loss_epoch
RATE = re.compile(r"^(?:lr|learning[ _-]?rate)(?:$|[^a-z].*)", re.IGNORECASE)
WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+|[^\W\d_]+")
LONGEST = 200  # characters of a name that is looked at

_PART = {word: part for part, words in PARTS.items() for word in words.split()}
_KIND = {word: kind for kind, words in KINDS.items() for word in words.split()}
_COUNTER = {word: counter for counter, words in COUNTERS.items() for word in words.split()}


@dataclass(frozen=True)
class Meaning:
    """What a column holds: loss, accuracy, error or lr, of a part (None: the name does not say).

    `rank` orders columns that hold the same: the lowest is read.
    """

    kind: str
    part: str | None
    rank: int = 0


def words(name: str) -> list[str]:
    """The lower-case words of a name: `trainLoss`, `train_loss` and `Train Loss` have the same."""
    return [word.lower() for word in WORD.findall(name[:LONGEST])]


def counter(name: str) -> str | None:
    """`epoch`, `step` or `run` if a column counts these."""
    return _COUNTER.get("".join(words(name)))


def meaning(name: str) -> Meaning | None:
    """What a column holds, None if that is unknown: every word of its name must be known."""
    if RATE.match(name.strip()):
        return Meaning("lr", None, len(name))
    return of_words(words(name))


def of_words(given: Iterable[str]) -> Meaning | None:
    """What words say together; None if one of them is unknown or they name no kind of measure."""
    part, kind, rank = None, None, 0
    rest = list(given)
    for word in rest:
        if word in COMPOUND:
            part, kind = _PART[COMPOUND[word][0]], _KIND[COMPOUND[word][1]]
        elif word in _PART:
            if part not in (None, _PART[word]):
                return None
            part = _PART[word]
            rank += word.startswith("test")  # a column of validation is preferred
        elif word in _KIND:
            kind = kind or _KIND[word]
        elif word == STEPWISE:
            rank += 10
        elif word not in FILLERS:
            return None
    if kind is None and {"cross", "entropy"} <= set(rest):
        kind = "loss"
    return Meaning(kind, part, rank + len(rest)) if kind else None


def assign(names: Iterable[str], given: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The column of each measure and its kind, by measure; `given` maps measures to columns and goes first.

    A name without a part is one of training if it is a loss. An accuracy without a part is one of training where the
    loss of training has no part either (Keras: `loss`, `accuracy`, `val_loss`), and else one of validation (fastai:
    `train_loss`, `valid_loss`, `accuracy`).
    """
    listed = [name for name in names if name not in given.values()]
    chosen = {measure: (column, measure.rpartition("_")[2]) for measure, column in given.items()}
    for name in listed:
        if name.strip() in CLEAN and name.strip() not in chosen:
            chosen[name.strip()] = (name, "loss")
        if (counted := counter(name)) and counted not in chosen:
            chosen[counted] = (name, counted)
    known = sorted(((found.rank, at, name, found) for at, name in enumerate(listed) if (found := meaning(name))))
    has_bare_loss = any(found.kind == "loss" and found.part is None for *_, found in known)
    for _, _, name, found in known:
        measure = _measure(found, has_bare_loss)
        if measure not in chosen:
            chosen[measure] = (name, found.kind)
    return chosen


def _measure(found: Meaning, has_bare_loss: bool) -> str:
    if found.kind == "lr":
        return "lr"
    if found.kind == "loss":
        return f"{found.part or TRAIN}_loss"
    return f"{found.part or (TRAIN if has_bare_loss else VALIDATION)}_accuracy"


def columns_of(text: str) -> dict[str, str]:
    """Pairs `measure:column` separated by commas, as a mapping. Raises ValueError."""
    pairs = [pair.partition(":") for pair in text.split(",")]
    columns = {measure.strip(): column.strip() for measure, _, column in pairs}
    if unknown := [measure for measure in columns if measure not in NAMEABLE]:
        raise ValueError(f"{unknown[0][:LONGEST]!r} is not a measure; allowed: {', '.join(NAMEABLE)}")
    if len(columns) < len(pairs) or not all(columns.values()):
        raise ValueError("each measure needs one column: measure:column")
    return columns
