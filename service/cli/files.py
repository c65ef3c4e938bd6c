"""`files` and `predict`: what a job published, and what its model says."""

from pathlib import Path

import click

from service.cli.completion import job_ids
from service.cli.format import list_table
from service.cli.session import Session, json_option
from service.core.counting import format_percent, format_size


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def files(session: Session, job_id: str) -> None:
    """List the files that a job published, for `download`."""
    with session.client() as client:
        found = client.artifacts(job_id)
    table = list_table("name", "size", "SHA-256")
    for entry in found:
        table.add_row(entry["name"], format_size(entry["bytes"]), entry["sha256"])
    session.answer({"data": found}, lambda: table if found else "no files yet")


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument(
    "paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
@click.pass_obj
def predict(session: Session, job_id: str, paths: tuple[Path, ...]) -> None:
    """Ask the best model of an ended job for the class of each picture."""
    with session.client() as client:
        found = client.predict(job_id, paths)
    table = list_table("picture", "class", "probability")
    for entry in found:
        table.add_row(entry["name"], entry["label"], format_percent(entry["probability"]))
    session.answer({"data": found}, lambda: table)
