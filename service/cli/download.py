"""`download`: what a job published."""

import os
from pathlib import Path

import click

from service.cli.completion import artifact_names, job_ids
from service.cli.progress_bar import bar
from service.cli.session import Session, json_option
from service.client import Rightfit, sha256

BEST_MODEL = "best_model.pth"


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("name", default=BEST_MODEL, shell_complete=artifact_names)
@click.option("-o", "--output", metavar="PATH", default=".", help="A file or an existing folder; default: here.")
@click.option("--force", is_flag=True, help="Replace another file that is there.")
@json_option
@click.pass_obj
def download(session: Session, job_id: str, name: str, output: str, force: bool) -> None:
    """Download a file of a job, best_model.pth unless you NAME another, and check it against the manifest.

    A download that broke off goes on where it was. A file that is there is replaced with --force only.
    """
    target = _target(output, name)
    with session.client() as client:
        if target.is_file() and (digest := _same(client, job_id, name, target)):
            said = f"{target} is there already"
        elif os.path.lexists(target) and not force:
            raise FileExistsError(f"{target} exists and is something else; --force replaces a file")
        else:
            with bar(session, name) as progress:
                digest = client.download(job_id, name, target, progress)
            said = str(target)
    session.answer(
        {"path": str(target), "bytes": target.stat().st_size, "sha256": digest},
        lambda: f"{said}, SHA-256 {digest}, as in the manifest",
    )


def _target(output: str, name: str) -> Path:
    """The file to write: in a folder it is called as it is there."""
    if output == "-":
        raise click.BadParameter("give a file or a folder; nothing is written to stdout", param_hint="--output")
    target = Path(output)
    if output.endswith("/") and not target.is_dir():
        raise NotADirectoryError(f"{output} is no folder that exists")
    if target.is_dir():
        target /= Path(name).name  # never above the folder, whatever the name
    if not target.parent.is_dir():
        raise NotADirectoryError(f"{target.parent} is no folder that exists")
    return target


def _same(client: Rightfit, job_id: str, name: str, target: Path) -> str:
    """The digest of a file that is the artifact already, else an empty word."""
    wanted = next((entry["sha256"] for entry in client.artifacts(job_id) if entry["name"] == name), "")
    return wanted if sha256(target) == wanted else ""
