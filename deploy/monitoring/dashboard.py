"""The Grafana dashboard: `python -m deploy.monitoring.dashboard` writes dashboard.json beside this file.

The gauges of the queue come from SQL and are the same on every API, hence max; what is counted where it happens is
added up, hence sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, SortOrder, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableRefresh

FILE = Path(__file__).with_name("dashboard.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
WIDTH, HEIGHT = 8, 8  # of 24 columns; rows
CHOSEN = 'instance=~"$instance"'


@dataclass(frozen=True)
class Chart:
    """One panel: each line is an expression and the legend of what it gives."""

    title: str
    meaning: str
    unit: str
    lines: Sequence[tuple[str, str]]


def quantile(share: float, histogram: str, by: str = "") -> str:
    """An expression for what so large a share of the observations stayed below."""
    return f"histogram_quantile({share:g}, sum by (le{by}) (rate({histogram}_bucket{{{CHOSEN}}}[$__rate_interval])))"


def rate(counter: str, by: str, where: str = CHOSEN) -> str:
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval]))"


REQUESTS, SECONDS = "rightfit_http_requests_total", "rightfit_http_request_duration_seconds"
ROWS: dict[str, Sequence[Chart]] = {
    "Queue": (
        Chart("Queued jobs", "By priority, 9 first", units.Short, [
            ("max by (priority) (rightfit_queue_jobs)", "priority {{priority}}"),
        ]),
        Chart("Oldest wait", "How long the job has been queued that waits longest", units.Seconds, [
            ("max by (priority) (rightfit_queue_oldest_wait_seconds)", "priority {{priority}}"),
        ]),
        Chart("Workers", "Seen lately; idle ones beside a queue deserve a look", units.Short, [
            ("max(rightfit_workers)", "workers"),
            ("max(rightfit_workers_idle)", "idle"),
            ('max(rightfit_jobs{status="running"})', "running jobs"),
            ("max(rightfit_queue_unheld_jobs)", "queued jobs that none can hold"),
        ]),
        Chart("Jobs that are kept", "By status; ended ones are counted about once a minute", units.Short, [
            ("max by (status) (rightfit_jobs)", "{{status}}"),
        ]),
        Chart("Attempts lost", "An hour, by who found out: a lapsed lease, or a trainer that failed", units.Short, [
            ("sum by (finder) (increase(rightfit_jobs_lost_total[1h]))", "{{finder}}"),
            ("max(rightfit_leases_lapsed)", "lapsed now"),
        ]),
        Chart("Data sets", "By status", units.Short, [("max by (status) (rightfit_datasets)", "{{status}}")]),
    ),
    "API": (
        Chart("Requests", "A second, by status", units.RequestsPerSecond, [(rate(REQUESTS, "status"), "{{status}}")]),
        Chart("Duration", "From a request to the end of its answer, by route; ?wait and events are long by nature",
              units.Seconds, [(quantile(0.95, SECONDS, ", route"), "{{route}}")]),
        Chart("In flight", "Requests that are being answered", units.Short, [
            (f"sum by (instance) (rightfit_http_requests_in_flight{{{CHOSEN}}})", "{{instance}}"),
        ]),
        Chart("5xx", "Share of all requests", units.PercentUnit, [
            (f'sum(rate({REQUESTS}{{{CHOSEN}, status=~"5.."}}[$__rate_interval])) / {rate(REQUESTS, "")}', "5xx"),
        ]),
        Chart("Database", "Whether each API reaches it", units.Short, [
            (f"rightfit_database_up{{{CHOSEN}}}", "{{instance}}"),
        ]),
        Chart("Storage errors", "A second, by operation", units.Short, [
            (rate("rightfit_storage_errors_total", "instance, operation"), "{{instance}} {{operation}}"),
        ]),
    ),
    "Workers": (
        Chart("Images a second", "Training images in the last epoch of each worker", units.Short, [
            (f"rightfit_worker_images_per_second{{{CHOSEN}}}", "{{instance}}"),
        ]),
        Chart("Epoch", "Duration, half and 95 % of epochs below", units.Seconds, [
            (quantile(0.5, "rightfit_worker_epoch_seconds"), "half"),
            (quantile(0.95, "rightfit_worker_epoch_seconds"), "95 %"),
        ]),
        Chart("Batches", "Trained a second", units.Short, [
            (rate("rightfit_worker_steps_total", "instance"), "{{instance}}"),
        ]),
        Chart("Busy", "Share of the workers that hold a job; jobs claimed a minute", units.Short, [
            (f"avg(rightfit_worker_busy{{{CHOSEN}}})", "busy"),
            (f"60 * sum(rate(rightfit_worker_jobs_taken_total{{{CHOSEN}}}[$__rate_interval]))", "claimed a minute"),
        ]),
        Chart("Attempts ended", "A minute, by outcome", units.Short, [
            ("60 * " + rate("rightfit_worker_attempts_ended_total", "outcome"), "{{outcome}}"),
        ]),
        Chart("Leases", "Renewals a second, and those that failed", units.Short, [
            (rate("rightfit_worker_lease_renewals_total", ""), "renewed"),
            (rate("rightfit_worker_lease_renewals_missed_total", "instance"), "missed by {{instance}}"),
        ]),
        Chart("Checkpoints", "Storing one, 95 % below", units.Seconds, [
            (quantile(0.95, "rightfit_worker_checkpoint_seconds", ", instance"), "{{instance}}"),
        ]),
        Chart("Checkpoint bytes", "Stored a second", units.BytesPerSecondIEC, [
            (rate("rightfit_worker_checkpoint_bytes_total", "instance"), "{{instance}}"),
        ]),
        Chart("Checkpoints missed", "An hour", units.Short, [
            (f"sum by (instance) (increase(rightfit_worker_checkpoints_missed_total{{{CHOSEN}}}[1h]))", "{{instance}}"),
        ]),
    ),
    "Machines": (
        Chart("GPU", "Share of the time in which it computed", units.PercentUnit, [
            (f"rightfit_gpu_utilization_ratio{{{CHOSEN}}}", "{{instance}} GPU {{gpu}}"),
        ]),
        Chart("GPU memory", "In use, of all there is", units.PercentUnit, [
            (f"rightfit_gpu_memory_used_bytes{{{CHOSEN}}} / rightfit_gpu_memory_size_bytes",
             "{{instance}} GPU {{gpu}}"),
        ]),
        Chart("Disk", "Free, where RIGHTFIT_HOME is", units.PercentUnit, [
            (f"rightfit_disk_free_bytes{{{CHOSEN}}} / rightfit_disk_size_bytes", "{{instance}}"),
        ]),
        Chart("Memory", "Resident, of API and worker processes (not of trainers)", units.BytesIEC, [
            (f"process_resident_memory_bytes{{{CHOSEN}}} and on (instance) rightfit_build_info", "{{instance}}"),
        ]),
        Chart("Version", "What runs where", units.Short, [
            (f"sum by (version) (rightfit_build_info{{{CHOSEN}}})", "{{version}}"),
        ]),
    ),
}  # fmt: skip


def panel(chart: Chart) -> Panel:
    legend = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    tooltip = VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    built = Panel().title(chart.title).description(chart.meaning).unit(chart.unit).min(0).span(WIDTH).height(HEIGHT)
    built.datasource(SOURCE).legend(legend).tooltip(tooltip).fill_opacity(10)
    for name, (expression, told) in zip("ABCDEF", chart.lines, strict=False):
        built.with_target(Dataquery().ref_id(name).expr(expression).legend_format(told).datasource(SOURCE))
    return built


def dashboard() -> Dashboard:
    instances = QueryVariable("instance").label("Instance").datasource(SOURCE).multi(True).include_all(True)
    instances.query("label_values(rightfit_build_info, instance)").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    built = Dashboard("Rightfit").uid("rightfit").tags(["rightfit"]).refresh("30s").time("now-6h", "now")
    built.tooltip(DashboardCursorSync.CROSSHAIR).timezone("browser").editable()
    built.with_variable(DatasourceVariable("source").label("Prometheus").type("prometheus")).with_variable(instances)
    for title, charts in ROWS.items():
        built.with_row(Row(title))
        for chart in charts:
            built.with_panel(panel(chart))
    return built


def as_json() -> str:
    return JSONEncoder(sort_keys=True, indent=1).encode(dashboard().build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(as_json())
