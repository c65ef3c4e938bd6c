"""The results as Markdown: a table for each job and batch size, and what the other measurements say."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.summary import Row, Spread

MIB = 1 << 20
MEGA, GIGA = 1e6, 1e9
HEADS = (
    "contestant",
    "training images/s",
    "rightfit's over its",
    "whole process, s",
    "its over rightfit's",
    "peak memory, MiB",
    "final val. loss",
    "best val. loss",
    "accuracy",
    "same loss as the others",
)
SYSTEMS_OF_SLOTS = {
    "one slot": "one slot",
    "slots": "a slot for each core",
    "pool": "joblib, the article's loop",
    "ray": "Ray Tune with Lightning",
    "optuna": "Optuna with Lightning",
}
VERDICTS = {True: "yes", False: "**no**", None: "too few rounds"}


def markdown(about: dict[str, Any], tables: dict[str, list[Row]], extras: dict[str, Any]) -> str:
    """`about` is the head of the results file, `tables` the rows under the name of each job and batch size."""
    parts = [_head(about), *(f"## {title}\n\n{table(HEADS, map(_cells, rows))}" for title, rows in tables.items())]
    if failures := about["failures"]:
        parts.append("## Failed\n\n" + "\n".join(f"- {failure.splitlines()[0]}" for failure in failures))
    writers = {
        "size": _size,
        "overhead": _overhead,
        "limit": _limit,
        "service": _service,
        "fixed_cost": _fixed_cost,
        "queue": _queue,
        "load": _load,
        "scrape": _scrape,
        "slots": _slots,
    }
    parts += [writers[name](content) for name, content in extras.items()]
    return "\n\n".join(parts) + "\n"


def _head(about: dict[str, Any]) -> str:
    return (
        f"# {about['device']}, {about['date']}\n\n"
        f"torch {about['torch']}, Python {about['python']}, threads: {about['threads']}; rounds: {about['rounds']}, "
        f"each contestant once a round, another seed each round; load before the start {about['load']:.1f}.\n\n"
        "Each figure is the median of the rounds, in brackets the least and the most. Images/s are training images "
        "over the median time of an epoch (training, validation and saving; the first epoch left out). Ratios are "
        "taken round by round: above 1, rightfit is ahead. Losses are means over the rounds, ± standard deviation; "
        "all contestants but Keras draw their weights as torch does. rightfit runs with "
        "precision auto, which is bf16 where the device computes in it and the network is large enough to gain."
    )


def _cells(row: Row) -> list[str]:
    deviation = "" if row.loss_deviation is None else f" ± {row.loss_deviation:.4f}"
    return [
        row.name,
        _spread(row.images_per_second, "{:,.0f}"),
        _spread(row.speedup, "{:.2f}"),
        _spread(row.seconds, "{:.1f}"),
        _spread(row.shortening, "{:.2f}"),
        f"{row.peak_bytes.median / MIB:,.0f}",
        f"{row.final_loss:.4f}{deviation}",
        f"{row.best_loss:.4f}",
        f"{row.final_accuracy:.1%}",
        VERDICTS[row.agrees],
    ]


def _spread(spread: Spread | None, form: str) -> str:
    if spread is None:
        return ""
    median, least, most = (form.format(value) for value in (spread.median, spread.least, spread.most))
    return median if least == most else f"{median} ({least}–{most})"  # noqa: RUF001 - a range has an en dash


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is words, the others are figures."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _size(measured: dict[str, Any]) -> str:
    rows = [
        [
            f"{size['images']:,}",
            f"{size['images_per_second']:,.0f}",
            f"{size['peak_bytes'] / MIB:,.0f}",
            f"{(size['peak_bytes'] - size['data_bytes']) / MIB:,.0f}",
        ]
        for size in measured["sizes"]
    ]
    heads = ("images", "training images/s", "peak memory, MiB", "less the data's own bytes, MiB")
    long = measured["long"]
    return (
        f"## Large sets and long runs (the engine, mlp of 32)\n\n{table(heads, rows)}\n\n"
        f"{long['epochs']:,} epochs on a tiny set: the median epoch of the first tenth took {long['first_ms']:.2f} ms, "
        f"of the last tenth {long['last_ms']:.2f} ms."
    )


def _overhead(measured: dict[str, Any]) -> str:
    rows = [
        [
            job,
            f"{times['engine_ms']:.1f}",
            f"{times['bare_ms']:.1f}",
            f"{times['ratio']:.3f} ({times['least_ratio']:.3f}–{times['most_ratio']:.3f})",  # noqa: RUF001
        ]
        for job, times in measured.items()
    ]
    heads = ("job", "engine, ms an epoch", "bare loop, ms an epoch", "ratio, epoch by epoch")
    return f"## The engine beside the bare loop, same network, in turn\n\n{table(heads, rows)}"


def _limit(measured: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['precision']}, batches of {row['batch_size']}",
            f"{row['images_per_second']:,.0f}",
            f"{row['limit']:,.0f}",
            f"{row['images_per_second'] / row['limit']:.0%}",
        ]
        for row in measured["rows"]
    ]
    peaks = ", ".join(f"{rate / GIGA:,.0f} in {name}" for name, rate in measured["peaks"].items())
    return (
        f"## The limit of the machine: job cnn\n\nPeak of large matrix products, GFLOP/s: {peaks}. An image takes "
        f"{measured['training'] / MEGA:.1f} MFLOP in training and {measured['scoring'] / MEGA:.1f} in a score, by the "
        f"count of torch, in which a multiplication with its addition are two. At the limit, an epoch takes as long as "
        f"its operations at the peak.\n\n{table(('precision', 'training images/s', 'limit', 'share'), rows)}"
    )


def _service(measured: dict[str, Any]) -> str:
    median = measured["median"]
    rows = [
        ["first step", f"{median['first_step']:.2f}"],
        ["first epoch seen", f"{median['first_epoch']:.2f}"],
        ["succeeded", f"{median['succeeded']:.2f}"],
    ]
    return (
        f"## The whole service: digits, {measured['epochs']} epochs, median of {len(measured['jobs'])} jobs\n\n"
        f"{table(('from the POST to', 'seconds'), rows)}\n\nThe stack was ready {measured['stack_ready']:.1f} s after "
        f"its start. A job took {median['ratio']:.2f} times as long as its epochs."
    )


def _fixed_cost(measured: dict[str, Any]) -> str:
    rows = [[part, f"{milliseconds:,.1f}"] for part, milliseconds in measured["milliseconds"].items()]
    return (
        f"## What a small job costs beside its training: digits, {measured['epochs']} epochs, "
        f"median of {measured['jobs']} jobs\n\n{table(('part', 'milliseconds'), rows)}"
    )


def _slots(measured: dict[str, Any]) -> str:
    over = measured["over"]
    rows = [
        [
            model,
            SYSTEMS_OF_SLOTS[name],
            _spread(Spread.of(rates), "{:,.1f}"),
            f"{over[model][name]:.2f}" if name in over[model] else "",
        ]
        for model, by_system in measured["jobs_a_minute"].items()
        for name, rates in by_system.items()
    ]
    return (
        f"## Jobs a minute: digits, {measured['epochs']} epochs, {measured['jobs']} at once, median of the rounds\n\n"
        f"{table(('network', 'trained by', 'jobs a minute', 'a slot for each core over it'), rows)}\n\n"
        "Two large jobs that are submitted together have "
        f"{_spread(Spread.of(measured['large']), '{:.2f}')} times the throughput of one after the other."
    )


def _queue(measured: dict[str, Any]) -> str:
    parts = []
    for database, sizes in measured.items():
        calls = [name for name in sizes[0] if name != "jobs"]
        rows = [[f"{size['jobs']:,}", *(f"{size[call]:.2f}" for call in calls)] for size in sizes]
        parts.append(f"{database}:\n\n{table(('queued jobs', *calls), rows)}")
    return "## A long queue: milliseconds of one call to the store, median\n\n" + "\n\n".join(parts)


def _load(measured: dict[str, Any]) -> str:
    names = [name for name in measured if isinstance(measured[name], dict)]
    rows = [
        [
            name,
            f"{route['requests_per_second']:,.0f}",
            f"{route['p50_ms']:.1f}",
            f"{route['p99_ms']:.1f}",
            f"{route['errors']:.0f}",
            f"{route['cpu_ms']:.2f}" if "cpu_ms" in route else "",
        ]
        for name in names
        for route in [measured[name]]
    ]
    return (
        "## Fifty clients that poll without a pause while a job trains on one thread\n\n"
        f"{table(('route', 'requests/s', 'p50, ms', 'p99, ms', 'errors', 'CPU of one, ms'), rows)}\n\n"
        f"The job trained {measured['epochs_meanwhile']:,} epochs meanwhile. The empty route is the same gunicorn with "
        "nothing behind it, in turn with the other; clients and servers share the cores."
    )


def _scrape(measured: dict[str, Any]) -> str:
    rows = [
        [
            f"{name}, {when}",
            *(f"{times[when][figure]:.1f}" for figure in ("p50_ms", "p95_ms", "livez_p50_ms", "livez_p95_ms")),
        ]
        for name, times in measured["databases"].items()
        for when in ("alone", "under load")
    ]
    rates = sorted(times["requests_per_second"] for times in measured["databases"].values())
    heads = ("database", "p50, ms", "p95, ms", "/livez p50, ms", "/livez p95, ms")
    return (
        f"## A scrape of /metrics with {measured['jobs']:,} jobs in the database, {measured['queued']:,} of them "
        f"queued\n\n{table(heads, rows)}\n\n"
        f"Under load, {measured['clients']} clients poll jobs, histories and lists of the same API, each with a pause "
        f"of {measured['pause_seconds']:g} s: {rates[0]:.0f} to {rates[-1]:.0f} requests a second. Clients and servers "
        "share the cores. /livez, requested in turn, shows the time of a request without work."
    )
