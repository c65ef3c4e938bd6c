"""The page that diagnoses a run trained elsewhere: a file or a pasted history in, curves and verdict out. Nothing is
stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import make_response, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response

from service.api.diagnoses import diagnose_file, members, to_answer
from service.api.form import Form, check_form
from service.core.diagnosis.histories import MOST_BYTES
from service.core.errors import Fault, Invalid
from service.core.experiments.foreign_runs import ForeignDiagnosis
from service.core.records.downsample import sampled
from service.core.records.epoch import Epoch
from service.rendering import curves_svg, foreign_run
from service.schemas.diagnoses import DiagnoseQuerySchema
from service.schemas.problem import faults
from service.web.blueprint import blueprint, page

FILE, TEXT = "file", "history"
FACTS = {name: option.metadata for name, option in DiagnoseQuerySchema().fields.items()}
EXAMPLES = {
    "classes": "10",
    "train_images": "50000",
    "validation_images": "10000",
    "label_counts": "5000,4800,200",
    "columns": "val_loss:nll",
    "run": "1",
}
AROUND = 1 << 20  # bytes of the form around the history
MOST_POINTS = 2000  # epochs of the chart
MEASURES = ("train_loss", "train_loss_clean", "val_loss", "train_accuracy", "val_accuracy", "lr")
CHOICES = {"loss": "loss", "accuracy": "accuracy", "lr": "learning rate"}  # of the chart


@dataclass(frozen=True)
class Sent:
    """What the form has: the pasted text and the facts as they were typed, to show them again."""

    text: str = ""
    facts: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(FACTS, ""))


@blueprint.route("/diagnose", methods=["GET", "POST"])
def diagnose() -> Response:
    """Show the form, and the diagnosis of the history that it sent"""
    if request.method == "GET":
        return _answer(Sent())
    request.max_content_length, request.max_form_memory_size = MOST_BYTES + AROUND, MOST_BYTES
    sent = Sent(request.form.get(TEXT, ""), {name: request.form.get(name, "").strip() for name in FACTS})
    try:
        return _answer(sent, _diagnosis(sent))
    except Invalid as error:
        return _answer(sent, problems=error.faults)


def _answer(sent: Sent, diagnosis: ForeignDiagnosis | None = None, problems: Sequence[Fault] = ()) -> Response:
    text = page(
        "diagnose",
        sent=sent,
        facts=FACTS,
        examples=EXAMPLES,
        problems=problems,
        wrong={fault.pointer.split("/")[1] for fault in problems if fault.pointer},
        shown=_shown(diagnosis) if diagnosis else None,
    )
    return make_response(text, 422 if problems else 200)


def _diagnosis(sent: Sent) -> ForeignDiagnosis:
    """The diagnosis of the history in the form. Raises Invalid and TooMany."""
    check_form(Form(request.files, request.form), files=(FILE,), texts=(TEXT, *FACTS))
    given = {name: text for name, text in sent.facts.items() if text}
    if "label_counts" in given:
        given["label_counts"] = "".join(given["label_counts"].split())
    schema = DiagnoseQuerySchema()
    try:
        known: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        raise Invalid(list(faults(error.messages, schema, given))) from error
    data = _history(sent.text)
    return diagnose_file(data, known | members(data))


def _history(text: str) -> bytes:
    """The file of the form, else its text. Raises Invalid unless there is exactly one of them."""
    file = request.files.get(FILE)
    data = file.read() if file is not None and file.filename else None
    if (data is None) == (not text.strip()):
        detail = "the form has a file and a pasted history" if text.strip() else "the form has no history"
        raise Invalid([Fault(f"/{TEXT}", detail, "a file or a pasted history, one of them")])
    return text.encode() if data is None else data


def _shown(diagnosis: ForeignDiagnosis) -> dict[str, Any]:
    """The answer of the API with what the page adds: the chart, and the code in the order in which it is shown."""
    answer, read = to_answer(diagnosis), diagnosis.read
    epochs, measured = sampled(read.epochs, MOST_POINTS), [name for name in MEASURES if read.has(name)]
    return {
        **answer,
        "rows": [_row(epoch, measured) for epoch in epochs],
        "choices": {name: words for name, words in CHOICES.items() if any(name in known for known in read.columns)},
        "best": answer["counterfactual"] and answer["counterfactual"]["actual"]["best_epoch"],
        "drawing": curves_svg.draw(epochs),
        "frame": curves_svg,
        "framework": foreign_run.framework(read.format),
        "early_stopping": foreign_run.early_stopping(answer["counterfactual"]),
    }


def _row(epoch: Epoch, measured: Sequence[str]) -> dict[str, Any]:
    """An epoch of the chart; a loss that was not finite is null."""
    return {"epoch": epoch.epoch, **{name: getattr(epoch, name) for name in measured}}
