"""What Prometheus scrapes. No tenant is named in it; RIGHTFIT_METRICS=keys asks for a key all the same."""

import os

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.queue_stats import QueueStats
from service.core.telemetry.metrics import Surroundings
from service.core.telemetry.queue_metrics import Standing
from service.services import services

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # set by deploy/gunicorn.conf.py where several processes serve


def register(app: Flask) -> None:
    """/metrics, outside the API document as the probes are."""
    app.add_url_rule("/metrics", view_func=metrics)


def exposed(settings: Settings, database: Database, own: CollectorRegistry) -> CollectorRegistry:
    """What a scrape shows: what all processes have counted, or `own` where there is one, and what is looked up then."""
    registry = own
    if os.environ.get(FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client
    else:
        ProcessCollector(registry=registry)
    registry.register(Surroundings(settings.home))
    registry.register(Standing(QueueStats(database, settings.lease_seconds)))
    return registry


def metrics() -> Response:
    """In the format that the scraper asks for."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(services().metrics), content_type=content_type)
