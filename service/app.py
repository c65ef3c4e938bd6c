"""create_app: assembles the services, nothing else."""

from flask import Flask, Response, abort, g, request

from service import docs, web
from service.api import document, health, metrics
from service.api.resources import RESOURCES
from service.core.actions.starting_weights import StartingWeights
from service.core.actions.submit import JobSubmitter
from service.core.broker.hints import HintQueue
from service.core.broker.wakeups import Wakeups
from service.core.records.plan import Limits
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
from service.core.storage import open_storage
from service.core.telemetry.metrics import ProcessMetrics, new_registry
from service.core.telemetry.tracing import Tracing
from service.core.text import MAX_ECHO
from service.core.text.hosts import networks
from service.core.webhooks.sender import WebhookSender
from service.http import auth, content_encoding, errors, links
from service.http.concurrency import ConcurrencyLimit
from service.http.origin import OwnOrigin
from service.http.proxies import TrustedProxies
from service.http.rate_limit import RateLimit
from service.http.request_log import RequestLog
from service.http.shared_reads import SharedReads
from service.inference import Predictor
from service.packs import PackReader
from service.predictions import PredictionsReader
from service.recent import Recent
from service.services import Services

MOST_CONNECTIONS = 32  # database connections per process; a waiting request holds none
KEPT_ANSWERS = 8 << 20  # bytes of answers that are kept per process, for clients that poll
PREDICTIONS = 4  # running at the same time in one process
DIAGNOSES = 4  # likewise, of histories in files
KEPT_FREE = 32  # threads reserved for requests that do not wait
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer, our own forms would send `Origin: null`
}
# Swagger UI sets styles inline. Its page loads nothing from other sites.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)


def create_app(settings: Settings) -> Flask:
    """The API over HTTP. It opens no connection yet, so the database need not be available."""
    app = Flask("service", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["rightfit"] = services = _services(settings)
    app.wsgi_app = TrustedProxies(app.wsgi_app, networks(settings.trusted_proxies))  # type: ignore[method-assign]
    services.request_log.register(app)
    OwnOrigin(settings).register(app)
    app.before_request(_receive)
    content_encoding.register(app)
    auth.register(app)
    app.after_request(_finish)
    errors.register(app)
    for blueprint in RESOURCES:
        app.register_blueprint(blueprint)
    links.register(app)
    document.register(app, settings)
    app.register_blueprint(docs.blueprint)
    health.register(app)
    metrics.register(app)
    web.register(app)
    return app


def _services(settings: Settings) -> Services:
    database = Database(settings.database_url, connections=min(settings.api_threads, MOST_CONNECTIONS))
    wakeups = Wakeups(settings.broker_url)
    store = Store(database, wakeups.publish, settings.quotas)
    catalog = DatasetStore(database, wakeups.publish, settings.quotas)
    weights = WeightsStore(database, wakeups.publish, settings.quotas)
    starting = StartingWeights(store.queries, weights)
    registry = new_registry()
    counters = ProcessMetrics(registry)
    storage = counters.watched(open_storage(settings.storage_url))
    webhooks, allowed = Webhooks(database), networks(settings.webhook_networks)
    limits = Limits(settings.max_parameters, settings.max_memory_bytes)
    return Services(
        settings=settings,
        database=database,
        store=store,
        catalog=catalog,
        weights=weights,
        storage=storage,
        predictor=Predictor(storage),
        predictions=PredictionsReader(storage),
        packs=PackReader(storage),
        submission=JobSubmitter(store, catalog, HintQueue(settings.broker_url), limits, starting, allowed),
        ablations=Ablations(database, wakeups.publish, settings.quotas),
        folds=CrossValidations(database, wakeups.publish, settings.quotas),
        fits=Fits(database, wakeups.publish, settings.quotas),
        fit_leases=FitLeases(database, wakeups.publish, settings.quotas),
        lessons=FitLessons(database),
        wakeups=wakeups,
        webhooks=webhooks,
        webhook_sender=WebhookSender(webhooks, allowed),
        keys=ApiKeys(database),
        rate_limit=RateLimit(settings.broker_url, settings.requests_per_minute),
        registry=WorkerRegistry(database),
        request_log=RequestLog(registry, Tracing("rightfit-api")),
        counters=counters,
        answers=Recent(KEPT_ANSWERS),
        shared_reads=SharedReads(),
        metrics=metrics.exposed(settings, database, registry),
        waiting=_concurrency_limit(settings, settings.api_threads - KEPT_FREE),
        streams=ConcurrencyLimit(settings.api_threads, settings.quota_streams),
        predicting=_concurrency_limit(settings, PREDICTIONS),
        diagnosing=_concurrency_limit(settings, DIAGNOSES),
        uploading=_concurrency_limit(settings, settings.api_threads // 8),
    )


def _concurrency_limit(settings: Settings, most: int) -> ConcurrencyLimit:
    return ConcurrencyLimit(most, most if settings.auth == "none" else max(1, most // 2))


def _receive() -> None:
    """Refuse paths with names that nothing has: with NUL, which PostgreSQL refuses in a query, and long ones."""
    if "\0" in request.path or max(map(len, request.path.split("/"))) > MAX_ECHO:
        abort(404)


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    if request.path.startswith("/docs"):
        response.headers.setdefault("Content-Security-Policy", DOCS_POLICY)
    elif request.path.startswith("/v1/"):
        response.headers.setdefault("Cache-Control", "private, no-cache")
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
