"""Answers about evaluated predictions, whatever they are of: JSON, text, CSV and pictures."""

import csv
import hashlib
import http
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request

from service.core.errors import Fault, Invalid, NotFound
from service.core.evaluation.evaluation import Evaluation
from service.core.storage import Artifact
from service.http.auth import tenant
from service.http.links import local
from service.predictions import Source
from service.rendering import evaluation_picture, evaluation_text
from service.rendering.evaluation_document import document, mistakes
from service.schemas.fields import not_known
from service.services import services

MOST_ALLOWED = 50  # classes that an error message lists
PICTURES = {"png": "image/png", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Evaluated:
    """Predictions for images of a data set, with a title. `has_images` says whether the data set still exists."""

    title: str
    dataset: str
    predictions: Source
    classes: tuple[str, ...]
    has_images: bool

    def part(self, asked: str | None) -> str:
        """The part that was asked for, by default the test images if there are any."""
        return asked or services().predictions.parts(self.predictions)[-1]

    def evaluation(self, part: str) -> Evaluation:
        return services().predictions.evaluate(self.predictions, part)

    def image(self, index: int) -> str | None:
        return local(f"/v1/datasets/{self.dataset}/images/{index}") if self.has_images else None


def evaluated(title: str, dataset: str, predictions: Source, labels: Artifact | None) -> Evaluated:
    """Predictions with the names of the classes, from the data set or, if it is gone, from labels.json of a job.

    Raises NotFound without names, and StorageError.
    """
    contents = services().submission.contents(tenant(), dataset)
    if contents is not None:
        return Evaluated(title, dataset, predictions, contents.classes, has_images=True)
    if labels is None:
        raise NotFound("the data set is gone, and with it the names of the classes")
    with services().storage.open(labels.key) as file:
        return Evaluated(title, dataset, predictions, tuple(json.load(file)["classes"]), has_images=False)


def respond(found: Evaluated, query: dict[str, Any]) -> Response:
    """The answer to a query of EvaluationQuerySchema."""
    cell = {name: _class(found, name, query[name]) for name in ("label", "guess")}
    return _conditional(found, query, lambda part: _answer(found, query, part, cell))


def draw(found: Evaluated, query: dict[str, Any], kind: str) -> Response:
    """The picture of a part; `kind` is png or svg."""

    def drawn(part: str) -> Response:
        title = f"{found.title}, {part} images"
        picture = evaluation_picture.draw(title, found.classes, found.evaluation(part), kind)
        return Response(picture, mimetype=PICTURES[kind])

    return _conditional(found, query | {"picture": kind}, drawn)


def _class(found: Evaluated, name: str, given: str | None) -> int | None:
    if given is None:
        return None
    if given not in found.classes:
        some = ", ".join(found.classes[:MOST_ALLOWED])
        more = ", …" if len(found.classes) > MOST_ALLOWED else ""
        raise Invalid([Fault(f"/{name}", not_known(given, found.classes), some + more)])
    return found.classes.index(given)


def _conditional(found: Evaluated, query: Any, answer: Callable[[str], Response]) -> Response:
    """The answer for a part, or 304 without computing it. Its ETag depends on the predictions and the query."""
    tag = hashlib.sha256(json.dumps([found.predictions.sha256, found.has_images, query]).encode()).hexdigest()
    unchanged = Response()
    unchanged.set_etag(tag)
    unchanged.make_conditional(request)
    if unchanged.status_code != http.HTTPStatus.OK:
        return unchanged
    made = answer(found.part(query["part"]))
    made.set_etag(tag)
    return made


def _answer(found: Evaluated, query: dict[str, Any], part: str, cell: dict[str, int | None]) -> Response:
    evaluation = found.evaluation(part)
    if query["format"] == "csv":
        return _csv(found.classes, evaluation.scores.confusion.tolist())
    rows = evaluation.mistakes(query["mistakes"], **cell).tolist()
    content = {
        "part": part,
        "parts": services().predictions.parts(found.predictions),
        **document(evaluation, found.classes),
        "mistakes": mistakes(evaluation, found.classes, rows, found.image),
    }
    if query["format"] == "text":
        return Response(evaluation_text.draw(content), mimetype="text/plain")
    return jsonify(content)


def _csv(classes: Sequence[str], confusion: list[list[int]]) -> Response:
    """The confusion matrix as CSV (RFC 4180): a row for each label, a column for each guess."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["label", *classes])
    table.writerows([label, *row] for label, row in zip(classes, confusion, strict=True))
    return Response(text.getvalue(), mimetype="text/csv")
