"""`watch` and `logs`: follow a job while it runs."""

import json
import re

import click

from service.cli.completion import job_ids
from service.cli.live_view import watch_to_the_end
from service.cli.session import Session, json_option
from service.client import MAX_LINES, Json

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a library's output must not control the terminal


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def watch(session: Session, job_id: str) -> None:
    """Watch a job until it has ended: progress and curves, then the verdict and the first advice.

    Ctrl-C stops watching; the job continues. --json prints the ended job with its `diagnosis`.
    """
    watch_to_the_end(session, job_id)


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the job has ended.")
@click.option(
    "-n", "--tail", type=click.IntRange(1, MAX_LINES), default=200, show_default=True, help="Number of last lines."
)
@json_option
@click.pass_obj
def logs(session: Session, job_id: str, follow: bool, tail: int) -> None:
    """Print the log of a job's trainer: its data, epochs, verdicts and errors.

    --json prints `{"data": [...]}`; with --follow one document per line.
    """
    if not follow:
        with session.client() as client:
            lines = client.log(job_id, tail)
        session.answer({"data": lines}, lambda: "\n".join(map(_format, lines)) or "nothing yet")
        return
    with session.patient_client(lambda client: client.job(job_id), f"rightfit logs -f {job_id}") as client:
        for line in client.follow_log(job_id, tail):
            click.echo(json.dumps(line) if session.as_json else _format(line))


def _format(line: Json) -> str:
    message = CONTROL.sub("\N{REPLACEMENT CHARACTER}", line["message"])
    level = "" if line["level"] == "info" else f"{line['level']}: "
    return f"{line['at'][:19].replace('T', ' ')}  {level}{message}"
