"""`cancel`, `pause`, `resume` and `retry`: what can be done to a job."""

from collections.abc import Callable

import click

from service.cli.completion import job_ids
from service.cli.format import format_job, format_queued_job
from service.cli.session import Session, json_option
from service.client import Json, Rightfit

GPUS = click.option("--gpus", type=click.IntRange(min=1), metavar="N", help="So many are to train it from now on.")
Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def _command(
    name: str, act: Callable[..., Json], tell: Callable[[Json], str], meaning: str, options: Decorator = lambda f: f
) -> click.Command:
    @click.command(name=name, help=meaning)
    @click.argument("job_id", metavar="ID", shell_complete=job_ids)
    @options
    @json_option
    @click.pass_obj
    def command(session: Session, /, job_id: str, **wishes: int | None) -> None:
        with session.client() as client:
            job = act(client, job_id, **wishes)
        session.answer(job, lambda: tell(job))

    return command


cancel = _command("cancel", Rightfit.cancel, format_job, "Cancel a job; its best model is kept.")
pause = _command("pause", Rightfit.pause, format_job, "Set a job aside, with its progress.")
resume = _command("resume", Rightfit.resume, format_queued_job, "Go on with a paused job.", GPUS)
retry = _command("retry", Rightfit.retry, format_queued_job, "Run a failed job again.", GPUS)
