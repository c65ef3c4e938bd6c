"""Answers about evaluated predictions: JSON, text, CSV and pictures."""

import csv
import hashlib
import http
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, jsonify, request

from service.api.evaluated import Evaluated
from service.core.evaluation.evaluation import Evaluation
from service.rendering import evaluation_picture, evaluation_text
from service.rendering.evaluation_document import document, mistakes

PICTURES = {"png": "image/png", "svg": "image/svg+xml"}


def respond(found: Evaluated, query: dict[str, Any]) -> Response:
    """The answer to a query of EvaluationQuerySchema."""
    cell = found.cell(query["label"], query["guess"])
    return _conditional(found, query, lambda part: _answer(found, query, part, cell))


def draw(found: Evaluated, query: dict[str, Any], kind: str) -> Response:
    """The picture of a part; `kind` is png or svg."""

    def drawn(part: str) -> Response:
        title = f"{found.title}, {part} images"
        picture = evaluation_picture.draw(title, found.classes, found.evaluation(part), kind)
        return Response(picture, mimetype=PICTURES[kind])

    return _conditional(found, query | {"picture": kind}, drawn)


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
    content = _content(found, part, evaluation, rows)
    if query["format"] == "text":
        return Response(evaluation_text.draw(content), mimetype="text/plain")
    return jsonify(content)


def as_text(found: Evaluated) -> str:
    """The evaluation of the usual part as text, without mistakes. Raises NotFound and StorageError."""
    part = found.part(None)
    return evaluation_text.draw(_content(found, part, found.evaluation(part), []))


def _content(found: Evaluated, part: str, evaluation: Evaluation, rows: Sequence[int]) -> dict[str, Any]:
    return {
        "part": part,
        "parts": found.parts,
        **document(evaluation, found.classes),
        "mistakes": mistakes(evaluation, found.classes, rows, found.image),
    }


def _csv(classes: Sequence[str], confusion: list[list[int]]) -> Response:
    """The confusion matrix as CSV (RFC 4180): a row for each label, a column for each guess."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["label", *classes])
    table.writerows([label, *row] for label, row in zip(classes, confusion, strict=True))
    return Response(text.getvalue(), mimetype="text/csv")
