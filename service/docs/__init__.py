"""What to read: the pages under /docs beside the API's own, from the Markdown in this folder. Public, no scripts."""

import posixpath
from collections.abc import Mapping
from pathlib import Path

from flask import Blueprint, Response, request, url_for
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from service.core.errors import NotFound
from service.docs import markdown
from service.docs.reference import reference

FOLDER = Path(__file__).parent
VERDICTS = FOLDER / "verdicts"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
API_PAGE = "api-docs.openapi_swagger_ui"  # flask-smorest's name for it
REFERENCE = "reference"  # the page that is made, not kept


def _address(file: Path) -> str:
    """Where under /docs a file's page is: at its own path, and a folder's index at the folder's."""
    return file.relative_to(FOLDER).with_suffix("").as_posix().removesuffix("/index")


PAGES: Mapping[str, Path] = {_address(file): file for file in sorted(FOLDER.rglob("*.md"))}
PICTURES: Mapping[str, Path] = {_address(file): file for file in sorted(FOLDER.rglob("*.png"))}

blueprint = Blueprint("pages", __name__, url_prefix="/docs")
_templates = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


@blueprint.after_request
def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blueprint.get("/verdicts/page.css")  # where it once was
@blueprint.get("/page.css")
def style() -> Response:
    """How the pages look."""
    return _answer((FOLDER / "page.css").read_bytes(), "text/css")


@blueprint.get("/<path:address>.png")
def picture(address: str) -> Response:
    """A picture of a page. Raises NotFound."""
    return _answer(_known(PICTURES, address).read_bytes(), "image/png")


@blueprint.get("/<path:address>")
def page(address: str) -> Response:
    """A page by its address. Raises NotFound."""
    address = address.removesuffix("/")
    text = reference() if address == REFERENCE else _known(PAGES, address).read_text("utf-8")
    rendered = markdown.render(text, lambda link: _resolve(address, link))
    links = {"api": url_for(API_PAGE), "style": url_for(".style"), "jobs": url_for("web.jobs")}
    links["icon"] = url_for("web_files.ours", name="icon.svg")
    links |= {
        name: url_for(".page", address=name)
        for name in ("index", "tutorial", "cookbook", REFERENCE, "running", "verdicts")
    }
    body = Markup(rendered.body)  # noqa: S704 - our own text, HTML is off
    html = _templates.get_template("page.html").render(title=rendered.title, body=body, links=links)
    return _answer(html.encode(), "text/html")


def _known(files: Mapping[str, Path], address: str) -> Path:
    if address not in files:
        raise NotFound(f"there is no page {address}; /docs/index lists them")
    return files[address]


def _resolve(address: str, link: str) -> str:
    """The files link each other as they lie; the pages do by their addresses. Other links stay."""
    path, hash_sign, section = link.partition("#")
    folder = PAGES.get(address, FOLDER / address).relative_to(FOLDER).parent.as_posix()
    target, kind = posixpath.splitext(posixpath.normpath(posixpath.join(folder, path)))
    if kind == ".md":
        return url_for(".page", address=target.removesuffix("/index")) + hash_sign + section
    return url_for(".picture", address=target) if kind == ".png" else link


def _answer(data: bytes, mimetype: str) -> Response:
    """Kept by whoever asks, and asked for again by its digest."""
    response = Response(data, mimetype=mimetype)
    response.headers["Cache-Control"] = "public, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
