"""What the views call: the parts of the core, made once a process."""

from dataclasses import dataclass

from flask import current_app
from prometheus_client import CollectorRegistry

from service.core.actions.submit import Submission
from service.core.broker.wakeups import Wakeups
from service.core.settings import Settings
from service.core.sql.ablations import Ablations
from service.core.sql.api_keys import Keys
from service.core.sql.datasets import Catalog
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.webhook_messages import Webhooks
from service.core.sql.worker_registry import Registry
from service.core.storage import Storage
from service.core.telemetry.metrics import Common
from service.core.webhooks.sender import Courier
from service.http.concurrency import Turnstile
from service.http.rate_limit import Rates
from service.http.request_log import Watch
from service.inference import Predictor


@dataclass(frozen=True)
class Parts:
    """Everything a view may need."""

    settings: Settings
    database: Database
    store: Store
    catalog: Catalog
    storage: Storage
    submission: Submission
    ablations: Ablations
    predictor: Predictor
    wakeups: Wakeups
    webhooks: Webhooks
    courier: Courier
    keys: Keys
    rates: Rates
    registry: Registry
    watch: Watch
    counters: Common
    metrics: CollectorRegistry  # what /metrics shows
    waiting: Turnstile  # one for each request that may wait at the same time
    uploading: Turnstile  # one for each data set that may be sent at the same time
    predicting: Turnstile  # one for each request that may run a model at the same time


def parts() -> Parts:
    """The parts of the running app."""
    found: Parts = current_app.extensions["rightfit"]
    return found
