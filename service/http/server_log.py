"""gunicorn's log without its access log: the request log of the app has a line for each request."""

from gunicorn.glogging import Logger


class ServerLog(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Logs errors and the starts and ends of processes. gunicorn would make a line for each request and drop it."""

    access_log_enabled = False
