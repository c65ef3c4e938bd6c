"""The Grafana dashboard. `python -m deploy.monitoring.dashboard` writes dashboard.json beside this file.

The gauges of the queue come from SQL and are the same on every API, hence max. Other metrics are local to their
process, hence sum.
"""

from collections.abc import Mapping, Sequence
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
    """One panel. `lines` maps the legend of each line to its PromQL expression."""

    title: str
    description: str
    lines: Mapping[str, str]
    unit: str = units.Short


def chosen(gauge: str) -> str:
    """A gauge of the selected instances."""
    return f"{gauge}{{{CHOSEN}}}"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """The value below which `share` (0 to 1) of the observations lie."""
    return f"histogram_quantile({share:g}, sum by (le{by}) (rate({histogram}_bucket{{{CHOSEN}}}[$__rate_interval])))"


def rate(counter: str, by: str, where: str = CHOSEN) -> str:
    """Increase per second of a counter, summed by the labels `by`."""
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval]))"


def server_error_ratio() -> str:
    """Share (0 to 1) of the requests that are answered with 5xx."""
    errors = f'sum(rate({REQUESTS}{{{CHOSEN}, status=~"5.."}}[$__rate_interval]))'
    return f"{errors} / {rate(REQUESTS, '')}"


def per_minute(expression: str) -> str:
    return f"60 * {expression}"


REQUESTS, SECONDS = "rightfit_http_requests_total", "rightfit_http_request_duration_seconds"
EPOCH_SECONDS, CHECKPOINT_SECONDS = "rightfit_worker_epoch_seconds", "rightfit_worker_checkpoint_seconds"
GPU = "{{instance}} GPU {{gpu}}"

QUEUE = (
    Chart(
        "Queued jobs",
        "By priority, 9 first",
        {"priority {{priority}}": "max by (priority) (rightfit_queue_jobs)"},
    ),
    Chart(
        "Oldest wait",
        "Queue time of the job that has waited longest, by priority",
        {"priority {{priority}}": "max by (priority) (rightfit_queue_oldest_wait_seconds)"},
        units.Seconds,
    ),
    Chart(
        "Workers",
        "Live workers. Check idle workers while jobs are queued",
        {
            "workers": "max(rightfit_workers)",
            "idle": "max(rightfit_workers_idle)",
            "running jobs": 'max(rightfit_jobs{status="running"})',
            "queued jobs that no worker can hold": "max(rightfit_queue_unheld_jobs)",
        },
    ),
    Chart(
        "Stored jobs",
        "By status. Ended jobs are counted about once a minute",
        {"{{status}}": "max by (status) (rightfit_jobs)"},
    ),
    Chart(
        "Attempts lost",
        "Per hour, by detector: reaper (expired lease) or supervisor (failed trainer)",
        {
            "{{finder}}": "sum by (finder) (increase(rightfit_jobs_lost_total[1h]))",
            "expired leases now": "max(rightfit_leases_lapsed)",
        },
    ),
    Chart("Data sets", "By status", {"{{status}}": "max by (status) (rightfit_datasets)"}),
)

API = (
    Chart("Requests", "Per second, by status", {"{{status}}": rate(REQUESTS, "status")}, units.RequestsPerSecond),
    Chart(
        "Duration",
        "95 % quantile to the end of the answer, by route. ?wait and event streams take long by design",
        {"{{route}}": quantile(0.95, SECONDS, ", route")},
        units.Seconds,
    ),
    Chart(
        "In flight",
        "Requests in progress",
        {"{{instance}}": f"sum by (instance) ({chosen('rightfit_http_requests_in_flight')})"},
    ),
    Chart("5xx", "Share of all requests", {"5xx": server_error_ratio()}, units.PercentUnit),
    Chart("Database", "1 if the API reaches it", {"{{instance}}": chosen("rightfit_database_up")}),
    Chart(
        "Storage errors",
        "Per second, by operation",
        {"{{instance}} {{operation}}": rate("rightfit_storage_errors_total", "instance, operation")},
    ),
)

WORKERS = (
    Chart(
        "Images per second",
        "Training images in the last epoch of each worker",
        {"{{instance}}": chosen("rightfit_worker_images_per_second")},
    ),
    Chart(
        "Epoch",
        "Duration: median and 95 % quantile",
        {"median": quantile(0.5, EPOCH_SECONDS), "95 %": quantile(0.95, EPOCH_SECONDS)},
        units.Seconds,
    ),
    Chart("Batches", "Trained per second", {"{{instance}}": rate("rightfit_worker_steps_total", "instance")}),
    Chart(
        "Busy",
        "Jobs that a worker holds on average, and claimed jobs per minute",
        {
            "held": f"avg({chosen('rightfit_worker_busy')})",
            "claimed per minute": per_minute(
                f"sum(rate({chosen('rightfit_worker_jobs_taken_total')}[$__rate_interval]))"
            ),
        },
    ),
    Chart(
        "Attempts ended",
        "Per minute, by outcome",
        {"{{outcome}}": per_minute(rate("rightfit_worker_attempts_ended_total", "outcome"))},
    ),
    Chart(
        "Leases",
        "Renewals per second, and failed renewals",
        {
            "renewed": rate("rightfit_worker_lease_renewals_total", ""),
            "missed by {{instance}}": rate("rightfit_worker_lease_renewals_missed_total", "instance"),
        },
    ),
    Chart(
        "Checkpoints",
        "Time to store one, 95 % quantile",
        {"{{instance}}": quantile(0.95, CHECKPOINT_SECONDS, ", instance")},
        units.Seconds,
    ),
    Chart(
        "Checkpoint bytes",
        "Stored per second",
        {"{{instance}}": rate("rightfit_worker_checkpoint_bytes_total", "instance")},
        units.BytesPerSecondIEC,
    ),
    Chart(
        "Checkpoints missed",
        "Per hour",
        {"{{instance}}": f"sum by (instance) (increase({chosen('rightfit_worker_checkpoints_missed_total')}[1h]))"},
    ),
)

MACHINES = (
    Chart(
        "GPU",
        "Share of the time in which it was computing",
        {GPU: chosen("rightfit_gpu_utilization_ratio")},
        units.PercentUnit,
    ),
    Chart(
        "GPU memory",
        "Share in use",
        {GPU: f"{chosen('rightfit_gpu_memory_used_bytes')} / rightfit_gpu_memory_size_bytes"},
        units.PercentUnit,
    ),
    Chart(
        "Disk",
        "Free share of the disk of RIGHTFIT_HOME",
        {"{{instance}}": f"{chosen('rightfit_disk_free_bytes')} / rightfit_disk_size_bytes"},
        units.PercentUnit,
    ),
    Chart(
        "Memory",
        "Resident memory of API and worker processes, without trainers",
        {"{{instance}}": f"{chosen('process_resident_memory_bytes')} and on (instance) rightfit_build_info"},
        units.BytesIEC,
    ),
    Chart("Version", "Processes by version", {"{{version}}": f"sum by (version) ({chosen('rightfit_build_info')})"}),
)

ROWS: Mapping[str, Sequence[Chart]] = {"Queue": QUEUE, "API": API, "Workers": WORKERS, "Machines": MACHINES}


def panel(chart: Chart) -> Panel:
    legend = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    tooltip = VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    built = Panel().title(chart.title).description(chart.description).unit(chart.unit).min(0).span(WIDTH).height(HEIGHT)
    built.datasource(SOURCE).legend(legend).tooltip(tooltip).fill_opacity(10)
    for name, (line_legend, expression) in zip("ABCDEF", chart.lines.items(), strict=False):
        query = Dataquery().ref_id(name).expr(expression).legend_format(line_legend)
        built.with_target(query.datasource(SOURCE))
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
