"""`weights`: upload, list and delete weights that jobs start from."""

from pathlib import Path

import click

from service.cli.delete import rm_weights
from service.cli.format import weights_table
from service.cli.progress_bar import progress_bar
from service.cli.session import Session, json_option
from service.client import Json


@click.group()
def weights() -> None:
    """Upload, list and delete weights that jobs start from."""


@weights.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--arch", required=True, help="The architecture of the weights, as in model.arch.")
@click.option("--name", help="Default: the architecture.")
@json_option
@click.pass_obj
def push(session: Session, path: Path, arch: str, name: str | None) -> None:
    """Upload PATH: safetensors, or a state_dict saved by torch.save."""
    with session.client() as client, progress_bar(session, path.name) as progress:
        sent = client.weights.push(path, arch, name, progress)
    session.answer(sent, lambda: _format(sent))


@weights.command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@json_option
@click.pass_obj
def ls(session: Session, limit: int) -> None:
    """List your weights, newest first."""
    with session.client() as client:
        found = client.weights.list(limit)
    session.answer({"data": found}, lambda: weights_table(found))


weights.add_command(rm_weights)


def _format(sent: Json) -> str:
    classes = "without a last layer" if sent["classes"] is None else f"classes: {sent['classes']}"
    notes = "".join(f"note: {note}\n" for note in sent.get("notes", ()))
    return (
        f"{sent['id']}  {sent['name']}: {sent['arch']}, {classes}\n{notes}"
        f"Start from them: rightfit train SPEC --set model.arch={sent['arch']} --set model.weights={sent['id']}"
    )
