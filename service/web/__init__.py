"""The pages, rendered from the same core as the API and kept fresh by a little JavaScript."""

from flask import Flask

from service.web import (
    ablation,
    compare,
    datasets,
    diagnose,
    errors,
    files,
    fits,
    form,
    job,
    jobs,
    mistakes,
    picture,
    sign_in,
)
from service.web.blueprint import blueprint
from service.web.format import register_filters

__all__ = ["register"]

PAGES = (
    jobs,
    job,
    mistakes,
    picture,
    form,
    fits,
    compare,
    ablation,
    datasets,
    diagnose,
    sign_in,
    errors,
)  # importing adds their views


def register(app: Flask) -> None:
    """Add the pages at /, their static files at /static, and error pages. Called last."""
    register_filters(app)
    app.register_blueprint(blueprint)
    app.register_blueprint(files.blueprint)
    errors.register(app)
