"""`cancel`, `pause`, `resume` and `retry`: change the state of a job."""

from collections.abc import Callable

import click

from service.cli.completion import job_ids
from service.cli.format import format_job, format_queued_job
from service.cli.session import Session, json_option
from service.client import Json, Rightfit

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

GPUS = click.option("--gpus", type=click.IntRange(min=1), metavar="N", help="Continue with this number of GPUs.")


def _command(
    name: str,
    change: Callable[..., Json],
    format_answer: Callable[[Json], str],
    meaning: str,
    options: Decorator = lambda function: function,
) -> click.Command:
    @click.command(name=name, help=meaning)
    @click.argument("job_id", metavar="ID", shell_complete=job_ids)
    @options
    @json_option
    @click.pass_obj
    def command(session: Session, /, job_id: str, **settings: int | None) -> None:
        with session.client() as client:
            job = change(client, job_id, **settings)
        session.answer(job, lambda: format_answer(job))

    return command


cancel = _command("cancel", Rightfit.cancel, format_job, "Cancel a job. Its best model is kept.")
pause = _command("pause", Rightfit.pause, format_job, "Pause a job. Its progress is kept.")
resume = _command("resume", Rightfit.resume, format_queued_job, "Queue a paused job again.", GPUS)
retry = _command("retry", Rightfit.retry, format_queued_job, "Queue a failed job again.", GPUS)
