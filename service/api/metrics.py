"""The metrics for Prometheus. They name no tenant; RIGHTFIT_METRICS=keys requires an API key nevertheless."""

import os

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.queue_stats import QueueStats
from service.core.telemetry.metrics import HostMetrics
from service.core.telemetry.queue_metrics import QueueMetrics
from service.services import services

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # set by deploy/gunicorn.conf.py when there are several processes


def register(app: Flask) -> None:
    """Add /metrics, which is not part of the API document."""
    app.add_url_rule("/metrics", view_func=metrics)


def exposed(settings: Settings, database: Database, own: CollectorRegistry) -> CollectorRegistry:
    """The metrics of all processes, or `own` for a single process, and the gauges that each scrape reads."""
    registry = own
    if os.environ.get(FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client
    else:
        ProcessCollector(registry=registry)
    registry.register(HostMetrics(settings.home))
    registry.register(QueueMetrics(QueueStats(database, settings.lease_seconds)))
    return registry


def metrics() -> Response:
    """The metrics in the format that the scraper accepts."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(services().metrics), content_type=content_type)
