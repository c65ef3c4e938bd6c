"""`jobs`, `show`, `diagnose` and `compare`: what there is, and what it says."""

import click
from rich.console import Group

from service.cli.completion import job_ids
from service.cli.format import comparison_table, format_diagnosis, format_job, jobs_table
from service.cli.session import Session, json_option

STATUSES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
FEWEST = 2


@click.command()
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="may be repeated: any of them")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="may be repeated: all of them")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
@click.pass_obj
def jobs(session: Session, status: tuple[str, ...], label: tuple[str, ...], limit: int) -> None:
    """List jobs, the newest first."""
    with session.client() as client:
        found = client.jobs(status, label, limit)
    session.answer({"data": found}, lambda: jobs_table(found) if found else "no jobs")


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def show(session: Session, job_id: str) -> None:
    """Show a job as it stands; --json has its whole spec."""
    with session.client() as client:
        found = client.job(job_id)
    session.answer(found, lambda: format_job(found))


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def diagnose(session: Session, job_id: str) -> None:
    """Say why a job's losses are what they are, and what to change."""
    with session.client() as client:
        found = client.diagnose(job_id)
    session.answer(found, lambda: format_diagnosis(job_id, found))


@click.command()
@click.argument("job_ids", metavar="ID ID…", nargs=-1, required=True, shell_complete=job_ids)
@json_option
@click.pass_obj
def compare(session: Session, job_ids: tuple[str, ...]) -> None:
    """Compare jobs with the first of them: what differed, and what it did beyond the noise."""
    if len(job_ids) < FEWEST:
        raise click.UsageError("give at least two ids")
    with session.client() as client:
        found = client.compare(job_ids)
    notes = (difference["note"] for difference in found["differences"])
    said = [line for pair in zip(found["summary"], notes, strict=True) for line in pair]
    session.answer(found, lambda: Group(comparison_table(found), "", *said))
