"""The metrics for Prometheus. They name no tenant; RIGHTFIT_METRICS=keys requires an API key nevertheless."""

import os
from collections.abc import Iterable

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.queue_stats import QueueStats
from service.core.telemetry.metrics import HostMetrics
from service.core.telemetry.queue_metrics import QueueMetrics
from service.services import services
from service.stack.state import State
from service.stack.state import read as read_parts

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # set by deploy/gunicorn.conf.py when there are several processes


class PartMetrics(Collector):
    """Read at each scrape: the parts of the one-machine stack. Without a stack, the metrics have no samples."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("rightfit_part_up", "1 if the part of the one-machine stack runs", labels=["part"])
        restarts = CounterMetricFamily(
            "rightfit_part_restarts", "Restarts of a part of the one-machine stack after its death", labels=["part"]
        )
        for name, part in read_parts().items():
            up.add_metric([name], part.state is State.RUNNING)
            restarts.add_metric([name], part.restarts)
        yield up
        yield restarts


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
    registry.register(PartMetrics())
    registry.register(QueueMetrics(QueueStats(database, settings.lease_seconds)))
    return registry


def metrics() -> Response:
    """The metrics in the format that the scraper accepts."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(services().metrics), content_type=content_type)
