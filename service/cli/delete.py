"""`rm`, `data rm` and `weights rm`: delete jobs, data sets and weights after a confirmation."""

from collections.abc import Callable

import click

from service.cli.completion import job_ids
from service.cli.session import Session, json_option
from service.client import Rightfit


def _command(delete: Callable[[Rightfit, str], None], noun: str, meaning: str) -> click.Command:
    @click.command(name="rm", help=meaning)
    @click.argument("ids", metavar="ID…", nargs=-1, required=True, shell_complete=job_ids if noun == "job" else None)
    @click.option("--yes", is_flag=True, help="Delete without asking.")
    @json_option
    @click.pass_obj
    def command(session: Session, ids: tuple[str, ...], yes: bool) -> None:
        if not yes:
            click.confirm(f"Delete {noun} {', '.join(ids)} for good?", abort=True, err=True)
        with session.client() as client:
            for each in ids:
                delete(client, each)
                session.note(f"deleted {each}")
        session.answer({"deleted": ids})

    return command


rm = _command(Rightfit.delete, "job", "Delete ended jobs and their files.")
rm_data = _command(Rightfit.delete_dataset, "data set", "Delete data sets that no queued, running or paused job uses.")
rm_weights = _command(
    lambda client, weights_id: client.weights.delete(weights_id),
    "weights",
    "Delete weights that no queued, running or paused job starts from.",
)
