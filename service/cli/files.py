"""`files` and `predict`: the files of a job, and predictions of its model."""

from pathlib import Path

import click

from service.cli.completion import job_ids
from service.cli.format import list_table
from service.cli.session import Session, json_option
from service.core.text import format_percent, format_size


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def files(session: Session, job_id: str) -> None:
    """List the files of a job, for `download`."""
    with session.client() as client:
        artifacts = client.artifacts(job_id)
    table = list_table("name", "size", "SHA-256")
    for entry in artifacts:
        table.add_row(entry["name"], format_size(entry["bytes"]), entry["sha256"])
    session.answer({"data": artifacts}, lambda: table if artifacts else "no files yet")


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument(
    "paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
@click.pass_obj
def predict(session: Session, job_id: str, paths: tuple[Path, ...]) -> None:
    """Classify image files with the best model of an ended job."""
    with session.client() as client:
        predictions = client.predict(job_id, paths)
    table = list_table("image", "class", "probability")
    for entry in predictions:
        table.add_row(entry["name"], entry["label"], format_percent(entry["probability"]))
    session.answer({"data": predictions}, lambda: table)
