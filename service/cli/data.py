"""`data`: the images to train on."""

from pathlib import Path

import click

from service.cli.delete import rm_data
from service.cli.errors import FAILED
from service.cli.format import datasets_table
from service.cli.progress_bar import bar
from service.cli.session import Session, json_option
from service.client import Json


@click.group()
def data() -> None:
    """Data sets: send one, list, look at and delete them."""


@data.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="For people; that of the folder or file unless given.")
@click.option("--wait", is_flag=True, help="Until its pictures were read.")
@json_option
@click.pass_obj
def push(session: Session, path: Path, name: str | None, wait: bool) -> None:
    """Send PATH: a folder of one folder for each class, or a zip, tar, tar.gz or npz."""
    with session.client() as client:
        with bar(session, path.name) as progress:
            found = client.upload(path, name, progress)
        if wait:
            session.notes.print(f"sent as {found['id']}; its pictures are being read …", markup=False)
            found = client.dataset_ready(found["id"])
    session.answer(found, lambda: _told(found))
    if found["status"] == "failed":
        raise click.exceptions.Exit(FAILED)


@data.command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@json_option
@click.pass_obj
def ls(session: Session, limit: int) -> None:
    """List data sets: yours, the newest first, then those that are built in."""
    with session.client() as client:
        found = client.datasets(limit)
    session.answer({"data": found}, lambda: datasets_table(found))


@data.command()
@click.argument("dataset_id", metavar="ID")
@json_option
@click.pass_obj
def show(session: Session, dataset_id: str) -> None:
    """Show a data set: its images by class, or why it could not be read."""
    with session.client() as client:
        found = client.dataset(dataset_id)
    session.answer(found, lambda: _told(found))


data.add_command(rm_data)


def _told(found: Json) -> str:
    lines = [f"{found['id']}  {found['name']}: {found['status']}"]
    if found["samples"]:
        counts = ", ".join(f"{count} {name}" for name, count in found["samples_per_class"].items())
        lines.append(f"  {found['samples']} images: {counts}")
    lines += [f"  warning: {warning}" for warning in found["warnings"]]
    if found["error"]:
        lines.append(f"  {found['error']['detail']}")
    else:
        lines.append(f"  in a spec: dataset: {{id: {found['id']}}}")
        lines.append(f"Train on it: rightfit train SPEC --set dataset.id={found['id']}")
    return "\n".join(lines)
