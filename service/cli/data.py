"""`data`: upload, list, show and delete data sets."""

from pathlib import Path
from typing import Any

import click

from service.cli.delete import rm_data
from service.cli.errors import FAILED
from service.cli.format import datasets_table
from service.cli.progress_bar import progress_bar
from service.cli.session import Session, json_option
from service.client import Json
from service.core.records.dataset import BACKGROUNDS


@click.group()
def data() -> None:
    """Upload, list, show and delete data sets."""


@data.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Default: the name of the folder or file.")
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A label file with the class of each image: .csv, .tsv, .jsonl or .ndjson.",
)
@click.option("--skip-broken", is_flag=True, help="Leave out broken images and wrong rows of the label file.")
@click.option(
    "--background",
    type=click.Choice(BACKGROUNDS),
    default=BACKGROUNDS[0],
    show_default=True,
    help="The colour below transparent pixels; mean is the mean colour of the set.",
)
@click.option("--wait", is_flag=True, help="Wait until the service has read the images.")
@json_option
@click.pass_obj
def push(session: Session, /, path: Path, name: str | None, wait: bool, **options: Any) -> None:
    """Upload PATH: a folder with one folder per class, or a zip, tar, tar.gz or npz file.

    Links in a folder are followed. Hidden files, files that systems and tools make, and broken links are left out, and
    the command lists them.
    """
    with session.client() as client:
        with progress_bar(session, path.name) as progress:
            dataset = client.upload(path, name, progress, session.note, **options)
        if wait:
            session.note(f"uploaded as {dataset['id']}; the service is reading the images …")
            dataset = client.dataset_ready(dataset["id"])
    session.answer(dataset, lambda: _format(dataset))
    if dataset["status"] == "failed":
        raise click.exceptions.Exit(FAILED)


@data.command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@json_option
@click.pass_obj
def ls(session: Session, limit: int) -> None:
    """List your data sets, newest first, then the built-in ones."""
    with session.client() as client:
        datasets = client.datasets(limit)
    session.answer({"data": datasets}, lambda: datasets_table(datasets))


@data.command()
@click.argument("dataset_id", metavar="ID")
@json_option
@click.pass_obj
def show(session: Session, dataset_id: str) -> None:
    """Show a data set: its images per class, its options and warnings, or the reason why it could not be read."""
    with session.client() as client:
        dataset = client.dataset(dataset_id)
    session.answer(dataset, lambda: _format(dataset))


data.add_command(rm_data)


def _format(dataset: Json) -> str:
    lines = [f"{dataset['id']}  {dataset['name']}: {dataset['status']}"]
    if dataset["samples"]:
        counts = ", ".join(f"{count} {name}" for name, count in dataset["samples_per_class"].items())
        lines.append(f"  {dataset['samples']} images: {counts}")
    if dataset["created_at"]:  # built-in data sets have no options
        options = (f"{name} {str(value).lower()}" for name, value in dataset["options"].items())
        lines.append(f"  options: {', '.join(options)}")
    lines += [f"  warning: {warning}" for warning in dataset["warnings"]]
    if dataset["error"]:
        lines.append(f"  {dataset['error']['detail']}")
    else:
        lines.append(f"  in a spec: dataset: {{id: {dataset['id']}}}")
        lines.append(f"Train on it: rightfit train SPEC --set dataset.id={dataset['id']}")
    return "\n".join(lines)
