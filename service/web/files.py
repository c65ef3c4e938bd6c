"""The scripts and styles of the pages: ours, and those of the installed package uPlot. They need no key."""

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, request

from service.core.errors import NotFound

OURS = Path(__file__).parent / "static"
CHART = {"uPlot.iife.js", "uPlot.min.css"}
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

blueprint = Blueprint("web_files", __name__, url_prefix="/static")


@blueprint.get("/<name>")
def ours(name: str) -> Response:
    """Send a file of the folder static. Raises NotFound."""
    if name not in {path.name for path in OURS.iterdir()}:
        raise NotFound(f"there is no file {name!r}")
    return _answer(OURS / name)


@blueprint.get("/chart/<name>")
def chart(name: str) -> Response:
    """Send a file of uPlot. Raises NotFound."""
    package = find_spec("uplot")  # not imported: importing it changes IPython
    if name not in CHART or package is None or not package.submodule_search_locations:
        raise NotFound(f"there is no file {name!r}")
    return _answer(Path(package.submodule_search_locations[0]) / "static" / name)


def _answer(path: Path) -> Response:
    """A file that the browser caches and revalidates by its ETag."""
    response = Response(path.read_bytes(), mimetype=TYPES[path.suffix])
    response.headers["Cache-Control"] = "public, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
