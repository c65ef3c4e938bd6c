"""`jobs`, `show` and `compare`: read jobs and their results."""

import click
from rich.console import Group

from service.cli.completion import job_ids
from service.cli.format import comparison_table, format_job, jobs_table
from service.cli.session import Session, json_option

STATUSES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
MIN_COMPARED = 2


@click.command()
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(STATUSES),
    help="Only jobs with this status; may be repeated for others.",
)
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="Only jobs with this label; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
@click.pass_obj
def jobs(session: Session, status: tuple[str, ...], label: tuple[str, ...], limit: int) -> None:
    """List jobs, newest first."""
    with session.client() as client:
        listed = client.jobs(status, label, limit)
    session.answer({"data": listed}, lambda: jobs_table(listed) if listed else "no jobs")


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def show(session: Session, job_id: str) -> None:
    """Show a job. --json includes its whole spec."""
    with session.client() as client:
        job = client.job(job_id)
    session.answer(job, lambda: format_job(job))


@click.command()
@click.argument("job_ids", metavar="ID ID…", nargs=-1, required=True, shell_complete=job_ids)
@json_option
@click.pass_obj
def compare(session: Session, job_ids: tuple[str, ...]) -> None:
    """Compare jobs with the first of them: their specs, their results, and which differences are larger than noise."""
    if len(job_ids) < MIN_COMPARED:
        raise click.UsageError("give at least two ids")
    with session.client() as client:
        comparison = client.compare(job_ids)
    notes = (difference["note"] for difference in comparison["differences"])
    lines = [line for pair in zip(comparison["summary"], notes, strict=True) for line in pair]
    session.answer(comparison, lambda: Group(comparison_table(comparison), "", *lines))
