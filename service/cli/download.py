"""`download` and `export`: a file of a job, and all of them as one zip."""

import os
from pathlib import Path

import click

from service.cli.completion import artifact_names, job_ids
from service.cli.progress_bar import progress_bar
from service.cli.session import Session, json_option
from service.client import Rightfit, sha256
from service.core.text import format_size

BEST_MODEL = "best_model.pth"


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("name", default=BEST_MODEL, shell_complete=artifact_names)
@click.option("-o", "--output", metavar="PATH", default=".", show_default=True, help="A file or an existing folder.")
@click.option("--force", is_flag=True, help="Replace a different file at PATH.")
@json_option
@click.pass_obj
def download(session: Session, job_id: str, name: str, output: str, force: bool) -> None:
    """Download a file of a job and verify its SHA-256. The default NAME is best_model.pth.

    An incomplete download continues where it stopped. Only --force replaces a different file at PATH.
    """
    target = _target(output, name, "--output")
    with session.client() as client:
        if target.is_file() and (digest := _matching_digest(client, job_id, name, target)):
            message = f"{target} is there already"
        elif os.path.lexists(target) and not force:
            raise FileExistsError(f"{target} exists and differs; --force replaces a file")
        else:
            with progress_bar(session, name) as progress:
                digest = client.download(job_id, name, target, progress)
            message = str(target)
    session.answer(
        {"path": str(target), "bytes": target.stat().st_size, "sha256": digest},
        lambda: f"{message}, SHA-256 {digest}, as in the manifest",
    )


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("file", default=".")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
@click.pass_obj
def export(session: Session, job_id: str, file: str, force: bool) -> None:
    """Download all files of a job as one zip, with a README.txt that lists them.

    FILE is the zip or an existing folder. The default is ID.zip in the current folder.
    """
    name = f"{job_id}.zip"
    target = _target(file, name, "FILE")
    if os.path.lexists(target) and not force:
        raise FileExistsError(f"{target} exists; --force replaces a file")
    with session.client() as client, progress_bar(session, name) as progress:
        client.export(job_id, target, progress)
    size = target.stat().st_size
    session.answer({"path": str(target), "bytes": size}, lambda: f"{target}, {format_size(size)}")


def _target(output: str, name: str, parameter: str) -> Path:
    """The file to write: `output`, or a file with this name in this folder. `parameter` is its name in errors."""
    if output == "-":
        raise click.BadParameter("must be a file or a folder; stdout is not supported", param_hint=parameter)
    target = Path(output)
    if output.endswith("/") and not target.is_dir():
        raise NotADirectoryError(f"{output} is not an existing folder")
    if target.is_dir():
        target /= Path(name).name  # a name with slashes must not leave the folder
    if not target.parent.is_dir():
        raise NotADirectoryError(f"{target.parent} is not an existing folder")
    return target


def _matching_digest(client: Rightfit, job_id: str, name: str, target: Path) -> str:
    """The digest of a target that is the artifact already, otherwise an empty text."""
    digest = next((entry["sha256"] for entry in client.artifacts(job_id) if entry["name"] == name), "")
    return digest if sha256(target) == digest else ""
