"""`download`: what a job published."""

from pathlib import Path

import click

from service.cli.completing import artifact_names, job_ids
from service.cli.session import Session, json_option
from service.cli.transfers import bar

BEST_MODEL = "best_model.pth"


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("name", default=BEST_MODEL, shell_complete=artifact_names)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file or an existing folder; default: here.")
@json_option
@click.pass_obj
def download(session: Session, job_id: str, name: str, output: Path | None) -> None:
    """Download a file of a job, best_model.pth unless you NAME another, and check it against the manifest.

    A download that broke off goes on where it was.
    """
    target = output or Path()
    if target.is_dir():
        target /= Path(name).name  # never above the folder, whatever the name
    with session.client() as client, bar(session, name) as progress:
        digest = client.download(job_id, name, target, progress)
    session.answer(
        {"path": str(target), "bytes": target.stat().st_size, "sha256": digest},
        lambda: f"{target}, SHA-256 {digest}, as in the manifest",
    )
