"""`download`: a file of a job."""

import os
from pathlib import Path

import click

from service.cli.completion import artifact_names, job_ids
from service.cli.progress_bar import progress_bar
from service.cli.session import Session, json_option
from service.client import Rightfit, sha256

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
    target = _target(output, name)
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


def _target(output: str, name: str) -> Path:
    """The file to write: `output`, or a file with the artifact's name in this folder."""
    if output == "-":
        raise click.BadParameter("must be a file or a folder; stdout is not supported", param_hint="--output")
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
