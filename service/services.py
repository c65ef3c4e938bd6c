"""The objects that requests share, created once per process."""

from dataclasses import dataclass

from flask import current_app
from prometheus_client import CollectorRegistry

from service.core.actions.submit import JobSubmitter
from service.core.broker.wakeups import Wakeups
from service.core.settings import Settings
from service.core.sql.ablations import Ablations
from service.core.sql.api_keys import ApiKeys
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.fit_leases import FitLeases
from service.core.sql.fits import Fits
from service.core.sql.folds import CrossValidations
from service.core.sql.jobs.store import Store
from service.core.sql.lessons import FitLessons
from service.core.sql.webhook_messages import Webhooks
from service.core.sql.weights import WeightsStore
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import Storage
from service.core.telemetry.metrics import ProcessMetrics
from service.core.webhooks.sender import WebhookSender
from service.http.concurrency import ConcurrencyLimit
from service.http.rate_limit import RateLimit
from service.http.request_log import RequestLog
from service.http.shared_reads import SharedReads
from service.inference import Predictor
from service.packs import PackReader
from service.predictions import PredictionsReader
from service.recent import Recent


@dataclass(frozen=True)
class Services:
    """The objects that views use."""

    settings: Settings
    database: Database
    store: Store
    catalog: DatasetStore
    weights: WeightsStore
    storage: Storage
    submission: JobSubmitter
    ablations: Ablations
    folds: CrossValidations
    fits: Fits
    fit_leases: FitLeases
    lessons: FitLessons
    predictor: Predictor
    predictions: PredictionsReader
    packs: PackReader
    wakeups: Wakeups
    webhooks: Webhooks
    webhook_sender: WebhookSender
    keys: ApiKeys
    rate_limit: RateLimit
    registry: WorkerRegistry
    request_log: RequestLog
    counters: ProcessMetrics
    answers: Recent[tuple[bytes, str | None]]  # bodies and media types of answers under their ETags
    shared_reads: SharedReads  # of events, by all streams of a topic
    metrics: CollectorRegistry  # the source of /metrics
    waiting: ConcurrencyLimit  # requests that wait at the same time
    streams: ConcurrencyLimit  # streams of events that are open at the same time
    uploading: ConcurrencyLimit  # uploads at the same time
    predicting: ConcurrencyLimit  # predictions at the same time
    diagnosing: ConcurrencyLimit  # diagnoses of files at the same time


def services() -> Services:
    """The services of the running app."""
    own: Services = current_app.extensions["rightfit"]
    return own
