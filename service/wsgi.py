"""The entry point of gunicorn: `gunicorn service.wsgi:app`.

Each process also runs a dispatcher of the queue, a sender of webhook messages, the deletion of expired data and
a conductor of fits.
"""

import threading
from contextlib import suppress
from functools import partial

from service.app import create_app
from service.conductor.conductor import Conductor
from service.core.actions.dispatcher import Dispatcher
from service.core.actions.retention import Retention
from service.core.settings import Settings
from service.core.system import private_folder
from service.core.telemetry.metrics import REAPER
from service.services import Services

app = create_app(Settings.from_env())
_services: Services = app.extensions["rightfit"]
with suppress(OSError):  # an upload reports a home that cannot be made
    private_folder(_services.settings.home)
_lost = partial(_services.counters.lost, REAPER)
_dispatcher = Dispatcher(_services.settings, _services.store, _services.registry, _services.submission.queue, _lost)
_retention = Retention(_services.settings, _services.database, _services.store, _services.catalog, _services.storage)
for _name, _run in (
    ("dispatcher", _dispatcher.run),
    ("retention", _retention.run),
    ("webhook_sender", _services.webhook_sender.run),
    ("conductor", Conductor(app).run),
):
    threading.Thread(target=_run, args=(threading.Event(),), name=_name, daemon=True).start()
