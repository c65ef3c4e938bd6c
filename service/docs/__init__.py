"""What to read next: a page about each verdict, from the Markdown beside this file. Public, and without scripts."""

from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, request, url_for
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from service.core.diagnosis import Verdict
from service.core.errors import NotFound

HERE = Path(__file__).parent
FOLDER = HERE / "verdicts"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
API_PAGE = "api-docs.openapi_swagger_ui"  # flask-smorest's name for it

blueprint = Blueprint("verdicts", __name__, url_prefix="/docs/verdicts")
_markdown = MarkdownIt("commonmark", {"html": False})
_templates = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)


@blueprint.after_request
def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blueprint.get("", strict_slashes=False)
def index() -> Response:
    """All verdicts with a line each."""
    return _page("index")


@blueprint.get("/<verdict>")
def page(verdict: str) -> Response:
    """What a verdict means, and what to do about it. Raises NotFound."""
    return _page(_known(verdict))


@blueprint.get("/<verdict>.png")
def picture(verdict: str) -> Response:
    """The curves of a run that shows it. Raises NotFound."""
    return _answer((FOLDER / f"{_known(verdict)}.png").read_bytes(), "image/png")


@blueprint.get("/page.css")
def style() -> Response:
    """How the pages look."""
    return _answer((HERE / "page.css").read_bytes(), "text/css")


def _known(verdict: str) -> Verdict:
    if verdict not in set(Verdict):
        raise NotFound(f"there is no verdict {verdict}; /docs/verdicts lists them")
    return Verdict(verdict)


def _page(name: str) -> Response:
    tokens = _markdown.parse((FOLDER / f"{name}.md").read_text("utf-8"))
    for token in _inner(tokens):
        _point(token)
    title = next(token.content for token in tokens if token.type == "inline")  # a page begins with its heading
    body = Markup(_markdown.renderer.render(tokens, _markdown.options, {}))  # noqa: S704 - our own text, HTML is off
    addresses = {"style": url_for(".style"), "verdicts": url_for(".index"), "api": url_for(API_PAGE)}
    html = _templates.get_template("page.html").render(title=title, body=body, **addresses)
    return _answer(html.encode(), "text/html")


def _inner(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()


def _point(token: Token) -> None:
    """The files link each other by their names, as they lie; the pages do by their addresses."""
    for attribute in ("href", "src"):
        name, dot, kind = str(token.attrs.get(attribute, "")).rpartition(".")
        if dot and kind == "md":
            token.attrs[attribute] = url_for(".index") if name == "index" else url_for(".page", verdict=name)
        elif dot and kind == "png":
            token.attrs[attribute] = url_for(".picture", verdict=name)


def _answer(data: bytes, mimetype: str) -> Response:
    """Kept by whoever asks, and asked for again by its digest."""
    response = Response(data, mimetype=mimetype)
    response.headers["Cache-Control"] = "public, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
