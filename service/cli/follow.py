"""`watch` and `logs`: what a job does, as it does it."""

import json
import re

import click

from service.cli.completion import job_ids
from service.cli.live_view import watch_to_the_end
from service.cli.session import Session, json_option
from service.client import MAX_LINES, Json

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what a library wrote must not act on a terminal


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@json_option
@click.pass_obj
def watch(session: Session, job_id: str) -> None:
    """Watch a job to its end: bars, curves, then the verdict and what to try.

    Ctrl-C stops the watching and leaves the job running. --json gives the job at its end, with its `diagnosis`.
    """
    watch_to_the_end(session, job_id)


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "-n", "--tail", type=click.IntRange(1, MAX_LINES), default=200, show_default=True, help="Lines, the newest."
)
@json_option
@click.pass_obj
def logs(session: Session, job_id: str, follow: bool, tail: int) -> None:
    """Print what a job's trainer has written: its data, epochs, verdicts, errors.

    --json gives `{"data": [...]}`; with --follow a document a line, as they are written.
    """
    if not follow:
        with session.client() as client:
            found = client.log(job_id, tail)
        session.answer({"data": found}, lambda: "\n".join(map(_line, found)) or "nothing yet")
        return
    with session.patient_client(job_id, f"rightfit logs -f {job_id}") as client:
        for line in client.follow_log(job_id, tail):
            click.echo(json.dumps(line) if session.as_json else _line(line))


def _line(line: Json) -> str:
    message = CONTROL.sub("\N{REPLACEMENT CHARACTER}", line["message"])
    level = "" if line["level"] == "info" else f"{line['level']}: "
    return f"{line['at'][:19].replace('T', ' ')}  {level}{message}"
