"""The pages: rendered here, from the same core that the API calls, and brought to life by a little JavaScript."""

from flask import Flask

from service.web import compare, datasets, errors, files, form, job, jobs, sign_in, words
from service.web.blueprint import blueprint

__all__ = ["register"]

PAGES = (jobs, job, form, compare, datasets, sign_in, errors)  # each has put its views on the blueprint


def register(app: Flask) -> None:
    """The pages at /, their static files at /static."""
    words.register(app)
    app.register_blueprint(blueprint)
    app.register_blueprint(files.blueprint)
