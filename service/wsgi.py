"""What gunicorn loads: `gunicorn service.wsgi:app`.

Each of its processes keeps the queue moving as well, sends the messages of webhooks and removes what is past keeping.
"""

import threading
from functools import partial

from service.app import create_app
from service.core.actions.dispatcher import Dispatcher
from service.core.actions.retention import Retention
from service.core.settings import Settings
from service.core.telemetry.metrics import REAPER
from service.services import Services

COURIERS = 4  # threads that send messages

app = create_app(Settings.from_env())
_parts: Services = app.extensions["rightfit"]
_lost = partial(_parts.counters.lost, REAPER)
_dispatcher = Dispatcher(_parts.settings, _parts.store, _parts.registry, _parts.submission.queue, _lost)
_retention = Retention(_parts.settings, _parts.database, _parts.store, _parts.catalog, _parts.storage)
for _name, _run in (
    ("dispatcher", _dispatcher.run),
    ("retention", _retention.run),
    *[("courier", _parts.courier.run)] * COURIERS,
):
    threading.Thread(target=_run, args=(threading.Event(),), name=_name, daemon=True).start()
