"""The documentation pages under /docs, rendered from the Markdown files in this folder. Public."""

import json
import posixpath
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, redirect, request, url_for
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from service.core.errors import NotFound
from service.docs import markdown, search
from service.docs.contents import CONTENTS, neighbours
from service.docs.reference import reference

FOLDER = Path(__file__).parent
VERDICTS = FOLDER / "verdicts"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
API_PAGE = "api-docs.openapi_swagger_ui"  # the page of service/api/document.py
REFERENCE = "reference"  # the one page that is generated, not stored
RENAMED: Mapping[str, str] = {"years": "operations", "watching": "monitoring"}  # old address: new address


def _address(file: Path) -> str:
    """The address below /docs of a file's page: its own path, and for a folder's index the folder's path."""
    return file.relative_to(FOLDER).with_suffix("").as_posix().removesuffix("/index")


PAGES: Mapping[str, Path] = {_address(file): file for file in sorted(FOLDER.rglob("*.md"))}
IMAGES: Mapping[str, Path] = {_address(file): file for file in sorted(FOLDER.rglob("*.png"))}

blueprint = Blueprint("pages", __name__, url_prefix="/docs")
_templates = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


@blueprint.after_request
def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blueprint.get("/verdicts/page.css")  # an old address
@blueprint.get("/page.css")
def style() -> Response:
    """The style sheet of all pages."""
    return _file_response((FOLDER / "page.css").read_bytes(), "text/css")


@blueprint.get("/<path:address>.png")
def image(address: str) -> Response:
    """An image of a page. Raises NotFound."""
    return _file_response(_lookup(IMAGES, address).read_bytes(), "image/png")


@blueprint.get("/<path:address>")
def page(address: str) -> BaseResponse:
    """A page by its address, or a permanent redirect from an old address. Raises NotFound."""
    address = address.removesuffix("/")
    if address in RENAMED:
        return redirect(url_for(".page", address=RENAMED[address]), 301)
    rendered = markdown.render(_text(address), lambda link: _resolve(address, link))
    before, after = neighbours(address)
    html = _templates.get_template("page.html").render(
        title=rendered.title,
        body=Markup(rendered.body),  # noqa: S704 - rendered from our own Markdown, with raw HTML switched off
        links=_links(),
        contents={part: [_entry(one) for one in pages] for part, pages in CONTENTS.items()},
        here=url_for(".page", address=address),
        before=_entry(before) if before else None,
        after=_entry(after) if after else None,
    )
    return _file_response(html.encode(), "text/html")


@blueprint.get("/search.json")
def search_index() -> Response:
    """The sections of all pages, for the search in the browser."""
    listed = [section | {"address": _linked(section["place"])} for section in _sections()]
    return _file_response(json.dumps(listed).encode(), "application/json")


@cache
def _sections() -> tuple[dict[str, str], ...]:
    return tuple(search.sections({address: _text(address) for address in (*PAGES, REFERENCE)}))


def _linked(place: str) -> str:
    address, hash_sign, section = place.partition("#")
    return url_for(".page", address=address) + hash_sign + section


@cache
def _text(address: str) -> str:
    """The Markdown of a page. Raises NotFound."""
    return reference() if address == REFERENCE else _lookup(PAGES, address).read_text("utf-8")


def _entry(address: str) -> tuple[str, str]:
    """The link to a page, and its title without what follows a colon."""
    title = _text(address).partition("\n")[0].removeprefix("# ").partition(":")[0]
    return url_for(".page", address=address), title.replace("`", "")


def _links() -> dict[str, str]:
    """The addresses that every page has."""
    return {
        "api": url_for(API_PAGE),
        "style": url_for(".style"),
        "pages_style": url_for("web_files.ours", name="style.css"),
        "script": url_for("web_files.ours", name="docs.js"),
        "search": url_for(".search_index"),
        "jobs": url_for("web.jobs"),
        "fits": url_for("web.fits"),
        "datasets": url_for("web.datasets"),
        "new": url_for("web.new"),
        "diagnose": url_for("web.diagnose"),
        "index": url_for(".page", address="index"),
        "icon": url_for("web_files.ours", name="icon.svg"),
    }


def _lookup(files: Mapping[str, Path], address: str) -> Path:
    if address not in files:
        raise NotFound(f"there is no page {address}; /docs/index lists all pages")
    return files[address]


def _resolve(address: str, link: str) -> str:
    """The address of the page or image that a Markdown file links to. Other links stay as they are."""
    path, hash_sign, section = link.partition("#")
    folder = PAGES.get(address, FOLDER / address).relative_to(FOLDER).parent.as_posix()
    target, extension = posixpath.splitext(posixpath.normpath(posixpath.join(folder, path)))
    if extension == ".md":
        return url_for(".page", address=target.removesuffix("/index")) + hash_sign + section
    return url_for(".image", address=target) if extension == ".png" else link


def _file_response(data: bytes, mimetype: str) -> Response:
    """A response that clients cache and revalidate by its ETag."""
    response = Response(data, mimetype=mimetype)
    response.headers["Cache-Control"] = "public, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
