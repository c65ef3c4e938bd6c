"""Diagnoses of runs that were trained elsewhere: of their epochs and of what little else is known."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from service.core.diagnosis import Advice, Diagnosis, RunContext, diagnose
from service.core.diagnosis.advice import ADVISED, MOST, REASONS
from service.core.diagnosis.cures import CURES
from service.core.diagnosis.effects import NETWORKS, ordered
from service.core.diagnosis.histories import Reading, read
from service.core.diagnosis.snippets import snippets
from service.core.errors import Fault, Invalid
from service.core.experiments.counterfactual import Run, Setting, recorded, replay
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.records.plan import UNLIMITED, Limits
from service.core.spec import Dataset, JobSpec

PATIENCES, MIN_DELTAS = (1, 3, 5, 10, 20), (0.0, 0.001, 0.01)  # settings of early stopping that are replayed
LONGEST_SPEC = 100_000  # epochs; it is not known after how many the run would have ended
ENDED = "max_epochs"  # whatever ended the run, its history is complete
OF_OUR_OPTIONS = ("more_data",)  # advice to undo an option that only this service has
CHANNELS = (1, 3)  # nothing is known of the pictures
MOST_CLASSES, MOST_IMAGES = 100_000, 10**12
LARGEST = {"classes": MOST_CLASSES, "train_images": MOST_IMAGES, "validation_images": MOST_IMAGES}

# What may be unknown, and what a diagnosis cannot do without it.
COSTS: Mapping[str, str] = {
    "train_loss": "it is unknown whether the model memorizes its training images or does not learn them",
    "val_loss": "it is unknown whether the model generalizes: only the training is judged",
    "val_accuracy": "overfitting and overconfidence look alike: both raise the validation loss",
    "train_loss_clean": (
        "training loss is measured with dropout and augmentation, while weights change: its distance from validation "
        "loss is judged with caution"
    ),
    "val_loss_se": "without standard errors of the losses, the noise is that from epoch to epoch",
    "classes": "the loss of guessing is taken from the first epoch, so a run that learns nothing is harder to "
    "recognize",
    "label_counts": "classes count as equally frequent, so a model that always predicts the largest one is not "
    "recognized",
    "validation_images": "the noise of an accuracy is unknown; a standard error of 0.01 is assumed",
    "spec": "advice cannot give the present values of options, and has no JSON Patch",
}


@dataclass(frozen=True)
class KnownFacts:
    """What the sender of a history says about its run; None where unknown. `label_counts` are images by class."""

    classes: int | None = None
    train_images: int | None = None
    validation_images: int | None = None
    label_counts: tuple[int, ...] | None = None
    spec: JobSpec | None = None

    def __post_init__(self) -> None:
        """Raises Invalid for counts that are out of range or contradict each other."""
        counts = self.label_counts
        for name, most in LARGEST.items():
            if (value := getattr(self, name)) is not None and not 1 <= value <= most:
                raise Invalid([Fault(f"/{name}", f"{name} is out of range", f"1 to {most}")])
        if counts is not None and not all(0 <= count <= MOST_IMAGES for count in counts):
            raise Invalid([Fault("/label_counts", "a count is out of range", f"counts from 0 to {MOST_IMAGES}")])
        if counts is not None and not sum(counts):
            raise Invalid([Fault("/label_counts", "no class has an image", "at least one image")])
        if counts is not None and self.classes not in (None, len(counts)):
            allowed = f"{self.classes} numbers, one for each class"
            raise Invalid([Fault("/label_counts", f"there are {len(counts)} numbers", allowed)])


@dataclass(frozen=True)
class Missing:
    """Something that is not known of a run, and what a diagnosis cannot do without it."""

    what: str
    cost: str


@dataclass(frozen=True, kw_only=True)
class AdviceWithCode(Advice):
    """Advice with its code for other frameworks, by their names."""

    snippets: Mapping[str, str]


@dataclass(frozen=True)
class Replay:
    """The run as recorded, and what other settings of early stopping would have kept."""

    actual: Run
    data: tuple[Setting, ...]


@dataclass(frozen=True)
class ForeignDiagnosis(Diagnosis):
    """The diagnosis of a run that was trained elsewhere. Without a validation loss nothing can be replayed."""

    advice: tuple[AdviceWithCode, ...]
    read: Reading
    missing: tuple[Missing, ...]
    counterfactual: Replay | None


def diagnose_reading(reading: Reading, known: KnownFacts, limits: Limits = UNLIMITED) -> ForeignDiagnosis:
    """Diagnose a history that was read from a file."""
    facts = _facts(reading.epochs, known)
    case = RunContext(known.spec, facts=facts) if known.spec else None
    diagnosis = diagnose(reading.epochs, case, facts, ENDED, limits)
    advice = diagnosis.advice if known.spec else _general(diagnosis)
    return ForeignDiagnosis(
        **{**vars(diagnosis), "advice": tuple(_with_code(each) for each in advice)},
        read=reading,
        missing=tuple(_missing(reading, known)),
        counterfactual=_replay(reading.epochs, known),
    )


def diagnose_history(
    history: Any, columns: Mapping[str, str] | None = None, run: str | None = None, **facts: Any
) -> dict[str, Any]:
    """Diagnose what a program holds: a list with one object an epoch, or the content of a framework's JSON file, such
    as `History.history` of Keras. Returns plain data, as `to_dict` does.

    `columns` and `run` are those of `read`, `facts` are fields of KnownFacts. Raises Invalid, with what is expected,
    for what is no history of a cross entropy.
    """
    rows = {"epochs": history} if isinstance(history, list) else history
    return to_dict(diagnose_reading(read(json.dumps(rows).encode(), columns, run), KnownFacts(**facts)))


def _facts(epochs: Sequence[Epoch], known: KnownFacts) -> Facts | None:
    """The facts as far as they are known; None if nothing is."""
    counts = {"train": known.train_images, "validation": known.validation_images}
    images = {part: count for part, count in counts.items() if count is not None}
    if known.label_counts:
        total = sum(known.label_counts)
        shares = [count / total for count in known.label_counts if count]
        return Facts(images, -sum(share * math.log(share) for share in shares), max(shares))
    if known.classes:
        return Facts(images, math.log(known.classes), 1 / known.classes)
    first = next((loss for epoch in epochs if (loss := epoch.val_loss or epoch.train_loss)), 1.0)
    return Facts(images, first, 0.0) if images else None


def _general(diagnosis: Diagnosis) -> tuple[Advice, ...]:
    """All cures of the verdicts, as the spec that they would change is not known, nor the network and the pictures."""
    by_id: dict[str, Advice] = {}
    for note in (diagnosis, *diagnosis.notes):
        names = ordered(note.verdict, ADVISED[note.verdict], NETWORKS, CHANNELS, {})
        for cure in (CURES[name] for name in names if name not in OF_OUR_OPTIONS):
            reason = REASONS[note.verdict]
            by_id.setdefault(cure.id, Advice(cure.id, cure.title, note.verdict, reason, cure.expected, []))
    return tuple(by_id.values())[:MOST]


def _with_code(advice: Advice) -> AdviceWithCode:
    return AdviceWithCode(**vars(advice), snippets=snippets().get(advice.id, {}))


def _missing(reading: Reading, known: KnownFacts) -> list[Missing]:
    measured = ("train_loss", "val_loss", "val_accuracy", "train_loss_clean", "val_loss_se")
    unknown = [name for name in measured if not reading.has(name)]
    if known.label_counts is None:
        unknown += ["label_counts"] if known.classes else ["classes"]
    unknown += [name for name in ("validation_images", "spec") if getattr(known, name) is None]
    return [Missing(name, COSTS[name]) for name in unknown]


def _replay(epochs: Sequence[Epoch], known: KnownFacts) -> Replay | None:
    """Other settings of early stopping, by the validation loss. A training loss is needed only to see a divergence."""
    if not any(epoch.val_loss is not None for epoch in epochs):
        return None
    if not any(epoch.train_loss is not None for epoch in epochs):
        epochs = [replace(epoch, train_loss=epoch.val_loss) for epoch in epochs]
    spec = replace(known.spec or JobSpec(Dataset(id="elsewhere")), epochs=LONGEST_SPEC)
    return Replay(recorded(epochs), replay(epochs, spec, PATIENCES, MIN_DELTAS))


def to_dict(diagnosis: ForeignDiagnosis) -> dict[str, Any]:
    """Plain data, as the API answers and `rightfit diagnose --json` prints it."""
    read = diagnosis.read
    reading = {
        "format": read.format,
        "columns": dict(read.columns),
        "epochs": len(read.epochs),
        "passed_over": list(read.passed_over),
        "notes": list(read.notes),
    }
    own = {name: value for name, value in vars(diagnosis).items() if name not in ("read", "counterfactual")}
    plain: dict[str, Any] = {name: _plain(value) for name, value in own.items()}
    replayed = asdict(diagnosis.counterfactual) if diagnosis.counterfactual else None
    return {**plain, "read": reading, "counterfactual": replayed}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [asdict(each) for each in value]
    return value
